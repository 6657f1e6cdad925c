#!/bin/sh
# Everything `make test` runs, in order; with arguments, only pytest with them.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
if [ "$#" -gt 0 ]; then
    exec sh tests/in_own_network.sh python -m pytest "$@"
fi
ruff check .
ruff format --check .
mypy --strict deidentify dimse
mypy main watcher web sendit
lint-imports
sh tests/in_own_network.sh python -m pytest
sh tests/in_own_network.sh python -m tests.on_postgresql
sh tests/in_own_network.sh python -m tests.faults --minutes 0.75 --seed 1
