"""What has to hold outside the node: what Orthanc has, where the patients' values are not, who still runs.

Each check returns sentences, none when all is well; none of them asks the node.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.faults.load import Producer
from tests.faults.parts import Node
from tests.peers import Orthanc

GONE_WITHIN = 3.0

# Where originals and keys are meant to be.
PRIVATE = ("inbox", "work/drops", "keys")


def stored(orthanc: Orthanc, released: Mapping[str, tuple[str, int]]) -> Iterator[str]:
    """Orthanc has each release once, byte for byte, and nothing else; `released` is data set's hash and size by UID."""
    instances = _instances(orthanc)
    times = Counter(instances.values())
    if missing := released.keys() - times.keys():
        yield f"lost: {len(missing)} of {len(released)} images are not in Orthanc"
    if twice := [uid for uid, n in times.items() if n > 1]:
        yield f"stored twice: {len(twice)} images"
    if strangers := times.keys() - released.keys():
        yield f"{len(strangers)} instances in Orthanc are no release of what was handed over"
    other = 0
    for orthanc_id, uid in instances.items():
        if uid in released:
            digest, size = released[uid]
            content = orthanc.rest_bytes(f"/instances/{orthanc_id}/file")
            other += hashlib.sha256(content[-size:]).hexdigest() != digest
    if other:
        yield f"{other} instances in Orthanc have another content than their release"


def lost_and_twice(orthanc: Orthanc, released: Mapping[str, tuple[str, int]]) -> tuple[int, int]:
    """Return how many images are not in Orthanc, and how many are in it more than once."""
    times = Counter(_instances(orthanc).values())
    return len(released.keys() - times.keys()), sum(n > 1 for n in times.values())


def canaries(node: Node, producer: Producer) -> Iterator[str]:
    """No planted value in any file of the node (rows, logs, bells, releases), nor in the name of one."""
    secret = _pattern([producer])
    for path in _files(node.data):
        place = path.relative_to(node.data)
        if str(place).startswith(PRIVATE):
            continue
        if secret.search(os.fsencode(place)) or _search(secret, path):
            yield f"a patient's value is in {place.parts[0]}/…{place.suffix}"
    if node.postgres is not None:
        dump = node.postgres.sql("SELECT database_to_xml(true, false, '')")
        if secret.search(dump.encode()):
            yield "a patient's value is in the rows of PostgreSQL"
        if any(_search(secret, path) for path in _files(node.postgres.folder)):
            yield "a patient's value is in the files of PostgreSQL"


def canaries_in_broker(node: Node, producer: Producer) -> Iterator[str]:
    """No planted value in what the broker has just now."""
    secret = _pattern([producer])
    if node.redis is None:
        for path in _files(node.data / "broker"):
            if _search(secret, path):
                yield "a patient's value is in a bell"
        return
    dump = node.redis.folder / "dump.rdb"
    node.redis.ask("CONFIG", "SET", "rdbcompression", "no")
    node.redis.ask("SAVE")
    if _search(secret, dump):
        yield "a patient's value is in Redis"
    dump.unlink(missing_ok=True)  # it would be read at the next start


def canaries_in_orthanc(orthanc: Orthanc, producers: Iterable[Producer]) -> Iterator[str]:
    """No planted value in any byte that Orthanc keeps."""
    secret = _pattern(producers)
    if found := sum(_search(secret, path) for path in _files(orthanc.folder)):
        yield f"a patient's value is in {found} files of Orthanc"


def survivors(node: Node) -> Iterator[str]:
    """No process of the node outlives it for long."""
    deadline = time.monotonic() + GONE_WITHIN
    while left := node.leftovers():
        if time.monotonic() > deadline:
            yield f"{len(left)} processes are left {GONE_WITHIN:.0f} s after the end"
            return
        time.sleep(0.05)  # looks at what other processes do


def _instances(orthanc: Orthanc) -> dict[str, str]:
    """Return the SOP Instance UID of everything stored, by Orthanc's own id."""
    found = orthanc.rest("/instances?expand")
    return {entry["ID"]: str(entry["MainDicomTags"]["SOPInstanceUID"]) for entry in found}


def _pattern(producers: Iterable[Producer]) -> re.Pattern[bytes]:
    words = [word for one in producers for word in (one.marker[:10], f"{one.uid_root}.")]
    return re.compile(b"|".join(re.escape(word.encode()) for word in words), re.IGNORECASE)


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _search(secret: re.Pattern[bytes], path: Path) -> bool:
    try:
        return secret.search(path.read_bytes()) is not None
    except FileNotFoundError:  # a bell that was taken meanwhile
        return False
