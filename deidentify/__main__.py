"""`python -m deidentify`: the library as a command. What it does is `deidentify.cli`; nothing else is here."""

import sys

from deidentify.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
