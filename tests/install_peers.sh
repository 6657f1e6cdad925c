#!/bin/sh
# Installs the neighbours that the tests start (Debian and Ubuntu packages), without letting any of them run as a service.
# Quick when all is there; when it may not install, it prints the line to run and ends with 1.
set -eu

missing=''
wants() { # program package: adds the package when the program is nowhere to be found
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
wants Orthanc orthanc
wants storescp dcmtk
wants dciodvfy dicom3tools
wants redis-server redis-server
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
wants chromium chromium
wants chromedriver chromium-driver
wants ip iproute2
wants unshare util-linux
wants setpriv util-linux

# dcmjs-dimse comes from npm's registry, where npm is; elsewhere its tests say that it is missing.
senders=$(dirname "$0")/../.venv/dcmjs
if [ ! -d "$senders/node_modules/dcmjs-dimse" ] && command -v npm >/dev/null 2>&1; then
    echo 'Test peers: installing dcmjs-dimse'
    npm install --silent --no-audit --no-fund --prefix "$senders" dcmjs-dimse@0.3.3 || echo 'Test peers: npm could not.' >&2
fi

if [ -z "$missing" ]; then
    echo 'Test peers: all installed.'
    exit 0
fi

line="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "Test peers: please install$missing by this system's own means (no apt-get here)." >&2
    exit 1
fi
as_root=''
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "Test peers missing. Run: sudo apt-get update && sudo $line" >&2
        exit 1
    fi
    as_root='sudo -n'
fi

# Debian starts a service as soon as its package is installed, unless policy-rc.d forbids it (101: not allowed).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi

echo "Test peers: installing$missing"
$as_root apt-get update -q
# PostgreSQL's package makes a cluster of its own unless it is told not to; the tests make theirs in a temporary folder.
case $missing in
*postgresql*)
    $as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' | $as_root tee /etc/postgresql-common/createcluster.d/no-main-cluster.conf >/dev/null
    ;;
esac
available=''
for package in $missing; do
    if apt-cache show "$package" >/dev/null 2>&1; then
        available="$available $package"
    else
        echo "Test peers: this system has no package $package; the tests that need it will say so." >&2
    fi
done
# shellcheck disable=SC2086 # the words are meant to be parted
[ -z "$available" ] || $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $available
