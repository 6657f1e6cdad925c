"""The leak check looks into base64 and compressed streams, and takes no ordinary word or date for a secret."""

import base64
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidentify import Refused, leak
from deidentify.dictionary import TAGS
from deidentify.elements import Encoding, Piece, Stretch
from deidentify.known import Known
from deidentify.leak import hidden
from deidentify.source import Source
from tests.deidentify.objects import EXPLICIT, Elements, encoded

KNOWN = Known.of(
    [
        (TAGS["PatientName"], "Gr\u00fcnwald^Ottilie^M".encode()),
        (TAGS["PatientID"], b"HN-448812"),
        (TAGS["PatientBirthDate"], b"19370412"),
        (TAGS["InstitutionName"], b"Hospital of Elm Town"),
    ],
    b"ISO_IR 192",
)
ORIGINALS = frozenset({b"1.2.826.0.1.3680043.9.1.1", b"1.2.826.0.1.3680043.9.1234567890123456789012345678"})
BIG = Encoding(implicit=False, little=False)


def place(elements: Elements, known: Known = KNOWN, encoding: Encoding = EXPLICIT, supplied: str = "") -> str:
    """Return the path in the refusal of elements, or an empty string."""
    parts: list[tuple[int, list[Piece]]] = [
        (tag, [encoded({tag: value}, encoding)]) for tag, value in sorted(elements.items())
    ]
    try:
        leak.check(
            parts,
            known,
            ORIGINALS,
            supplied=(("StudyDate", supplied),) if supplied else (),
            implicit=encoding.implicit,
            little=encoding.little,
            source=Source.of_bytes(b""),
        )
    except Refused as error:
        if error.code != "leak":
            raise
        return error.sentence.split("element ")[1].split(" of")[0]
    return ""


def of(name: str) -> Known:
    return Known.of([(TAGS["PatientName"], name.encode())], b"ISO_IR 192")


def packed(text: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a name of a file", text)
    return target.getvalue()


def raw_deflate(text: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(text) + deflater.flush()


def pdf(text: bytes) -> bytes:
    letters = b"".join(b"(%c) -20 " % char for char in text)
    stream = zlib.compress(b"BT /F1 12 Tf [" + letters + b"] TJ ET")
    return b"%PDF-1.4\n1 0 obj<</Filter/FlateDecode>>stream\r\n" + stream + b"\r\nendstream endobj"


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "zlib amid others": lambda text: bytes(range(256)) + zlib.compress(text) + b"\1" * 99,
    "gzip": gzip.compress,
    "zip": packed,
    "deflate": raw_deflate,
    "PDF": pdf,
    "base64 in zlib": lambda text: zlib.compress(base64.b64encode(text)),
    "base64 in lines": lambda text: base64.encodebytes(b"x" * 50 + text),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(b"\xff\xfe~~" + text),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("secret", [b"seen: Ottilie", b"HN-448812", b"born 12.04.1937", b"1.2.826.0.1.3680043.9.1.1"])
def test_what_is_hidden_in_a_value_is_found(way: Callable[[bytes], bytes], secret: bytes) -> None:
    text = b"report of today: " + secret + b" and nothing else"
    assert place({TAGS["ICCProfile"]: ("OB", way(text))}) == "ICCProfile"
    assert not place({TAGS["ICCProfile"]: ("OB", way(b"report of today: nobody and nothing else, 1.2.826.0.1.999"))})


@given(st.binary(max_size=40), st.sampled_from([b"Ottilie", b"GRUENWALD", b"HN-448812", b"hospital of elm town"]))
def test_base64_is_found_in_every_alignment(before: bytes, secret: bytes) -> None:
    for start in (b"", b"key/", b"a", b"ab"):
        value = start + base64.b64encode(before + b" " + secret + b" .")
        assert place({TAGS["ICCProfile"]: ("OB", value)}) == "ICCProfile"


def test_bulk_data_is_searched_in_blocks() -> None:
    data = bytearray(b"\7" * 2_500_000)
    for position, secret in (
        (1_048_570, b" HN-448812 "),
        (2_400_000, zlib.compress(b"seen: Ottilie")),
        (0, b"GR\xdcNWALD\7"),
    ):
        filled = bytes(data[:position]) + secret + bytes(data[position + len(secret) :])
        parts: list[tuple[int, list[Piece]]] = [(TAGS["ICCProfile"], [b"head", Stretch(0, len(filled), False)])]
        with pytest.raises(Refused, match="ICCProfile"):
            leak.check(
                parts, KNOWN, ORIGINALS, supplied=(), implicit=False, little=True, source=Source.of_bytes(filled)
            )
    pixels: list[tuple[int, list[Piece]]] = [(TAGS["PixelData"], [b"head", Stretch(0, len(filled), True)])]
    leak.check(pixels, KNOWN, ORIGINALS, supplied=(), implicit=False, little=True, source=Source.of_bytes(filled))


def test_more_than_can_be_inflated_is_refused() -> None:
    bomb = zlib.compress(bytes(hidden.LARGEST_STREAM + 1))
    with pytest.raises(Refused) as error:
        place({TAGS["ICCProfile"]: ("OB", bomb)})
    assert error.value.code == "too-large"


@pytest.mark.parametrize("encoding", [EXPLICIT, BIG, Encoding(implicit=True, little=True)])
@pytest.mark.parametrize("uid", sorted(ORIGINALS))
def test_uids_are_found_beside_any_header(encoding: Encoding, uid: bytes) -> None:
    found = place({TAGS["ReferencedSOPInstanceUID"]: ("UI", uid + b"\0" * (len(uid) % 2))}, encoding=encoding)
    assert found == "ReferencedSOPInstanceUID"
    item: Elements = {TAGS["ReferencedSOPInstanceUID"]: ("UI", uid), 0x300A00B0: ("SQ", [])}
    found = place({TAGS["ReferencedSeriesSequence"]: ("SQ", [{}, item])}, encoding=encoding)
    assert found == "ReferencedSeriesSequence[1].ReferencedSOPInstanceUID"


def test_an_element_that_was_clean_is_searched_for_the_uids_of_the_next_image() -> None:
    element: Elements = {TAGS["SoftwareVersions"]: ("LO", "1.2.3.4.5.6.7.8.9.10.11")}
    assert not place(element)
    assert not place(element)
    parts: list[tuple[int, list[Piece]]] = [(TAGS["SoftwareVersions"], [encoded(element)])]
    with pytest.raises(Refused):
        leak.check(
            parts,
            KNOWN,
            frozenset({b"1.2.3.4.5.6.7.8.9.10.11"}),
            supplied=(),
            implicit=False,
            little=True,
            source=Source.of_bytes(b""),
        )


@pytest.mark.parametrize("spelling", ["GR\u00dcNWALD", "gr\u00fcnwald", "Gr\u00fcnwald"])
@pytest.mark.parametrize("charset", ["latin-1", "utf-8", "utf-16-le", "utf-16-be"])
def test_case_does_not_matter_for_letters_with_marks(spelling: str, charset: str) -> None:
    assert place({TAGS["Manufacturer"]: ("LO", f"x {spelling} y".encode(charset))}) == "Manufacturer"


@pytest.mark.parametrize("name", ["White^Rose", "Young^Long", "Chest^Hand", "MR^HEAD", "A^B", "TEST", "Max^Field"])
def test_names_that_are_words_of_descriptors_stop_no_coded_text(name: str) -> None:
    texts: Elements = {
        TAGS["CodeMeaning"]: ("LO", "White"),
        TAGS["BodyPartExamined"]: ("CS", "CHEST"),
        TAGS["SeriesDescription"]: ("LO", "young adult, white matter, long field of max head hand"),
        TAGS["Modality"]: ("CS", "MR"),
        TAGS["Manufacturer"]: ("LO", "TEST A B"),
    }
    assert not place(texts, of(name))


def test_a_name_that_is_an_ordinary_word_is_found_where_it_is_the_whole_text_or_the_whole_name() -> None:
    assert place({TAGS["SeriesDescription"]: ("LO", "White ")}, of("White^Rose")) == "SeriesDescription"
    assert place({TAGS["SeriesDescription"]: ("LO", "for White, Rose")}, of("White^Rose")) == "SeriesDescription"


def test_a_date_that_equals_the_birth_by_chance_is_no_leak_where_it_says_nothing_about_birth() -> None:
    for vr, name in (("DA", "StudyDate"), ("DT", "AcquisitionDateTime")):
        assert not place({TAGS[name]: (vr, "19370412")})
    assert place({TAGS["PatientBirthDate"]: ("DA", "19370412")}) == "PatientBirthDate"
    assert not place({TAGS["PatientBirthDate"]: ("DA", "19370412")}, supplied="19370412")
    assert place({TAGS["SeriesDescription"]: ("LO", "of 19370412")}) == "SeriesDescription"
    assert place({TAGS["SeriesDescription"]: ("LO", "12. April 1937")}) == "SeriesDescription"
    assert not place({TAGS["SeriesDescription"]: ("LO", "of 19370413")})


@given(st.binary(max_size=2000))
def test_any_bytes_are_searched_without_a_failure(data: bytes) -> None:
    place({TAGS["ICCProfile"]: ("OB", data)})


def test_a_placeholder_is_no_date_of_birth() -> None:
    nobody = Known.of([(TAGS["PatientBirthDate"], b"19000101")], b"")
    assert not place({TAGS["SeriesDescription"]: ("LO", "19000101")}, nobody)
