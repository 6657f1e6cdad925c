"""What is known of a patient is known in every spelling, once for all images of a series."""

from datetime import date

import pytest

from deidentify.dictionary import TAGS
from deidentify.known import ANYWHERE, WHOLE, WORD, Known
from deidentify.spelling import date_forms, unmarked


def known(**values: str) -> Known:
    return Known.of([(TAGS[keyword], value.encode()) for keyword, value in values.items()], b"ISO_IR 192")


def test_equal_values_are_known_once() -> None:
    assert known(PatientName="Strickland^Bo", PatientID="7") is known(PatientID="7", PatientName="Strickland^Bo")
    assert known(PatientName="Strickland^Bo") is not known(PatientName="Strickland^Bob")
    assert Known.of([], b"", [("PatientID", "HN-448812")]).forms == known(PatientID="HN-448812").forms


@pytest.mark.parametrize("form", [
    "grünwald", "grunwald", "gruenwald", "ottilie grünwald", "gruenwald, ottilie", "grünwald^ottilie",
    "ottiliegrunwald", "maria_ottilie", "grünwald^ottilie^maria",
])  # fmt: skip
def test_a_name_is_known_in_every_order_and_without_marks(form: str) -> None:
    assert known(PatientName="Grünwald^Ottilie^Maria").forms[form] == ANYWHERE


def test_how_far_a_value_is_searched_depends_on_its_length() -> None:
    forms = known(PatientName="Ng^Ida^Ruth", PatientID="12345", AccessionNumber="77", InstitutionName="Elms").forms
    assert forms["ruth"] == forms["12345"] == WORD
    assert forms["77"] == forms["elms"] == WHOLE
    assert "ng" not in forms
    assert "1" not in known(PatientID="1").forms


@pytest.mark.parametrize("name", ["CT", "TEST^PATIENT", "HEAD", "^^^^", "Anonymous", "A"])
def test_what_everybody_is_called_is_nobody(name: str) -> None:
    assert not known(PatientName=name).forms


def test_a_telephone_number_is_known_by_its_digits() -> None:
    assert known(PatientTelephoneNumbers="(555) 123-4567").forms["5551234567"] == ANYWHERE


def test_a_date_of_birth_is_known_in_the_usual_forms() -> None:
    born = known(PatientBirthDate="19370412")
    assert born.births == {date(1937, 4, 12)}
    written = ("19370412", "1937-04-12", "12.04.1937", "04/12/1937", "12.4.1937", "april 12, 1937", "12 avr 1937")
    assert set(written) <= set(date_forms(date(1937, 4, 12))) <= born.forms.keys()
    for nothing in ("", "19000101", "00010101", "1937", "19371399"):
        assert not known(PatientBirthDate=nothing).births


@pytest.mark.parametrize(("written", "forms"), [
    ("Müller", {"muller", "mueller"}),
    ("MUELLER", {"muller", "mueller"}),
    ("Strauß", {"strauss"}),
    ("Ångström", {"angstrom", "aangstroem"}),
    ("Łódź", {"lodz"}),
    ("François", {"francois"}),
    ("ﬁscher", {"fischer"}),
    ("Ｓｕｚｕｋｉ", {"suzuki"}),
])  # fmt: skip
def test_marks_are_left_out_or_written_as_letters(written: str, forms: set[str]) -> None:
    assert unmarked(written) == forms
