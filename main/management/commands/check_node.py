"""`manage.py check_node`: every setting, folder, key, provider and destination tried, with what to do where it fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerError

from main import access, background, bells, identity
from main.destinations import kind_of
from main.destinations.configured import configured
from main.errors import PipelineError, Transient, describe
from main.identifiers import provider
from main.management.commands._base import LOOK, NodeCommand
from main.models import Destination, Study
from main.projects import UNKNOWN, Project, projects, several
from main.projects.configured import require_destinations
from main.storage import require_space


class Command(NodeCommand):
    """Try everything the node needs."""

    help = (
        "Try every folder, key, the database, the broker, the identifiers' provider and each destination. Exit 1: look."
    )
    requires_migrations_checks = False  # that is one of the things it tries

    def handle(self, *args: Any, **options: Any) -> None:
        """Run all checks, whatever each of them says."""
        facts: dict[str, dict[str, Any]] = {}
        for name, check in _checks():
            try:
                facts[name] = {"ok": True, "says": check()}
            except (PipelineError, ImproperlyConfigured) as error:
                says = error.sentence if isinstance(error, PipelineError) else str(error)
                facts[name] = {"ok": False, "says": says}
            except Exception as error:  # noqa: BLE001 - a check that fails in its own way is a finding, not a crash
                facts[name] = {"ok": False, "says": describe(error)[1]}
        lines = [f"{'ok  ' if fact['ok'] else 'LOOK'}  {name}: {fact['says']}" for name, fact in facts.items()]
        self.show(options, facts, lines)
        self.end(0 if all(fact["ok"] for fact in facts.values()) else LOOK)


def _checks() -> Iterator[tuple[str, Callable[[], str]]]:
    known = f"{len(settings.ENVIRONMENT.values)} settings are understood"
    yield "settings", lambda: ". ".join([known, *settings.ENVIRONMENT.notes])
    yield "database", _database
    yield "keys", lambda: f"pseudonym key {identity.keyring().pseudonym_id}"
    yield "data folder", _data_folder
    for folder in settings.WATCH_FOLDERS:
        yield f"watched folder {folder.path}", partial(_watched, folder.path)
    yield "DICOM receiver", _receiver
    yield "broker", _broker
    yield "projects", _projects
    with suppress(ImproperlyConfigured):  # the line before says what is wrong
        for one in projects().values():
            name = f"identifiers of project {one.name}" if several() else "identifiers"
            yield name, partial(_identifiers, one)
    try:
        found = configured()
        require_destinations(found)
    except ImproperlyConfigured as error:
        yield "destinations", partial(_raise, error)
        return
    for name, columns in found.items():
        yield f"destination {name}", partial(_destination, Destination(name=name, **columns))


def _projects() -> str:
    """How many there are, and whether each has the key that its pseudonyms were made with."""
    known = sorted(projects())
    for name in known:
        identity.pseudonyms(name)
    if gone := sorted(set(Study.objects.values_list("project", flat=True).distinct()).difference(known)):
        raise Transient(UNKNOWN, f"There are studies of projects that are not configured any more: {', '.join(gone)}.")
    return f"{', '.join(known)}; what belongs to no other goes by {settings.SENDIT_PROJECT}"


def _identifiers(project: Project) -> str:
    return provider(project).check()


def _raise(error: Exception) -> str:
    raise error


def _database() -> str:
    try:
        executor = MigrationExecutor(connection)
    except OperationalError as error:  # its message names the server, and holds no row's values
        says = f"{connection.vendor} does not answer: {str(error).partition(chr(10))[0]}"
        raise Transient("database", says) from error
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise Transient("database", "It is not up to date: run `manage.py migrate`, or start the node, which does it.")
    return f"{connection.vendor} answers"


def _data_folder() -> str:
    require_space(settings.DATA_DIR)
    probe = settings.WORK_DIR / ".check"
    probe.write_bytes(b"")
    probe.unlink()
    return f"{settings.DATA_DIR} is writable"


def _watched(path: Path) -> str:
    probe = path / ".sendit-check"
    probe.write_bytes(b"")
    probe.unlink()
    same = path.stat().st_dev == settings.DROPS_DIR.stat().st_dev
    return "writable, " + ("taken by rename" if same else "on another filesystem: drops are copied")


def _receiver() -> str:
    """Where it listens, whether it runs now, whether it has room, and who gets in."""
    if shutil.disk_usage(settings.DICOM_FOLDER).free < settings.DICOM_LOW_BYTES:
        raise Transient(
            "disk-full", "The disk is below DICOM_LOW_BYTES: what is sent is refused (0xA700) until it has room."
        )
    runs = background.holder(settings.RUN_DIR / "receiver.pid") is not None
    port = settings.DICOM_PORT or settings.DICOM_TLS_PORT
    where = (
        f"{settings.DICOM_AE_TITLE} at {settings.DICOM_BIND_ADDRESS}:{port} {'runs' if runs else 'does not run now'}."
    )
    return " ".join([where, *access.notes()])


def _broker() -> str:
    with Connection(settings.CELERY_BROKER_URL, transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS) as broker:
        try:
            broker.ensure_connection(max_retries=1, timeout=5)
        except BrokerError as error:
            raise Transient("broker", bells.BROKER_AWAY) from error
        return f"{broker.transport_cls or broker.transport.driver_type} answers"


def _destination(one: Destination) -> str:
    said = kind_of(one).check()
    return said + (" GETS ORIGINALS (recipe none)." if one.recipe == "none" else "")
