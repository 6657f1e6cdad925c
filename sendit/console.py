"""What the console commands have in common: options that are settings of one run, a log file, and the start of Django.

A console command is known from elsewhere by its name and options; what it does is done by a command of `manage.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sendit.reference import SETTINGS

_SETTINGS = {setting.name: setting for setting in SETTINGS}


def option(name: str) -> dict[str, Any]:
    """Return what argparse is told of an option that is a setting: its help, and the check by the setting's own kind."""
    setting = _SETTINGS[name]
    return {"type": _checked(name), "metavar": "VALUE", "help": f"{setting.help} ({name})"}


def set_to(name: str, value: str) -> None:
    """Set a setting for this run; it goes before the environment."""
    for other in _SETTINGS[name].aliases:
        os.environ.pop(other, None)
    os.environ[name] = value


def log_into(path: Path) -> None:
    """Write everything that is printed from now on into a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        sys.exit(f"--log-file: the file cannot be written ({error.strerror}).")
    os.dup2(handle, sys.stdout.fileno())
    os.dup2(handle, sys.stderr.fileno())


def run(program: str, command: Sequence[str]) -> None:
    """Run a command of `manage.py` under the name of `program`; wrong settings end with exit code 2."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendit.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line([program, *command])
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


def _checked(name: str) -> Callable[[str], str]:
    kind = _SETTINGS[name].kind

    def check(text: str) -> str:
        try:
            kind.parse(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {kind.name}") from None
        return text

    return check
