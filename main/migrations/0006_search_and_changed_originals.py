"""Columns to search by (the pseudonym, the accession number's blind index), and when a registered file was last written."""

from django.db import migrations, models
from django.db.models import Value
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, Left


def repeat_pseudonyms(apps, schema_editor):
    """Fill the new column in one statement; later rows are written with it."""
    identifiers = apps.get_model("main", "SeriesIdentifiers").objects.using(schema_editor.connection.alias)
    identifiers.update(patient_id=Left(Coalesce(KT("values__PatientID"), Value("")), 64))


class Migration(migrations.Migration):
    dependencies = [
        ("main", "0005_indexes_for_a_backlog"),
    ]

    operations = [
        migrations.AddField(
            model_name="image",
            name="modified_ns",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="series",
            name="accession_index",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddField(
            model_name="seriesidentifiers",
            name="patient_id",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.RunPython(repeat_pseudonyms, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="series",
            index=models.Index(fields=["accession_index"], name="series_accession"),
        ),
        migrations.AddIndex(
            model_name="seriesidentifiers",
            index=models.Index(fields=["patient_id"], name="identifiers_patient"),
        ),
    ]
