"""A supplied value goes in as it is or is refused; it is never cut, and never repeated in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidentify import Identifiers, Refused


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "x" * 65),
        ("AccessionNumber", "x" * 17),
        ("PatientName", "x" * 65),
        ("PatientName", "a=b=c=d"),
        ("PatientName", "a^b^c^d^e^f"),
        ("PatientID", "a\\b"),
        ("PatientID", "a\nb"),
        ("PatientID", "a\x1bb"),
        ("PatientBirthDate", "1990-01-01"),
        ("PatientBirthDate", "19900231"),
        ("PatientBirthDate", "٠١٢٣٤٥٦٧"),
        ("StudyTime", "25"),
        ("PatientSex", "f"),
        ("PatientAge", "33"),
        ("PatientWeight", "heavy"),
        ("StudyInstanceUID", "1.2.3"),
        ("ContentSequence", "x"),
        ("PixelData", "x"),
        ("PatientNmae", "x"),
        ("TransferSyntaxUID", "1.2"),
    ],
)
def test_what_does_not_fit_is_refused(keyword: str, value: str) -> None:
    with pytest.raises(Refused) as refused:
        Identifiers({keyword: value})
    assert refused.value.code == "bad-identifier"
    if len(value) > 3:
        assert value not in refused.value.sentence


def test_what_fits_is_taken() -> None:
    values = {
        "PatientID": "x" * 64,
        "PatientName": "Family^Given^Middle^Dr^Jr=字^名=phonetic",
        "AccessionNumber": "",
        "PatientBirthDate": "19900228",
        "StudyTime": "235959.123456",
        "AcquisitionDateTime": "20200101120000.000000+0100",
        "PatientAge": "033Y",
        "PatientSex": "F",
        "ImageComments": "two\r\nlines",
    }
    taken = Identifiers(values)
    assert {keyword for keyword, _ in taken.key} == set(values)
    assert "Family" not in repr(taken)


@given(
    keyword=st.sampled_from(["PatientID", "PatientName", "PatientBirthDate", "StudyTime", "PatientSex"]),
    value=st.text(),
)
def test_any_text_is_taken_whole_or_refused(keyword: str, value: str) -> None:
    try:
        taken = Identifiers({keyword: value})
    except Refused as refused:
        assert refused.code == "bad-identifier"  # noqa: PT017 - both outcomes are right, each in its way
    else:
        assert dict(taken.key) == {keyword: value}
