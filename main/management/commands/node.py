"""`manage.py node`: the whole node in one process tree, started, kept running and stopped by one supervisor.

Which programs there are and what is said at the start stands here; how programs are kept running is
`sendit/supervisor.py`.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from main import access
from main.destinations.configured import sync
from main.management.commands import nodes
from main.management.commands._base import NodeCommand
from main.models import Batch, Delivery, Destination, Series
from sendit import keys
from sendit.supervisor import AlreadyRunning, Program, Supervisor

NAMES = ("web", "watcher", "receiver", "worker", "sweeper", "commitment")


class Command(NodeCommand):
    """Run everything until Ctrl-C."""

    help = (
        "Run the whole node until Ctrl-C: status pages, watcher, DICOM receiver (DICOM_AUTO_START), workers, sweeper, and "
        "the commitment port if there is one."
    )
    requires_migrations_checks = False

    def run_from_argv(self, argv: list[str]) -> None:
        """Pass `node add|list|test|remove …` on to the command `nodes`."""
        if argv[2:3] and argv[2] in nodes.VERBS:
            nodes.Command().run_from_argv([argv[0], "nodes", *argv[2:]])
        else:
            super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument("--no-migrate", action="store_true", help="refuse to start rather than change the database")
        parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help="run this part; repeatable")
        parser.add_argument("--without", action="append", choices=NAMES, metavar="NAME", help="leave this part out")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, migrate, say where things are, run."""
        programs = [
            program
            for program in _programs()
            if program.name in (options["only"] or NAMES) and program.name not in (options["without"] or ())
        ]
        if not programs:
            raise CommandError(
                "Nothing is left to run: see --only, --without, DICOM_AUTO_START and DICOM_COMMITMENT_PORT."
            )
        supervisor = Supervisor(programs, settings.RUN_DIR, settings.LOGS_DIR)
        try:
            self._start(supervisor, [program.name for program in programs], options)
        except KeyboardInterrupt:
            self.stdout.write("Stopped before the start.")
            return
        supervisor.run()

    def _start(self, supervisor: Supervisor, names: list[str], options: dict[str, Any]) -> None:
        first_start = not (settings.RUN_DIR / "node.lock").exists()
        try:
            supervisor.claim()
        except AlreadyRunning as error:
            raise CommandError(str(error)) from None
        if "web" in names:
            _require_free(settings.SENDIT_WEB_BIND, "The status page", "set SENDIT_WEB_BIND=127.0.0.1:PORT")
        if "receiver" in names:
            for port in _receiver_ports():
                _require_free(port, "The DICOM receiver", "set DICOM_PORT or DICOM_TLS_PORT, or DICOM_AUTO_START=no")
        self._migrate(allowed=not options["no_migrate"])
        self.prepare()
        sync()
        if "worker" in names and connection.vendor == "sqlite":
            _end_leases()
        facts = _facts(names)
        self.show(options, facts, [*_banner(facts, first_start), ""])
        self.stdout.flush()
        connection.close()

    def _migrate(self, allowed: bool) -> None:
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return
        if not allowed:
            raise CommandError(
                "The database needs its migrations first: run `manage.py migrate`, or leave --no-migrate."
            )
        call_command("migrate", interactive=False, verbosity=0)


def _programs() -> list[Program]:
    """All programs of this node, in the order of their start."""
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    # The children stand in the same folder, so that `.env` is found; the code and the data are named absolutely.
    path = os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")]))
    env = {"PYTHONPATH": path, "SENDIT_DATA_DIR": str(settings.DATA_DIR), "DJANGO_SETTINGS_MODULE": "sendit.settings"}
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:sendit.gunicorn", "sendit.wsgi"]
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "sendit", "worker", "--pool", "prefork"]
    celery += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    programs = [
        Program("web", gunicorn, env),
        Program("watcher", [*manage, "watcher_start", "--foreground"], env),
        Program("worker", [*celery, "--loglevel", settings.SENDIT_LOG_LEVEL], env),
        Program("sweeper", [*manage, "sweep", "--forever"], env),
    ]
    if settings.DICOM_AUTO_START and _receiver_ports():
        programs.insert(2, Program("receiver", [*manage, "receiver_start", "--foreground"], env))
    answers_come_to_the_receiver = settings.DICOM_AUTO_START and settings.DICOM_COMMITMENT_PORT == settings.DICOM_PORT
    if settings.DICOM_COMMITMENT_PORT is not None and not answers_come_to_the_receiver:
        programs.append(Program("commitment", [*manage, "commitment_listen"], env))
    return programs


def _end_leases() -> None:
    """Make due at once what the last workers held: SQLite serves one node, its lock is ours, so they are gone.

    Should somebody work on it all the same, the fencing tokens keep him from writing.
    """
    now = timezone.now()
    for model in (Batch, Series, Delivery):
        model._default_manager.filter(token__isnull=False, due_at__gt=now).update(due_at=now)


def _facts(names: list[str]) -> dict[str, Any]:
    """What a person or a program needs to know at the start: where in, where out, where to look."""
    destinations = list(Destination.objects.filter(enabled=True).order_by("name"))
    return {
        "data": str(settings.DATA_DIR),
        "parts": names,
        "drop": [str(folder.path) for folder in settings.WATCH_FOLDERS if folder.path != settings.DICOM_FOLDER],
        "send": [f"{settings.DICOM_AE_TITLE} at {p}" for p in _receiver_ports()] if "receiver" in names else [],
        "out": [_describe(destination) for destination in destinations],
        "page": _address(settings.SENDIT_WEB_BIND) if "web" in names else None,
        "originals": [destination.name for destination in destinations if destination.recipe == "none"],
        "notes": [*(access.notes() if "receiver" in names else ()), *settings.ENVIRONMENT.notes],
        "logs": str(settings.LOGS_DIR),
    }


def _banner(facts: dict[str, Any], first_start: bool) -> list[str]:
    lines = ["", f"sendit runs on {facts['data']} ({', '.join(facts['parts'])})", ""]
    lines += [f"  drop into     {path}   (copy as NAME.tmp1, then rename it to NAME)" for path in facts["drop"]]
    lines += [f"  send to       {port}" for port in facts["send"]]
    lines += [f"  comes out at  {where}" for where in facts["out"]]
    if facts["page"]:
        lines += [f"  status page   {facts['page']}", f"  password      {_password(first_start)}"]
    if facts["originals"]:
        names = ", ".join(facts["originals"])
        lines += ["", f"  WARNING: {names} gets ORIGINALS, with the patient's name in them (recipe none)."]
    lines += ["", *(f"  {note}" for note in facts["notes"])]
    return [*lines, "", f"  Ctrl-C stops everything. Logs are in {facts['logs']}.", ""]


def _describe(destination: Destination) -> str:
    where = destination.settings.get("path")
    if where is None:
        where = f"{destination.settings.get('host')}:{destination.settings.get('port')}"
    return f"{where}   ({destination.name}, {destination.kind})"


def _address(bind: str) -> str:
    host, _, port = bind.rpartition(":")
    return f"http://{'localhost' if host in ('', '127.0.0.1', '0.0.0.0', '[::]', '[::1]') else host}:{port}/"


def _password(first_start: bool) -> str:
    if not settings.LOCKDOWN_ENABLED:
        return "none: LOCKDOWN_ENABLED is no, the pages are open to all who reach them"
    if settings.ENVIRONMENT.values["LOCKDOWN_PASSWORDS"]:
        return "one of LOCKDOWN_PASSWORDS"
    if first_start or sys.stdout.isatty():  # later, not into the log of a service
        return str(settings.LOCKDOWN_PASSWORDS[0])
    return f"in {keys.path(settings.KEYS_DIR, 'password')}"


def _receiver_ports() -> list[str]:
    host = settings.DICOM_BIND_ADDRESS
    host = f"[{host}]" if ":" in host else host
    return [f"{host}:{port}" for port in (settings.DICOM_PORT, settings.DICOM_TLS_PORT) if port]


def _require_free(bind: str, who: str, what_to_do: str) -> None:
    """Say now, in a sentence, what a program that is started again and again would say each time."""
    host, _, port = bind.rpartition(":")
    if not port.isdigit():
        return  # a socket file, or something gunicorn judges better
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with socket.socket(found[0][0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[0][4])
    except OSError as error:
        raise CommandError(f"{who} cannot use {bind} ({error.strerror}). Stop what uses it, or {what_to_do}.") from None
