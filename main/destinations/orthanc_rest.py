"""Reads stored instances back over Orthanc's REST interface and compares them with what was sent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests

from main.destinations import Receipt
from main.errors import Permanent, Transient
from main.models.delivery import Proof
from main.pipeline.difference import differing_keywords
from main.pipeline.release import OpenRelease

_PIECE = 1 << 18


class OrthancRest:
    """One Orthanc's REST interface, with one kept connection."""

    def __init__(self, name: str, url: str, user: str, password: str, timeout: float) -> None:
        self.name = name
        self.url = url
        self.timeout = timeout
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Accept-Encoding"] = "identity"
        if user:
            self.session.auth = (user, password)

    def prove(self, releases: Sequence[OpenRelease]) -> Iterator[Receipt]:
        """Compare each stored data set with the release's, byte by byte (File Meta is Orthanc's own)."""
        try:
            known = self._ids(releases)
        except requests.RequestException as error:
            for release in releases:
                yield self._not_asked(release, error)
            return
        for release in releases:
            orthanc_id = known.get(release.sop_instance_uid)
            try:
                same = orthanc_id is not None and (
                    self._same(release, orthanc_id) or self._equivalent(release, orthanc_id)
                )
            except requests.RequestException as error:
                yield self._not_asked(release, error)
                continue
            if same:
                yield Receipt(release.delivery_id, "proven", Proof.CONTENT)
            elif orthanc_id is None:
                sentence = f"{self.name} accepted the image but does not have it; it is sent again."
                yield Receipt(release.delivery_id, "unproven", code="not-found", sentence=sentence)
            else:
                sentence = (
                    f"{self.name} keeps another object under the SOP Instance UID of this image (it does not overwrite). "
                    "Delete it there, or set OverwriteInstances, then retry."
                )
                yield Receipt(release.delivery_id, "permanent", code="other-content", sentence=sentence)

    def check(self) -> str:
        """Ask for Orthanc's version."""
        try:
            answer = self.session.get(f"{self.url}/system", timeout=self.timeout)
        except requests.RequestException as error:
            raise Transient("rest-unreachable", f"{self.name}: {self.url} {_what(error)}.") from None
        if answer.status_code in (401, 403):
            raise Permanent(
                "rest-refused", f"{self.name}: {self.url} refuses the user: set ORTHANC_REST_USER and password."
            )
        if answer.status_code != 200:
            raise Transient("rest-failed", f"{self.name}: {self.url} answers {answer.status_code}.")
        return f"{self.url} is Orthanc {answer.json().get('Version', '?')}; stored content is read back"

    def _ids(self, releases: Sequence[OpenRelease]) -> dict[str, str]:
        """Orthanc's id of each instance, from a list of the series: one question for many images."""
        found: dict[str, str] = {}
        for series in sorted({release.series_instance_uid for release in releases}):
            query = {"Level": "Series", "Query": {"SeriesInstanceUID": series}}
            for series_id in self._json("POST", "/tools/find", query):
                for instance in self._json("GET", f"/series/{series_id}/instances"):
                    found[instance["MainDicomTags"]["SOPInstanceUID"]] = instance["ID"]
        return found

    def _json(self, method: str, path: str, body: object = None) -> Any:
        answer = self.session.request(method, self.url + path, json=body, timeout=self.timeout)
        answer.raise_for_status()
        return answer.json()

    def _same(self, release: OpenRelease, orthanc_id: str) -> bool:
        """Whether the stored file ends with exactly the data set of the release."""
        wanted = release.size - release.dataset_offset
        path = f"{self.url}/instances/{orthanc_id}/file"
        with self.session.get(path, timeout=self.timeout, stream=True) as answer, open(release.path, "rb") as own:
            answer.raise_for_status()
            skip = int(answer.headers.get("Content-Length", "0")) - wanted
            if skip < 0:
                return False
            own.seek(release.dataset_offset)
            for piece in answer.iter_content(_PIECE):
                theirs = piece
                if skip:
                    theirs, skip = theirs[skip:], max(0, skip - len(piece))
                if own.read(len(theirs)) != theirs:
                    return False
            return own.tell() == release.size

    def _equivalent(self, release: OpenRelease, orthanc_id: str) -> bool:
        """Whether the stored file has the same elements: Orthanc writes some objects anew, e.g. with explicit lengths."""
        path = f"{self.url}/instances/{orthanc_id}/file"
        with tempfile.NamedTemporaryFile(dir=release.path.parent, prefix=".stored-") as stored:
            with self.session.get(path, timeout=self.timeout, stream=True) as answer:
                answer.raise_for_status()
                for piece in answer.iter_content(_PIECE):
                    stored.write(piece)
            stored.flush()
            return not differing_keywords(release.path, Path(stored.name))

    def _not_asked(self, release: OpenRelease, error: requests.RequestException) -> Receipt:
        sentence = f"Accepted; {self.name} could not be asked for the stored bytes yet: {self.url} {_what(error)}."
        return Receipt(release.delivery_id, "sent", Proof.ACCEPTED, "rest-unreachable", sentence)


def _what(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answers {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "does not answer in time"
    return "is not reachable"
