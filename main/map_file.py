"""The file that an identity map is carried in: pieces of bytes, each sealed, under a key that is made from a secret.

Nothing of it is ever plain on a disk, and one that was cut, reordered or changed does not open. What is in the pieces is said
elsewhere.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import pack, unpack
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from sendit.keys import sync_folder

_MAGIC = b"sendit map 1\n"
_SALT = 16
_LARGEST = 1 << 28
_MORE, _LAST = b"more", b"last"
SHORTEST_SECRET = 16


class Unreadable(ValueError):
    """A file that is no map, or does not open with the secret; the sentence says which."""


class Writer:
    """Seals pieces one after another, with AES-256-GCM."""

    def __init__(self, file: BinaryIO, secret: bytes) -> None:
        salt = os.urandom(_SALT)
        self._file, self._cipher, self._number = file, _cipher(secret, salt), 0
        file.write(_MAGIC + salt)

    def add(self, piece: bytes) -> None:
        """Seal a piece."""
        self._write(piece, _MORE)

    def end(self) -> None:
        """Say that this was all."""
        self._write(b"", _LAST)

    def _write(self, piece: bytes, kind: bytes) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number), zlib.compress(piece, 1), kind)
        self._file.write(pack("<L", len(sealed)) + sealed)
        self._number += 1


@contextmanager
def written(path: Path, secret: bytes) -> Iterator[Writer]:
    """Give a writer of a new file, of mode 0600; it is in its place when everything is in it, and else there is none.

    Raises
    ------
    FileExistsError
        There is a file of this name.
    """
    with whole(path) as file:
        writer = Writer(file, secret)
        yield writer
        writer.end()


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """Give a new file of mode 0600 that is put into its place, synced, once all was written; and else there is none.

    Raises
    ------
    FileExistsError
        There is a file of this name.
    """
    if path.exists():
        raise FileExistsError(path)
    partial = path.with_name(f".{path.name}.part")
    partial.unlink(missing_ok=True)
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.resolve().parent)


def read(path: Path, secret: bytes) -> Iterator[bytes]:
    """Yield the pieces of a file.

    Raises
    ------
    Unreadable
        It is no map, does not open, or does not go on to its end.
    """
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise Unreadable("This file is no map that export_map wrote.")
        cipher, number = _cipher(secret, file.read(_SALT)), 0
        while True:
            (length,) = unpack("<L", _exactly(file, 4))
            sealed = _exactly(file, length) if length <= _LARGEST else b""
            if (piece := _opened(cipher, number, sealed, _MORE)) is None:
                if _opened(cipher, number, sealed, _LAST) is None:
                    raise Unreadable(
                        "The file does not open: it is another passphrase or key, or the file was changed."
                    )
                return
            yield piece
            number += 1


def _exactly(file: BinaryIO, length: int) -> bytes:
    found = file.read(length)
    if len(found) != length:
        raise Unreadable("The file ends too early: it was not copied whole.")
    return found


def _opened(cipher: AESGCM, number: int, sealed: bytes, kind: bytes) -> bytes | None:
    try:
        return zlib.decompress(cipher.decrypt(_nonce(number), sealed, kind))
    except (InvalidTag, ValueError):
        return None


def _cipher(secret: bytes, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(secret))


def _nonce(number: int) -> bytes:
    return pack("<LQ", 0, number)
