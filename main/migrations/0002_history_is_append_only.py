"""The database itself refuses to change an event."""

from typing import Any

from django.db import migrations

SQLITE = """
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON main_event
BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
"""
POSTGRESQL = """
CREATE FUNCTION event_is_never_changed() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'history is append-only'; END $$;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON main_event
FOR EACH ROW EXECUTE FUNCTION event_is_never_changed();
"""


def protect(apps: Any, schema_editor: Any) -> None:
    """Create the trigger in the dialect of the database."""
    schema_editor.execute(SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL)


def unprotect(apps: Any, schema_editor: Any) -> None:
    """Drop it again."""
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TRIGGER event_is_never_changed")
    else:
        schema_editor.execute("DROP TRIGGER event_is_never_changed ON main_event")
        schema_editor.execute("DROP FUNCTION event_is_never_changed()")


class Migration(migrations.Migration):
    """Append-only history."""

    dependencies = [("main", "0001_initial")]
    operations = [migrations.RunPython(protect, unprotect)]
