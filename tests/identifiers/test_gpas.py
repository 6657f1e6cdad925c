"""What gPAS and the MII interface are asked, and what becomes of their answers and failures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main import crosswalk
from main.errors import Quarantine, Transient
from main.identifiers import gpas_wire
from main.identifiers import provider as configured
from main.identifiers.gpas import Provider
from main.projects import default
from tests.identifiers import standin
from tests.identifiers.conftest import CANARIES, asking
from tests.identifiers.gpas_standin import BACK_SPOILERS, PASSWORD, SPOILERS, TOKEN, USER, Gpas

AWKWARD = ["A&B", "A<B>", 'A"B', "A'B", "A*", "?", "A\\B", "0007", "ｶﾅ", "山田^太郎=やまだ", "x" * 64]


@pytest.fixture
def gpas() -> Iterator[Gpas]:
    service = Gpas().start()
    yield service
    service.stop()


@pytest.fixture
def ask(gpas: Gpas, settings: Any) -> Any:
    """A provider of the stand-in, with settings on top."""
    settings.SENDIT_IDENTIFIERS = "gpas"
    settings.GPAS_URL, settings.GPAS_DOMAIN, settings.GPAS_ACCESSION_DOMAIN = gpas.url, "Patients", "Accessions"
    settings.GPAS_TIMEOUT = 1.0

    def ask(**other: Any) -> Provider:
        for name, value in other.items():
            setattr(settings, name, value)
        return Provider()

    return ask


@pytest.mark.parametrize("api", gpas_wire.APIS)
@pytest.mark.parametrize("format", ["json", "xml"])
def test_every_published_interface_gives_the_pseudonyms(ask: Any, gpas: Gpas, api: str, format: str) -> None:
    answer = ask(GPAS_API=api, GPAS_FORMAT=format).identify(asking())

    assert answer.values == {
        "PatientID": gpas.known["Patients", "CANARYMRN-731"],
        "PatientName": gpas.known["Patients", "CANARYMRN-731"],
        "AccessionNumber": gpas.known["Accessions", "CANARYACC42"],
    }


def test_parts_are_read_also_where_the_outer_names_are_others(ask: Any, gpas: Gpas) -> None:
    gpas.fault = "swapped-names"
    assert ask().identify(asking()).values["PatientID"].startswith("psn_")
    for gpas.fault in ("mii-1.0-shape", "mii-1.0-shape-value"):
        assert ask(GPAS_API="mii-1.0").identify(asking()).values["PatientID"].startswith("psn_")


@pytest.mark.parametrize("api", gpas_wire.APIS)
@pytest.mark.parametrize("format", ["json", "xml"])
def test_awkward_ids_are_asked_as_they_are(ask: Any, gpas: Gpas, api: str, format: str) -> None:
    answers = ask(GPAS_API=api, GPAS_FORMAT=format).identify_many([asking(patient_id=one) for one in AWKWARD])

    assert [one.values["PatientID"] for one in answers] == [gpas.known["Patients", one] for one in AWKWARD]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\uffff\ufffe"), min_size=1))
def test_xml_carries_every_value(value: str) -> None:
    api = gpas_wire.APIS["gpas"]
    _, resource = gpas_wire.question(api, "Patients", [value], True)
    decoded = gpas_wire.decode(gpas_wire.encode(resource, gpas_wire.XML))
    assert decoded["parameter"][1] == {"name": "original", "valueString": value}


def test_the_bytes_are_those_of_the_gateway() -> None:
    api = gpas_wire.APIS["gpas"]
    _, resource = gpas_wire.question(api, "Patients", ["A&B"], True)
    assert gpas_wire.encode(resource, gpas_wire.XML).decode().partition("\n")[2] == (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="target" /><valueString value="Patients" />'
        '</parameter><parameter><name value="original" /><valueString value="A&amp;B" /></parameter></Parameters>'
    )
    answer = gpas_wire.decode(
        b'<?xml version="1.0" encoding="UTF-8"?><Parameters xmlns="http://hl7.org/fhir"><parameter>'
        b'<name value="pseudonym"/><part><name value="original"/><valueIdentifier>'
        b'<system value="https://ths-greifswald.de/gpas"/><value value="A&amp;B"/></valueIdentifier></part>'
        b'<part><name value="target"/><valueIdentifier><value value="Patients"/></valueIdentifier></part>'
        b'<part><name value="pseudonym"/><valueIdentifier><value value="PSN1"/></valueIdentifier></part>'
        b"</parameter></Parameters>"
    )
    assert gpas_wire.read(api, "Patients", ["A&B"], answer) == gpas_wire.Found({"A&B": "PSN1"}, {})


def test_many_values_go_into_few_calls_and_each_goes_once(ask: Any, gpas: Gpas) -> None:
    requests = [asking(patient_id=f"P{n % 150}", accession_number="") for n in range(300)]
    answers = ask().identify_many(requests)
    assert len({one.values["PatientID"] for one in answers}) == 150
    assert [(operation, domain, len(values)) for operation, domain, values in gpas.calls] == [
        ("$pseudonymizeAllowCreate", "Patients", 100),
        ("$pseudonymizeAllowCreate", "Patients", 50),
    ]


def test_an_older_gpas_is_asked_by_its_own_operation(ask: Any, gpas: Gpas) -> None:
    ask(GPAS_API="gpas-1.10.2").identify(asking())
    assert {operation for operation, *_ in gpas.calls} == {"$pseudonymize-allow-create"}


def test_without_a_domain_for_them_accession_numbers_are_keyed(ask: Any, gpas: Gpas, db: None) -> None:
    answer = ask(GPAS_ACCESSION_DOMAIN="").identify(asking())
    assert answer.values["AccessionNumber"].startswith("A")
    assert {domain for _, domain, _ in gpas.calls} == {"Patients"}


@pytest.mark.parametrize("api", gpas_wire.APIS)
def test_one_that_is_unknown_stops_no_other_when_nothing_may_be_created(ask: Any, gpas: Gpas, api: str) -> None:
    gpas.pseudonym("Patients", "KNOWN", True)
    known, unknown = ask(GPAS_API=api, GPAS_CREATE=False, GPAS_ACCESSION_DOMAIN="").identify_many(
        [asking(patient_id=one, accession_number="") for one in ("KNOWN", "UNKNOWN")]
    )
    assert known.values["PatientID"] == gpas.known["Patients", "KNOWN"]
    assert isinstance(unknown, Quarantine)
    assert unknown.code == "identifiers-unknown"
    assert ("Patients", "UNKNOWN") not in gpas.known


def test_an_answer_in_another_order_is_the_same_answer(ask: Any, gpas: Gpas) -> None:
    requests = [asking(patient_id=f"P{n}") for n in range(5)]
    before = ask().identify_many(requests)
    gpas.fault = "wrong-order"
    assert ask().identify_many(requests) == before


def test_a_pseudonym_that_two_patients_share_is_given_to_none(ask: Any, gpas: Gpas) -> None:
    gpas.same_for_all = True
    answers = ask().identify_many([asking(patient_id=f"P{n}") for n in range(2)])
    assert [one.code for one in answers] == ["identifiers-answer"] * 2


def test_a_patient_without_id_is_not_asked_about(ask: Any, gpas: Gpas) -> None:
    with pytest.raises(Quarantine) as caught:
        ask().identify(asking(patient_id=" ", accession_number=""))
    assert caught.value.code == "identifiers-request"
    assert gpas.calls == []


@pytest.mark.parametrize(
    ("require", "setting"),
    [("require_basic", {"GPAS_USER": USER, "GPAS_PASSWORD": PASSWORD}), ("require_bearer", {"GPAS_TOKEN": TOKEN})],
)
def test_who_asks_says_who_he_is(ask: Any, gpas: Gpas, require: str, setting: dict[str, str]) -> None:
    getattr(gpas, require)()
    with pytest.raises(Transient) as caught:
        ask().identify(asking())
    assert caught.value.code == "identifiers-unauthorised"
    assert ask(**setting).identify(asking()).values
    assert "gPAS answers" in ask(**setting).check()


@pytest.mark.parametrize("fault", SPOILERS)
def test_a_bad_answer_is_not_used(ask: Any, gpas: Gpas, fault: str) -> None:
    gpas.fault = fault
    with pytest.raises(Quarantine) as caught:
        ask(GPAS_ACCESSION_DOMAIN="").identify(asking())
    none = dict.fromkeys(("no-pseudonym", "empty-pseudonym"), "identifiers-unknown")
    assert caught.value.code == ({"too-long": "identifiers-too-long"} | none).get(fault, "identifiers-answer")


def test_a_bundle_with_too_few_answers_is_not_used(ask: Any, gpas: Gpas) -> None:
    gpas.fault = "too-few"
    with pytest.raises(Quarantine) as caught:
        ask(GPAS_API="mii-1.1").identify(asking())
    assert caught.value.code == "identifiers-answer"


@pytest.mark.parametrize("fault", [fault for fault in standin.FAULTS if fault not in ("400", "500-once")])
def test_a_failing_service_is_waited_for(ask: Any, gpas: Gpas, fault: str) -> None:
    gpas.fault = fault
    with pytest.raises(Transient):
        ask().identify(asking())


def test_a_short_failure_is_gone_by_the_second_try(ask: Any, gpas: Gpas) -> None:
    gpas.fault = "500-once"
    assert ask().identify(asking()).values


def test_an_unknown_domain_waits_until_the_setting_is_right(ask: Any) -> None:
    with pytest.raises(Transient) as caught:
        ask(GPAS_DOMAIN="Misspelt").identify(asking())
    assert caught.value.code == "identifiers-settings"


@pytest.mark.parametrize("missing", ["GPAS_URL", "GPAS_DOMAIN"])
def test_a_missing_setting_is_named(ask: Any, missing: str) -> None:
    with pytest.raises(Transient, match=missing):
        ask(**{missing: ""})


@pytest.mark.parametrize("content", [b"", b"<a", b"[]", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"[" * 99_999])
def test_what_is_no_resource_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(Transient) as caught:
        gpas_wire.decode(content)
    assert caught.value.code == "identifiers-garbled"


@pytest.mark.parametrize("fault", ["down", *standin.FAULTS, *SPOILERS])
def test_no_value_and_no_secret_in_any_error_or_log(
    ask: Any, gpas: Gpas, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    if fault == "down":
        gpas.stop()
    gpas.fault = fault
    said = ""
    try:
        ask(GPAS_TOKEN=TOKEN).identify(asking())
    except (Transient, Quarantine) as error:
        said = f"{error!r} {error} {error.sentence}"
    for value in (*CANARIES, TOKEN):
        assert value not in said + caplog.text


def test_the_node_uses_it_when_it_is_chosen(ask: Any) -> None:
    ask()
    assert isinstance(configured(default()), Provider)


@pytest.mark.parametrize("api", gpas_wire.APIS)
@pytest.mark.parametrize("format", ["json", "xml"])
def test_pseudonyms_lead_back_to_their_originals(ask: Any, gpas: Gpas, api: str, format: str) -> None:
    names = {gpas.pseudonym("Patients", one, True): one for one in AWKWARD}
    found = ask(GPAS_API=api, GPAS_FORMAT=format).original_of([*names, "nobodys", next(iter(names))])
    unknown = found.pop("nobodys")
    assert found == names
    assert isinstance(unknown, Quarantine)
    assert unknown.code == "identifiers-unknown"
    asked = {"gpas": "$dePseudonymize"}.get(api, "$de-pseudonymize")
    assert {(operation, domain) for operation, domain, _ in gpas.calls} == {(asked, "Patients")}
    assert ("Patients", "nobodys") not in gpas.known


def test_many_pseudonyms_go_into_few_calls(ask: Any, gpas: Gpas) -> None:
    names = {gpas.pseudonym("Patients", f"P{n}", True): f"P{n}" for n in range(150)}
    gpas.fault = "wrong-order"
    assert ask().original_of(list(names)) == names
    assert [len(values) for _, _, values in gpas.calls] == [100, 50]


@pytest.mark.parametrize(
    "fault", ["other-resource", "no-parameters", "too-few", "twice", "other-domain", *BACK_SPOILERS]
)
def test_a_bad_answer_gives_no_original(ask: Any, gpas: Gpas, fault: str) -> None:
    name = gpas.pseudonym("Patients", "CANARYMRN-731", True)
    gpas.fault = fault
    [given] = ask().original_of([name]).values()
    assert isinstance(given, Quarantine)
    assert given.code == ("identifiers-unknown" if fault == "empty-original" else "identifiers-answer")


def test_a_bundle_with_too_few_answers_gives_no_original(ask: Any, gpas: Gpas) -> None:
    names = [gpas.pseudonym("Patients", one, True) for one in "AB"]
    gpas.fault = "too-few"
    found = ask(GPAS_API="mii-2026").original_of(names)
    assert [one.code for one in found.values()] == ["identifiers-answer"] * 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("400", "identifiers-refused"),
        ("401", "identifiers-unauthorised"),
        ("403", "identifiers-unauthorised"),
        ("404", "identifiers-settings"),
        ("500", "identifiers-away"),
        ("hang", "identifiers-slow"),
        ("html", "identifiers-garbled"),
    ],
)
def test_a_service_that_refuses_or_is_away_says_so(ask: Any, gpas: Gpas, fault: str, code: str) -> None:
    name = gpas.pseudonym("Patients", "CANARYMRN-731", True)
    gpas.fault = fault
    try:
        [given] = ask().original_of([name]).values()
    except Transient as error:
        given = error
    assert given.code == code
    assert "CANARY" not in given.sentence
    assert name not in given.sentence


def test_who_is_forgotten_here_is_not_asked_about(ask: Any, gpas: Gpas, db: None) -> None:
    ask()
    here, gone = (gpas.pseudonym("Patients", one, True) for one in ("P1", "P2"))
    crosswalk.enter("default", {1: crosswalk.Name("2" * 64, gone, "")})
    crosswalk.forget("default", [], [gone])
    assert crosswalk.patients_behind("default", [here, gone]) == {here: crosswalk.Patient("", "P1")}
    assert gpas.calls == [("$dePseudonymize", "Patients", [here])]
