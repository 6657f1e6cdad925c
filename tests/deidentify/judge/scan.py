"""Looking for markers in an output: in its raw bytes in many encodings, in whatever it wraps, and in its decoded values.

A marker that is found anywhere in its own file's output is a leak, wherever it had been planted.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO

from pydicom import Dataset, FileDataset, dcmread

from tests.deidentify.judge.truth import Plant, Truth
from tests.deidentify.judge.values import value_at

_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
_WORD = re.compile(r"\w+")
_STREAM = re.compile(rb"stream\r?\n")
_HEXADECIMAL = re.compile(rb"<([0-9A-Fa-f]{8,})>")
_ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "gb18030", "euc_kr", "iso8859_5", "iso8859_7", "shift_jis")
_DEFLATED = "1.2.840.10008.1.2.1.99"


class Output:
    """An output as the search sees it."""

    def __init__(self, content: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.ds = dcmread(BytesIO(content), force=True) if content[128:132] == b"DICM" else FileDataset("", {})
            layers = [content, *_unwrapped(content)]
            if str(self.ds.file_meta.get("TransferSyntaxUID", "")) == _DEFLATED:
                layers.append(_inflated(content[_dataset_offset(content) :], -zlib.MAX_WBITS))
                layers += _unwrapped(layers[-1])
            self.raw = [layer.lower() for layer in layers]
            self.folded = "\n".join(_folded(value) for value in _values(self.ds))

    def leaks(self, truth: Truth) -> Iterator[tuple[Plant, str]]:
        """Yield each marker that is there, with the token of it that was found."""
        for plant in truth.plants:
            token = self._found(plant)
            if token:
                yield plant, token

    def _found(self, plant: Plant) -> str:
        if plant.path:
            there = set(_WORD.findall(_folded(value_at(self.ds, plant.path))))
            return next((word for word in plant.tokens if _folded(word) in there), "")
        for word in plant.tokens:
            if _folded(word) in self.folded or any(form in raw for form in _forms(word) for raw in self.raw):
                return word
        for number in plant.digits:
            pattern = re.compile(rb"(?<![0-9])" + number.encode() + (rb"" if len(number) == 8 else rb"(?![0-9])"))
            if any(pattern.search(raw) for raw in self.raw) or re.search(
                pattern.pattern.decode(), self.folded.replace("-", "")
            ):
                return number
        for piece in plant.raw:
            if piece in self.raw[0] or piece.lower() in self.raw[-1] or any(piece.lower() in raw for raw in self.raw):
                return "bytes"
        return ""


def _forms(word: str) -> Iterator[bytes]:
    for encoding in _ENCODINGS:
        try:
            yield word.lower().encode(encoding)
        except UnicodeError:
            continue
    try:  # ISO 2022 without its escape sequences: two bytes a letter
        bare = re.sub(rb"\x1b\$?[()]?[A-Z@]", b"", word.encode("iso2022_jp"))
        if len(bare) >= 6:
            yield bare.lower()
    except UnicodeError:
        pass


def _folded(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(c))


def _values(ds: Dataset) -> Iterator[str]:
    for tag in ds.keys():  # noqa: SIM118  # a data set iterates over its elements
        try:
            element = ds[tag]
        except Exception:  # noqa: BLE001  # what pydicom cannot decode is searched as bytes
            continue
        if element.VR == "SQ":
            for item in element.value:
                yield from _values(item)
        elif isinstance(element.value, bytes):
            if len(element.value) < 4096:
                yield element.value.decode("latin-1")
        else:
            yield str(element.value)
            if element.VR == "PN":
                yield str(element.value).replace("^", " ").replace("=", " ")


def _unwrapped(content: bytes) -> list[bytes]:
    """Return what is inside of streams, base64 and hexadecimal strings."""
    inner = []
    for match in _STREAM.finditer(content):
        inner.append(_inflated(content[match.end() :], zlib.MAX_WBITS))
    for match in _BASE64.finditer(content):
        for cut in range(4):
            piece = match.group()[cut:]
            try:
                inner.append(base64.b64decode(piece[: len(piece) // 4 * 4]))
            except binascii.Error:
                continue
    for match in _HEXADECIMAL.finditer(content):
        inner.append(bytes.fromhex(match.group(1)[: len(match.group(1)) // 2 * 2].decode()))
    return [b"\n".join(piece for piece in inner if piece)] if inner else []


def _inflated(data: bytes, window: int) -> bytes:
    try:
        return zlib.decompressobj(window).decompress(data, 1 << 26)
    except zlib.error:
        return b""


def _dataset_offset(content: bytes) -> int:
    return 144 + int.from_bytes(content[140:144], "little")
