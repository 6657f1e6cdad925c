"""The bounds of the receiver's ports leave room for everybody."""

from __future__ import annotations

import socket
from typing import Any

from receiver import wiring
from tests.dimse.serving import Raw, Shelf, serving
from tests.waiting import eventually


def test_an_address_that_opens_connections_and_is_silent_shuts_nobody_out(settings: Any) -> None:
    settings.DICOM_MAX_ASSOCIATIONS = 2
    limits = wiring.limits()
    shelf = Shelf()
    with serving(shelf, limits) as listener:
        strangers = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(limits.connections + 5)]
        eventually(lambda: len(shelf.refusals) == len(strangers) - limits.connections_per_address)
        elsewhere = socket.create_connection(("127.0.0.1", listener.port), source_address=("127.0.0.2", 0))
        with Raw(listener.port, elsewhere) as caller:
            caller.associate()
        for stranger in strangers:
            stranger.close()
