"""Pseudonyms stay what they are for ever: these were given by earlier versions, and must come again."""

import pytest

from deidentify.pseudonyms import Pseudonyms, patient_key
from tests.deidentify.objects import KEY


def test_pseudonyms_and_the_key_of_the_engine_are_those_of_earlier_versions() -> None:
    key = patient_key("", "4711", "1.2.3")
    assert Pseudonyms(KEY).patient(key) == "ANON-3T7ZVGVIET6Q"
    assert Pseudonyms(KEY).accession(key, "A1") == "AEGU7SUFSLVO3"
    assert Pseudonyms(KEY).engine_key.hex() == "8d43aeb32888517c98357da1a27649e4794f7e8602cacea79719e322929fff7c"
    assert Pseudonyms(KEY).patient(patient_key("", "", "1.2.3")) == "ANON-L3FMG3X5X47V"


@pytest.mark.parametrize("other", [Pseudonyms(KEY, "another"), Pseudonyms(KEY[::-1])])
def test_another_project_or_key_gives_unlinked_pseudonyms(other: Pseudonyms) -> None:
    key = patient_key("", "4711", "1.2.3")
    assert other.patient(key) != Pseudonyms(KEY).patient(key)
    assert other.engine_key != Pseudonyms(KEY).engine_key


def test_spaces_and_ways_to_write_accents_make_no_other_patient() -> None:
    assert patient_key("A", " Jos\u00e9 ", "1") == patient_key("A ", "Jose\u0301", "2")
    assert patient_key("A", "7", "1") != patient_key("B", "7", "1")
    assert patient_key("", "", "1") != patient_key("", "", "2")
