#!/usr/bin/env python
"""The command line of sendit. What a command does lives in main/, watcher/ and web/, not here."""

import os
import sys


def main() -> int:
    """Run one management command; a bad setting (2) or a database that is away (1) is a sentence, never a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendit.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        return 2
    except OperationalError as error:  # of the connection or the disk: such messages hold no row's values
        print(f"The database does not answer, or refuses: {str(error).partition(chr(10))[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
