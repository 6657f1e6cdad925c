"""The command: `python -m deidentify IN OUT …` and its subcommands, each a function in a module of this package.

Only the choice of the subcommand and the exit codes are decided here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from deidentify.cli.arguments import parsed
from deidentify.cli.errors import Unusable
from deidentify.errors import Refused

RELEASED, FAILED, UNUSABLE, QUARANTINED, INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: Sequence[str]) -> int:
    """Do what the arguments say and return the exit code.

    0: everything was released, or the check holds. 1: a check does not hold, or the disk failed. 2: the arguments, the
    recipe or the key cannot be used. 3: something is quarantined. 130: interrupted.
    """
    arguments = parsed(argv)
    try:
        return int(arguments.run(arguments))
    except Refused as refused:
        print(refused.sentence, file=sys.stderr)
        return UNUSABLE
    except Unusable as unusable:
        print(unusable, file=sys.stderr)
        return UNUSABLE
    except BrokenPipeError:  # whoever reads what is printed has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(
            f"{place}{error.strerror or error}. What is finished is whole; the same command goes on.", file=sys.stderr
        )
        return FAILED
    except KeyboardInterrupt:
        print("Interrupted. What is finished is whole; the same command goes on where this stopped.", file=sys.stderr)
        return INTERRUPTED
