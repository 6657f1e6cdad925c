#!/bin/sh
# Runs a command in a network namespace of its own, where only 127.0.0.1 exists: some peers listen on every address.
set -eu
if [ -z "${TESTS_HAVE_OWN_NETWORK:-}" ] && unshare -rn true 2>/dev/null; then
    exec env TESTS_HAVE_OWN_NETWORK=1 unshare -rn sh -c 'ip link set lo up; exec "$@"' run "$@"
fi
[ -n "${TESTS_HAVE_OWN_NETWORK:-}" ] || echo "unshare -rn is not possible here (a container?): this network is used." >&2
exec "$@"
