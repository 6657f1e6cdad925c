"""Reads stored instances back over Orthanc's REST interface and compares them with what was sent.

A thread of its own does that, so that what was accepted is read back while the next images go out. It touches no
database: what it found is handed over as receipts.
"""

from __future__ import annotations

import json
import socket
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from main.claims import SLOWEST
from main.destinations import Receipt
from main.errors import Permanent, PipelineError, Transient, describe
from main.models.delivery import Proof
from main.pipeline.difference import differing_keywords
from main.pipeline.release import OpenRelease

# So many images are read back at once: Orthanc is asked for their ids with one question.
TOGETHER = 16

_PIECE = 1 << 18


class OrthancRest:
    """One Orthanc's REST interface for one load of images; `close` it at the end."""

    def __init__(self, name: str, url: str, user: str, password: str, timeout: float) -> None:
        self.name = name
        self.url = url
        self.timeout = timeout
        address = urlsplit(url)
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        self._connection = kind(address.hostname or "", address.port, timeout=timeout)
        self._path = address.path.rstrip("/")
        self._headers = {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"} if user else {}
        self._answer: HTTPResponse | None = None
        self._unreachable: Transient | None = None
        self._thread = ThreadPoolExecutor(1, "read-back")
        self._begun: set[int] = set()
        self._waiting: list[OpenRelease] = []
        self._read_back: list[tuple[float, Future[list[Receipt]]]] = []

    def begin(self, release: OpenRelease) -> None:
        """Read an accepted release back soon, while other things go on; `prove` says how it went."""
        self._begun.add(release.delivery_id)
        self._waiting.append(release)
        if len(self._waiting) == TOGETHER:
            self._hand_over()

    def prove(self, releases: Sequence[OpenRelease]) -> Iterator[Receipt]:
        """Compare each stored data set with the release's, byte by byte (File Meta is Orthanc's own)."""
        for release in releases:
            if release.delivery_id not in self._begun:
                self.begin(release)
        self._hand_over()
        for seconds, several in self._read_back:
            with suppress(TimeoutError):
                several.exception(seconds)
            if not several.done():
                self._hang_up()
            yield from several.result()

    def check(self) -> str:
        """Ask for Orthanc's version."""
        return f"{self.url} is Orthanc {self._json('GET', '/system').get('Version', '?')}; stored content is read back"

    def close(self) -> None:
        """Leave off, whatever is still being read."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._hang_up()

    def _hand_over(self) -> None:
        if self._waiting:
            seconds = self.timeout + sum(release.size for release in self._waiting) / SLOWEST
            self._read_back.append((seconds, self._thread.submit(self._prove_together, self._waiting)))
            self._waiting = []

    def _hang_up(self) -> None:
        """Let the thread see the end of its connection, if it waits: a peer that says a byte a minute is none to wait for."""
        self._unreachable = Transient("rest-unreachable", f"{self.name}: {self.url} does not answer in time.")
        if (sock := self._connection.sock) is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    # From here on: in the thread -------------------------------------------------------------------------------------

    def _prove_together(self, releases: list[OpenRelease]) -> list[Receipt]:
        try:
            known = self._ids(releases)
        except PipelineError as error:
            return [self._not_asked(release, error) for release in releases]
        receipts = [self._prove_one(release, known.get(release.sop_instance_uid)) for release in releases]
        self._connection.close()  # until the next ones it may stand idle for so long that Orthanc closes it
        return receipts

    def _prove_one(self, release: OpenRelease, orthanc_id: str | None) -> Receipt:
        if orthanc_id is None:
            sentence = f"{self.name} accepted the image but does not have it; it is sent again."
            return Receipt(release.delivery_id, "unproven", code="not-found", sentence=sentence)
        try:
            same = self._same(release, orthanc_id) or self._equivalent(release, orthanc_id)
        except Exception as error:  # noqa: BLE001 - whatever happens to one image says nothing about the others
            return self._not_asked(release, error)
        if same:
            return Receipt(release.delivery_id, "proven", Proof.CONTENT)
        sentence = (
            f"{self.name} keeps another object under the SOP Instance UID of this image (it does not overwrite). "
            "Delete it there, or set OverwriteInstances, then retry."
        )
        return Receipt(release.delivery_id, "permanent", code="other-content", sentence=sentence)

    def _ids(self, releases: Sequence[OpenRelease]) -> dict[str, str]:
        """Orthanc's id of each instance that it has."""
        query = {
            "SeriesInstanceUID": "\\".join(sorted({release.series_instance_uid for release in releases})),
            "SOPInstanceUID": "\\".join(release.sop_instance_uid for release in releases),
        }
        found = self._json("POST", "/tools/find", {"Level": "Instance", "Expand": True, "Query": query})
        return {instance["MainDicomTags"]["SOPInstanceUID"]: instance["ID"] for instance in found}

    def _same(self, release: OpenRelease, orthanc_id: str) -> bool:
        """Whether the stored file ends with exactly the data set of the release."""
        file = self._ask("GET", f"/instances/{orthanc_id}/file")
        skip = (file.length or 0) - (release.size - release.dataset_offset)
        if skip < 0:
            return False
        with open(release.path, "rb") as own:
            own.seek(release.dataset_offset)
            for piece in self._pieces(file):
                theirs, skip = piece[skip:], max(0, skip - len(piece))
                if own.read(len(theirs)) != theirs:
                    return False
            return own.tell() == release.size

    def _equivalent(self, release: OpenRelease, orthanc_id: str) -> bool:
        """Whether the stored file has the same elements: Orthanc writes some objects anew, e.g. with explicit lengths."""
        with tempfile.NamedTemporaryFile(dir=release.path.parent, prefix=".stored-") as stored:
            stored.writelines(self._pieces(self._ask("GET", f"/instances/{orthanc_id}/file")))
            stored.flush()
            return not differing_keywords(release.path, Path(stored.name))

    def _json(self, method: str, path: str, body: object = None) -> Any:
        answer = self._ask(method, path, None if body is None else json.dumps(body))
        try:
            return json.loads(b"".join(self._pieces(answer)))
        except ValueError:
            raise Transient("rest-failed", f"{self.name}: {self.url} does not answer like an Orthanc.") from None

    def _ask(self, method: str, path: str, body: str | None = None) -> HTTPResponse:
        """The answer to one question, to be read before the next one is asked, or not at all."""
        if self._unreachable:
            raise self._unreachable
        if self._answer and not self._answer.isclosed():
            self._connection.close()
        with self._talking():
            self._connection.request(method, self._path + path, body, self._headers)
            self._answer = self._connection.getresponse()
        if self._answer.status in (401, 403):
            sentence = f"{self.name}: {self.url} refuses the user: set ORTHANC_REST_USER and password."
            raise Permanent("rest-refused", sentence)
        if self._answer.status != 200:
            raise Transient("rest-failed", f"{self.name}: {self.url} answers {self._answer.status}.")
        return self._answer

    def _pieces(self, answer: HTTPResponse) -> Iterator[bytes]:
        while True:
            with self._talking():
                piece = answer.read(_PIECE)
                if not piece and answer.length:
                    raise IncompleteRead(piece, answer.length)
            if not piece:
                return
            yield piece

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Who is not reachable once is not asked again for this load."""
        try:
            yield
        except (OSError, HTTPException) as error:
            self._connection.close()
            what = "does not answer in time" if isinstance(error, TimeoutError) else "is not reachable"
            self._unreachable = self._unreachable or Transient("rest-unreachable", f"{self.name}: {self.url} {what}.")
            raise self._unreachable from None

    def _not_asked(self, release: OpenRelease, error: Exception) -> Receipt:
        code, sentence = describe(error)
        sentence = f"Accepted, but the stored bytes could not be read back yet. {sentence}"
        return Receipt(release.delivery_id, "sent", Proof.ACCEPTED, code, sentence)
