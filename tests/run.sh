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
mypy main watcher receiver api web sendit
lint-imports
# Many tests wait for real timeouts of real peers, so three run at a time on two cores.
sh tests/in_own_network.sh python -m pytest -q -n 3 --dist loadfile
sh tests/in_own_network.sh python -m tests.on_postgresql -q -n 3 --dist loadfile
sh tests/in_own_network.sh python -m tests.faults --minutes 0.5 --seed 1
