"""Orthanc, or any PACS: C-STORE over one association for many images, and the strongest proof that the peer can give.

Proof: the stored bytes read back over Orthanc's REST interface where its address is known; else storage commitment,
where a port for the answers is set; else C-FIND at IMAGE level.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings as node
from pydicom.uid import generate_uid

import dimse
from main.destinations import Receipt
from main.destinations.orthanc_rest import OrthancRest
from main.errors import Permanent, Transient
from main.models.commitment import Commitment
from main.models.delivery import Proof
from main.pipeline.release import OpenRelease

# How long a proof waits for the answer to a storage commitment before it is looked up by the next try.
COMMITMENT_WAIT = 5.0


class Kind:
    """A DICOM peer.

    Settings: `host`, `port`, `ae_title` (default ORTHANC); for proof by content `rest_url`, `rest_user` and
    `rest_password_env`, the name of the environment variable with the password.
    """

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.name = name
        self.peer = dimse.Peer(
            host=settings["host"],
            port=int(settings["port"]),
            ae_title=settings.get("ae_title", "ORTHANC"),
            calling_ae_title=node.DICOM_AE_TITLE,
            silence_timeout=node.DICOM_PEER_TIMEOUT,
        )
        self.rest: OrthancRest | None = None
        if url := settings.get("rest_url"):
            variable = settings.get("rest_password_env", "")
            password = node.ENVIRONMENT.values.get(variable) or os.environ.get(variable, "")
            self.rest = OrthancRest(name, url, settings.get("rest_user", ""), password, node.DICOM_PEER_TIMEOUT)

    def send(self, releases: Sequence[OpenRelease]) -> Iterator[Receipt]:
        """Send over one association; what it did not get to is transient."""
        left = {release.sop_instance_uid: release for release in releases}
        try:
            for result in dimse.store(self.peer, [_instance(release) for release in releases]):
                release = left.pop(result.instance.sop_instance_uid)
                yield _receipt(release, result)
        except dimse.DimseError as error:
            for release in left.values():
                yield Receipt(
                    release.delivery_id,
                    "transient" if error.transient else "permanent",
                    code=_code(error),
                    sentence=error.sentence,
                )

    def begin_to_prove(self, release: OpenRelease) -> None:
        """Begin to read back over REST; the other proofs are one question for all."""
        if self.rest is not None:
            self.rest.begin(release)

    def prove(self, releases: Sequence[OpenRelease]) -> Iterator[Receipt]:
        """Prove by content, commitment or query, the first of them that the peer offers."""
        if self.rest is not None:
            yield from self.rest.prove(releases)
            return
        try:
            if node.DICOM_COMMITMENT_PORT is not None:
                try:
                    yield from self._prove_by_commitment(releases)
                    return
                except dimse.NotSupported:
                    pass
            yield from self._prove_by_query(releases)
        except dimse.DimseError as error:
            for release in releases:
                yield Receipt(
                    release.delivery_id, "sent", Proof.ACCEPTED, _code(error), f"Not proven yet: {error.sentence}"
                )

    def check(self) -> str:
        """C-ECHO, and the REST interface if it is configured."""
        try:
            dimse.echo(self.peer)
        except dimse.DimseError as error:
            raise (Transient if error.transient else Permanent)(_code(error), error.sentence) from None
        if self.rest is None:
            return f"{self.peer} answers C-ECHO; arrival is proven by storage commitment or query"
        return f"{self.peer} answers C-ECHO; {self.rest.check()}"

    def close(self) -> None:
        """Leave off reading back."""
        if self.rest is not None:
            self.rest.close()

    def _prove_by_query(self, releases: Sequence[OpenRelease]) -> Iterator[Receipt]:
        by_series: dict[tuple[str, str], list[OpenRelease]] = {}
        for release in releases:
            by_series.setdefault((release.study_instance_uid, release.series_instance_uid), []).append(release)
        for (study, series), own in by_series.items():
            found = dimse.find_instances(self.peer, study, series, [release.sop_instance_uid for release in own])
            for release in own:
                if release.sop_instance_uid in found:
                    yield Receipt(release.delivery_id, "proven", Proof.FOUND)
                else:
                    sentence = f"{self.peer} accepted the image but does not find it; it is sent again."
                    yield Receipt(release.delivery_id, "unproven", code="not-found", sentence=sentence)

    def _prove_by_commitment(self, releases: Sequence[OpenRelease]) -> Iterator[Receipt]:
        """Ask for commitment, or read the answer to what was asked before."""
        by_uid = {release.sop_instance_uid: release for release in releases}
        answered = Commitment.answers(self.name, by_uid)
        asked = Commitment.open_requests(self.name, by_uid)
        missing = [release for uid, release in by_uid.items() if uid not in answered and uid not in asked]
        if missing:
            self._ask_commitment(missing)
            answered = Commitment.answers(self.name, by_uid)
        for uid, release in by_uid.items():
            if uid not in answered:
                sentence = f"{self.peer} has not answered the storage commitment request yet."
                yield Receipt(release.delivery_id, "sent", Proof.ACCEPTED, "commitment-open", sentence)
            elif answered[uid] is None:
                yield Receipt(release.delivery_id, "proven", Proof.COMMITTED)
            else:
                sentence = f"{self.peer} does not commit to the image (reason 0x{answered[uid]:04X}); it is sent again."
                yield Receipt(release.delivery_id, "unproven", code="not-committed", sentence=sentence)
        Commitment.forget(self.name, list(answered))

    def _ask_commitment(self, releases: Sequence[OpenRelease]) -> None:
        """Ask, and wait a little: most peers answer at once."""
        transaction_uid = str(generate_uid(prefix=None))
        Commitment.ask(self.name, transaction_uid, [release.sop_instance_uid for release in releases])
        answer = dimse.request_commitment(self.peer, transaction_uid, [_instance(release) for release in releases])
        if answer is not None:
            Commitment.answer(answer.transaction_uid, answer.committed, answer.failed)
        until = time.monotonic() + COMMITMENT_WAIT
        while time.monotonic() < until and not Commitment.is_answered(transaction_uid):
            time.sleep(0.05)  # polls the row that the listener's process writes


def _instance(release: OpenRelease) -> dimse.Instance:
    return dimse.Instance(
        path=release.path,
        sop_class_uid=release.sop_class_uid,
        sop_instance_uid=release.sop_instance_uid,
        transfer_syntax_uid=release.transfer_syntax_uid,
        dataset_offset=release.dataset_offset,
    )


def _receipt(release: OpenRelease, result: dimse.StoreResult) -> Receipt:
    """A warning counts as sent: what is really there, the proof finds out. Without an answer the same bytes go again."""
    code = f"status-{result.status:04x}" if result.status else "no-answer"
    if result.outcome in ("accepted", "warning"):
        return Receipt(release.delivery_id, "sent", Proof.ACCEPTED)
    if result.outcome == "permanent":
        return Receipt(release.delivery_id, "permanent", code=code, sentence=result.sentence)
    return Receipt(release.delivery_id, "transient", code=code, sentence=result.sentence)


def _code(error: dimse.DimseError) -> str:
    if isinstance(error, dimse.AssociationError):
        return f"association-{error.kind}"
    if isinstance(error, dimse.RequestFailed):
        return f"status-{error.status:04x}"
    return "not-supported"
