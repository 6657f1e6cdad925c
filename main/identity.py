"""The identity map and its vault: the only place where patient values are sealed, opened and looked up.

Sealing is Fernet (MultiFernet, so that keys can be rotated); look-ups use HMAC-SHA256 under a key of their own, one
derived key for each purpose, so that equal values of different kinds have unrelated indexes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from deidentify import pseudonyms as keyed
from deidentify.pseudonyms import Pseudonyms
from main.models import KeyRecord
from main.projects import project
from sendit import keys


@dataclass(frozen=True)
class KeyRing:
    """The keys in use: the vault's, the blind index's, and the pseudonyms' (`pseudonym`, 32 bytes)."""

    vault: MultiFernet
    index: bytes
    pseudonym: bytes

    @property
    def pseudonym_id(self) -> str:
        """Fingerprint of the node's pseudonym key."""
        return fingerprint(self.pseudonym)


def fingerprint(key: bytes) -> str:
    """A short name for a key that tells nothing about it."""
    return hashlib.sha256(b"sendit key fingerprint" + key).hexdigest()[:16]


def keyring() -> KeyRing:
    """The node's keys, made on first start; a new vault key in its file is seen at once, by every process.

    Raises
    ------
    ImproperlyConfigured
        If a key that existed before is missing or is another one: nothing may be sealed or named under a new key.
    """
    changed_at = keys.changed_at(settings.KEYS_DIR, "vault")
    if not changed_at and not settings.ENCRYPTION_KEY:
        vault_keys()  # is made, or was there before and is missing
        changed_at = keys.changed_at(settings.KEYS_DIR, "vault")
    return _keyring(settings.KEYS_DIR, changed_at)


@lru_cache(maxsize=1)
def _keyring(_folder: Path, _changed_at: int) -> KeyRing:
    vault = vault_keys()
    index = settings.SENDIT_INDEX_KEY or _key("index", "SENDIT_INDEX_KEY")
    pseudonym = settings.SENDIT_PSEUDONYM_KEY or _key("pseudonym", "SENDIT_PSEUDONYM_KEY")
    try:
        ring = KeyRing(
            MultiFernet([Fernet(key.encode("ascii")) for key in vault]),
            _thirty_two_bytes(index),
            _thirty_two_bytes(pseudonym),
        )
    except (ValueError, UnicodeEncodeError) as error:
        raise ImproperlyConfigured(
            "A key is not usable: ENCRYPTION_KEY is a Fernet key (44 characters), SENDIT_INDEX_KEY and "
            "SENDIT_PSEUDONYM_KEY are 64 hexadecimal digits."
        ) from error
    # A newer key is put in front of the vault's while keys are rotated; then it is the vault's (`main/rotation.py`).
    _check("vault", [key.encode("ascii") for key in reversed(vault)], "ENCRYPTION_KEY")
    _check("index", [ring.index], "SENDIT_INDEX_KEY")
    _check("pseudonym", [ring.pseudonym], "SENDIT_PSEUDONYM_KEY")
    return ring


def vault_keys() -> list[str]:
    """The Fernet keys of the vault, the newest first."""
    return settings.ENCRYPTION_KEY or _key("vault", "ENCRYPTION_KEY").split()


def _thirty_two_bytes(text: str) -> bytes:
    key = bytes.fromhex(text)
    if len(key) != 32:
        raise ValueError("a key has 32 bytes")
    return key


def _key(name: str, setting: str) -> str:
    found = keys.read(settings.KEYS_DIR, name)
    if found is None and KeyRecord.objects.filter(name=name).exists():
        raise ImproperlyConfigured(
            f"The {name} key existed before and is missing now. Restore keys/{name}.key in the data folder from your "
            f"backup, or give it as {setting} or {setting}_FILE. sendit does not go on under a new key."
        )
    return found or keys.read_or_make(settings.KEYS_DIR, name)


def _check(name: str, ours: list[bytes], setting: str) -> None:
    """The key that the database was made with is among `ours`; of a new database it is the first."""
    known, _ = KeyRecord.objects.get_or_create(
        name=name, defaults={"fingerprint": fingerprint(ours[0]), "since": timezone.now()}
    )
    if known.fingerprint not in map(fingerprint, ours):
        raise ImproperlyConfigured(
            f"The {name} key is not the one this database was made with (fingerprint {known.fingerprint}). "
            f"Restore keys/{name}.key in the data folder, or the right {setting}."
        )


def seal(values: str | dict[str, Any]) -> str:
    """Encrypt a text, or a dict of JSON values."""
    text = values if isinstance(values, str) else json.dumps(values, separators=(",", ":"))
    return keyring().vault.encrypt(text.encode("utf-8", "surrogateescape")).decode("ascii")


def unseal(token: str) -> str:
    """The text that `seal` was given. Raises ImproperlyConfigured under a wrong key."""
    return unseal_bytes(token).decode("utf-8", "surrogateescape")


def seal_bytes(data: bytes) -> str:
    """Encrypt bytes."""
    return keyring().vault.encrypt(data).decode("ascii")


def unseal_bytes(token: str) -> bytes:
    """The bytes that `seal_bytes` was given. Raises ImproperlyConfigured under a wrong key."""
    try:
        return keyring().vault.decrypt(token)
    except InvalidToken as error:
        raise ImproperlyConfigured("A sealed value does not open with the vault's key.") from error


def reseal(token: str) -> str:
    """The same text under the newest key. Raises ImproperlyConfigured under a wrong key."""
    try:
        return keyring().vault.rotate(token).decode("ascii")
    except InvalidToken as error:
        raise ImproperlyConfigured("A sealed value does not open with the vault's keys.") from error


def unseal_values(token: str) -> dict[str, Any]:
    """The dict that `seal` was given."""
    values: dict[str, Any] = json.loads(unseal(token))
    return values


def blind_index(purpose: str, value: str) -> str:
    """Keyed, deterministic index of `value`, 64 hex digits; equal only for equal purpose and value."""
    return _hmac(keyring().index, purpose, value).hex()


def patient_key(issuer: str, patient_id: str, study_instance_uid: str) -> str:
    """What makes two images those of one patient: `deidentify.pseudonyms.patient_key`, with the node's own issuer for none."""
    return keyed.patient_key(issuer.strip() or settings.SENDIT_ISSUER, patient_id, study_instance_uid)


def accession_index(accession_number: str) -> str:
    """Blind index of an accession number; of none, none."""
    accession_number = accession_number.strip()
    return blind_index("accession", accession_number) if accession_number else ""


def _hmac(key: bytes, purpose: str, value: str) -> bytes:
    subkey = hmac.digest(key, purpose.encode("utf-8"), "sha256")
    return hmac.digest(subkey, value.encode("utf-8", "surrogateescape"), "sha256")


def pseudonyms(name: str) -> Pseudonyms:
    """The pseudonyms of the project called `name`, under its own key or the node's.

    Raises
    ------
    Quarantine
        `project-unknown`.
    ImproperlyConfigured
        As `keyring`; and if its pseudonyms were made with another key before.
    """
    return _pseudonyms(name, project_key(name))


def project_key(name: str) -> bytes:
    """The key with which the pseudonyms of the project called `name` are made; raises like `pseudonyms`."""
    return project(name).key or keyring().pseudonym


def key_id(name: str) -> str:
    """Fingerprint of the key of the project called `name`: recorded with every release; raises like `pseudonyms`."""
    return fingerprint(project_key(name))


@lru_cache(maxsize=256)
def _pseudonyms(name: str, key: bytes) -> Pseudonyms:
    record, ours = f"project {name}", fingerprint(key)
    known, _ = KeyRecord.objects.get_or_create(name=record, defaults={"fingerprint": ours, "since": timezone.now()})
    if known.fingerprint != ours:
        raise ImproperlyConfigured(
            f"The key of project {name} is not the one that its pseudonyms were made with (fingerprint {known.fingerprint}). "
            "Restore its key_file in the file of SENDIT_PROJECTS; for other pseudonyms make another project."
        )
    return Pseudonyms(key, name)
