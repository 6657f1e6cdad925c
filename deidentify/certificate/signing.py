"""The key that signs certificates, and the canonical form of what is signed.

Ed25519 (RFC 8032); the private key is derived from the project's key, so there is no second secret to keep.
"""

from __future__ import annotations

import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def signing_key(key: bytes) -> Ed25519PrivateKey:
    """Return the signing key that belongs to the key of a `Deidentifier`.

    HKDF-SHA256 (RFC 5869) without salt, with the info ``sendit/deidentify/certificate``. The public key tells nothing
    about `key`, and whoever has `key` can sign.
    """
    seed = HKDF(SHA256(), 32, salt=None, info=b"sendit/deidentify/certificate").derive(key)
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_key(key: Ed25519PrivateKey) -> str:
    """Return the public key as 64 hexadecimal digits, to be handed to whoever verifies certificates."""
    return key.public_key().public_bytes_raw().hex()


def canonical(content: dict[str, Any]) -> bytes:
    """Return JSON in one form: keys sorted, no spaces, ASCII. It holds texts and whole numbers only (RFC 8785)."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")


def is_signed(content: bytes, signature: str, public: str) -> bool:
    """Tell whether `signature` is that of `content` under the key; both are hexadecimal digits."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True
