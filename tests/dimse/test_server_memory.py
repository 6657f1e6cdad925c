"""An object of two gigabytes passes through the same small buffer."""

from __future__ import annotations

import subprocess
import sys

from tests.dimse import serving as raw
from tests.dimse.serving import Raw

SERVE = """
import hashlib, resource, sys
from dimse.server import Limits
from tests.dimse.serving import Shelf, serving

shelf = Shelf(keeps=False)
with serving(shelf, Limits()) as listener:
    print(listener.port, flush=True)
    for line in sys.stdin:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
"""
PIECE = 131_072 - 12
GIGABYTES = 2


def test_memory_is_flat_in_the_size_of_the_object() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def largest() -> int:
            server.stdin.write("?\n")  # type: ignore[union-attr]
            server.stdin.flush()  # type: ignore[union-attr]
            return int(server.stdout.readline())  # type: ignore[union-attr]

        with Raw(int(server.stdout.readline())) as caller:
            caller.associate()
            caller.send(raw.store(bytes(PIECE)))
            assert caller.status() == 0
            before = largest()
            caller.send(raw.pdu(4, raw.pdv(raw.store_command(), 3)))
            pdus = raw.pdu(4, raw.pdv(bytes(PIECE), 0)) * 8
            for _ in range(GIGABYTES * (1 << 30) // len(pdus)):
                caller.send(pdus)
            caller.send(raw.pdu(4, raw.pdv(b"", 2)))
            assert caller.status() == 0
            assert largest() - before < 1_000, "kilobytes"
        server.stdin.close()
