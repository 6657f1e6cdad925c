"""The certificate of a study: what was done to its images, by which recipe and key, and the hash of each output.

It holds no value of a patient and no original UID, and is made from what the engine reported and from nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deidentify.certificate import signing
from deidentify.certificate.page import NOT_MEASURED, page
from deidentify.certificate.signing import public_key, signing_key
from deidentify.engine import Released
from deidentify.marks import BASIC_PROFILE, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION, METHODS
from deidentify.recipe import Recipe
from deidentify.validity import PROGRAM

__all__ = ["Certificate", "Verification", "public_key", "signing_key", "verify"]

FORMAT = "sendit certificate 1"
LARGEST = 1 << 28
_CHECKS = {
    "structure": "passed: every length and nesting of the source was walked",
    "leak": "passed: no known value of the patient and no original UID is in the outputs",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is certified of one study, signed or not.

    Attributes
    ----------
    content : dict
        Recipe, edition, key id, counts, checks and outputs. The same outputs give the same content.
    signed_at, public_key, signature : str
        When and by whom it was signed; empty as long as it is not.
    """

    content: Mapping[str, Any]
    signed_at: str = ""
    public_key: str = ""
    signature: str = ""

    @classmethod
    def of(
        cls,
        released: Iterable[Released],
        recipe: Recipe,
        *,
        not_released: Mapping[str, int] | None = None,
    ) -> Certificate:
        """Certify the outputs of one study.

        Parameters
        ----------
        released : iterable of Released
            At least one; all of one study, under one recipe and key. Their order does not matter.
        recipe : Recipe
            What they were made with.
        not_released : mapping of str to int, optional
            How many images of the study were not released, by reason code.

        Raises
        ------
        ValueError
            When nothing was released, the outputs do not belong together, or the recipe passes originals on.
        """
        images = sorted(released, key=lambda one: (one.series_instance_uid, one.sop_instance_uid))
        made_with = {(one.study_instance_uid, one.recipe_hash, one.key_id) for one in images}
        if len(made_with) != 1 or not recipe.deidentifies:
            raise ValueError("A certificate is for the de-identified outputs of one study, one recipe and one key.")
        ((study, recipe_hash, key_id),) = made_with
        if recipe_hash != recipe.hash:
            raise ValueError("The outputs were made with another recipe.")
        rules: Counter[str] = Counter()
        methods: Counter[str] = Counter()
        for one in images:
            rules.update(one.actions)
            methods.update(one.methods)
        by_all = [method for method in METHODS if methods[method] == len(images)]
        return cls(
            {
                "format": FORMAT,
                "study_instance_uid": study,
                "software": {"version": IMPLEMENTATION_VERSION, "class_uid": IMPLEMENTATION_CLASS_UID},
                "recipe": {"name": recipe.name, "sha256": recipe_hash},
                "profile": {
                    "standard": "DICOM PS3.15 Annex E",
                    "edition": recipe.edition,
                    "profile": BASIC_PROFILE if BASIC_PROFILE in by_all else "none",
                    "options": [method for method in by_all if method != BASIC_PROFILE],
                    "of_some_outputs": {name: methods[name] for name in METHODS if 0 < methods[name] < len(images)},
                },
                "key_id": key_id,
                "checks": _CHECKS,
                "pixels": dict(sorted(Counter(one.pixels for one in images).items())),
                "elements_by_rule": dict(sorted(rules.items())),
                "not_released": dict(sorted((not_released or {}).items())),
                "validity": _validity(images),
                "outputs": [
                    {
                        "sop_instance_uid": one.sop_instance_uid,
                        "series_instance_uid": one.series_instance_uid,
                        "sop_class_uid": one.sop_class_uid,
                        "transfer_syntax_uid": one.transfer_syntax_uid,
                        "size": one.size,
                        "sha256": one.sha256,
                    }
                    for one in images
                ],
            }
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Certificate:
        """Read a certificate that `json` wrote.

        Raises
        ------
        ValueError
            When the file is none.
        """
        refusal = ValueError(f"{Path(path).name} is no certificate of this kind.")
        try:
            if os.path.getsize(path) > LARGEST:
                raise refusal
            read = json.loads(Path(path).read_bytes())
            certificate = cls(read["certificate"], *(read["signature"][name] for name in ("at", "public_key", "value")))
            if certificate.content["format"] != FORMAT:
                raise refusal
            list(certificate.outputs())
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise refusal from None
        return certificate

    def sign(self, key: Ed25519PrivateKey, at: datetime) -> Certificate:
        """Return it signed under `key` (see `signing_key`), with `at` as the time of signing."""
        signed_at, public = at.astimezone(UTC).isoformat(timespec="seconds"), public_key(key)
        signature = key.sign(_signed_bytes(self.content, signed_at, public)).hex()
        return Certificate(self.content, signed_at, public, signature)

    @property
    def is_signed(self) -> bool:
        """Whether content and time of signing are what the owner of `public_key` signed."""
        signed = _signed_bytes(self.content, self.signed_at, self.public_key)
        return signing.is_signed(signed, self.signature, self.public_key)

    def outputs(self) -> Iterator[tuple[str, str]]:
        """Yield SOP Instance UID and SHA-256 of each output."""
        for output in self.content["outputs"]:
            yield str(output["sop_instance_uid"]), str(output["sha256"])

    def json(self) -> str:
        """Return it as JSON, for programs; `load` reads it again."""
        signature = {"algorithm": "Ed25519", "at": self.signed_at, "public_key": self.public_key}
        whole = {"certificate": self.content, "signature": {**signature, "value": self.signature}}
        return json.dumps(whole, indent=1, sort_keys=True) + "\n"

    def html(self) -> str:
        """Return the same as a page for people, which needs nothing from elsewhere."""
        return page(self.content, self.signed_at, self.public_key)


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of the outputs of a certificate.

    Attributes
    ----------
    is_signed : bool
        Whether the certificate is as it was signed, by the expected key where one was given.
    unchanged : int
        How many outputs were found byte for byte.
    missing : tuple of str
        SOP Instance UIDs of outputs of which no such file was found: they are gone, or were changed.
    others : tuple of Path
        Files that the certificate does not speak of.
    """

    is_signed: bool
    unchanged: int
    missing: tuple[str, ...]
    others: tuple[Path, ...] = field(repr=False)

    @property
    def holds(self) -> bool:
        """Whether the signature is right and every output is there, unchanged."""
        return self.is_signed and not self.missing


def verify(certificate: Certificate, files: Iterable[Path], expected_key: str = "") -> Verification:
    """Compare files with a certificate, by their hashes; names and folders do not matter.

    Parameters
    ----------
    certificate : Certificate
        Signed.
    files : iterable of Path
        Where its outputs should be among.
    expected_key : str, optional
        The public key that is known to be that of the sender. Without it, anybody could have signed.
    """
    wanted = {sha256: uid for uid, sha256 in certificate.outputs()}
    found: set[str] = set()
    others = []
    for path in files:
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 in wanted:
            found.add(sha256)
        else:
            others.append(path)
    signed = certificate.is_signed and expected_key in ("", certificate.public_key)
    missing = sorted(uid for sha256, uid in wanted.items() if sha256 not in found)
    return Verification(signed, len(found), tuple(missing), tuple(others))


def _validity(images: list[Released]) -> dict[str, Any] | str:
    """Return what the measured outputs have gained and lost in errors, by kind."""
    measured = [one.validity for one in images if one.validity]
    if not measured:
        return NOT_MEASURED
    gained, lost = Counter[str](), Counter[str]()
    for one in measured:
        gained.update(one["gained"])
        lost.update(one["lost"])
    return {
        "measured_by": PROGRAM,
        "outputs_measured": len(measured),
        "outputs_not_measured": len(images) - len(measured),
        "errors_gained": dict(sorted(gained.items())),
        "errors_lost": dict(sorted(lost.items())),
    }


def _signed_bytes(content: Mapping[str, Any], signed_at: str, public: str) -> bytes:
    return signing.canonical({"certificate": dict(content), "at": signed_at, "public_key": public})
