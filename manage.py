#!/usr/bin/env python
"""The command line of sendit. What a command does lives in main/, watcher/ and web/, not here."""

import os
import sys


def main() -> int:
    """Run one management command; a bad setting is a sentence and exit code 2, never a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendit.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
