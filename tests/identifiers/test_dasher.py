"""What DASHER is asked and what becomes of its answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main.errors import Quarantine, Transient
from main.identifiers import Answer, Request, dasher_wire
from main.identifiers import provider as configured
from main.identifiers.dasher import Provider
from main.projects import Project, default
from tests.identifiers.conftest import asking
from tests.identifiers.dasher_standin import SPOILERS, Dasher


def test_the_request_is_the_documented_one(provider: Provider, dasher: Dasher) -> None:
    provider.identify(asking())

    assert dasher.asked == [
        {
            "identifiers": [
                {
                    "id": "CANARYMRN731",
                    "id_source": "Stanford MRN",
                    "id_timestamp": "1961-07-27T00:00:00Z",
                    "items": [
                        {
                            "id": "CANARYACC42",
                            "id_source": "DCM Accession #",
                            "id_timestamp": "2010-02-04T00:00:00Z",
                        }
                    ],
                }
            ]
        }
    ]
    assert dasher.complaints == []


def test_the_answer_gives_pseudonyms_jittered_dates_and_the_shift(provider: Provider, dasher: Dasher) -> None:
    answer = provider.identify(asking())

    [entity] = answer.response["results"]
    [item] = entity["items"]
    assert answer.values == {
        "PatientID": entity["suid"],
        "PatientName": entity["suid"],
        "AccessionNumber": item["suid"],
        "PatientBirthDate": entity["jittered_timestamp"][:10].replace("-", ""),
        "StudyDate": item["jittered_timestamp"][:10].replace("-", ""),
    }
    assert answer.date_shift_days == item["jitter"]
    assert answer.values["PatientBirthDate"] != "19610727"


def test_the_same_patient_has_the_same_pseudonym_in_another_study(provider: Provider) -> None:
    first = provider.identify(asking())
    second = provider.identify(asking(accession_number="OTHER"))

    assert first.values["PatientID"] == second.values["PatientID"]
    assert first.values["AccessionNumber"] != second.values["AccessionNumber"]


@pytest.mark.parametrize("offset", ["Z", "-0800", "+0530", ".123Z"])
def test_both_ways_to_write_a_jittered_timestamp_are_read(provider: Provider, dasher: Dasher, offset: str) -> None:
    dasher.offset = offset

    answer = provider.identify(asking())

    [entity] = answer.response["results"]
    assert answer.values["PatientBirthDate"] == entity["jittered_timestamp"][:10].replace("-", "")


def test_it_is_the_provider_when_the_service_is_configured(provider: Provider, settings: Any) -> None:
    settings.DEIDENTIFY_RESTFUL = True

    assert configured(default()).name == provider.name == "dasher"


def test_another_keyword_can_be_the_item(provider: Provider, dasher: Dasher, settings: Any) -> None:
    settings.ITEM_ID = "SeriesNumber"

    provider.identify(asking(header={"SeriesNumber": "7"}))

    assert dasher.asked[0]["identifiers"][0]["items"][0]["id"] == "7"


def test_a_keyword_that_is_not_read_is_named(provider: Provider, settings: Any) -> None:
    settings.ENTITY_ID = "PatientIdd"

    with pytest.raises(Transient, match="ENTITY_ID names 'PatientIdd'") as caught:
        provider.identify(asking())
    assert caught.value.code == "identifiers-settings"


@pytest.mark.parametrize(
    ("field", "value", "keyword"),
    [
        ("patient_id", "", "PatientID"),
        ("patient_id", " -- ", "PatientID"),
        ("patient_id", "MRN 7", "PatientID"),
        ("patient_id", "MÜLLER", "PatientID"),
        ("accession_number", "", "AccessionNumber"),
        ("accession_number", "A/7", "AccessionNumber"),
        ("patient_birth_date", "", "PatientBirthDate"),
        ("patient_birth_date", "00000000", "PatientBirthDate"),
        ("patient_birth_date", "196107", "PatientBirthDate"),
        ("study_date", "20100230", "StudyDate"),
    ],
)
def test_what_dasher_would_not_accept_is_not_sent(
    provider: Provider, dasher: Dasher, field: str, value: str, keyword: str
) -> None:
    with pytest.raises(Quarantine, match=keyword) as caught:
        provider.identify(asking(**{field: value}))

    assert caught.value.code == "identifiers-request"
    assert dasher.asked == []


@pytest.mark.parametrize("spoiler", sorted(set(SPOILERS) - {"long-item-suid", "long-entity-suid"}))
def test_an_answer_that_is_not_one_to_the_question_is_refused(provider: Provider, dasher: Dasher, spoiler: str) -> None:
    dasher.fault = spoiler

    with pytest.raises(Quarantine) as caught:
        provider.identify(asking())

    assert caught.value.code == "identifiers-answer"


@pytest.mark.parametrize(("spoiler", "holds"), [("long-item-suid", 16), ("long-entity-suid", 64)])
def test_a_pseudonym_that_does_not_fit_is_refused_and_never_cut(
    provider: Provider, dasher: Dasher, spoiler: str, holds: int
) -> None:
    dasher.fault = spoiler

    with pytest.raises(Quarantine, match=f"holds {holds}") as caught:
        provider.identify(asking())

    assert caught.value.code == "identifiers-too-long"


def study(patient: int, accession: int, born: str = "19610727") -> Request:
    return asking(patient_id=f"P-{patient}", accession_number=f"A{accession}", patient_birth_date=born)


def test_many_are_asked_for_in_calls_of_950_and_put_together_again(provider: Provider, dasher: Dasher) -> None:
    wanted = [study(number % 7, number) for number in range(1901)]

    answers = provider.identify_many(wanted)

    sizes = [sum(len(entity["items"]) for entity in request["identifiers"]) for request in dasher.asked]
    assert sizes == [950, 950, 1]
    assert dasher.complaints == []
    for request, answer in zip(wanted, answers, strict=True):
        assert isinstance(answer, Answer)
        [entity] = answer.response["results"]
        [item] = entity["items"]
        assert (entity["id"], item["id"]) == (request.patient_id.replace("-", ""), request.accession_number)


def test_answers_in_another_order_go_to_those_they_are_for(provider: Provider, dasher: Dasher) -> None:
    wanted = [study(number % 3, number) for number in range(9)]
    expected = provider.identify_many(wanted)
    dasher.fault = "wrong-order"

    assert provider.identify_many(wanted) == expected


def test_one_that_cannot_be_asked_about_stops_no_other(provider: Provider) -> None:
    first, second, third = provider.identify_many([study(1, 1), asking(patient_id=""), study(2, 2)])

    assert isinstance(first, Answer)
    assert isinstance(second, Quarantine)
    assert isinstance(third, Answer)


def test_one_answer_that_cannot_be_used_stops_no_other(provider: Provider, dasher: Dasher) -> None:
    dasher.fault = "long-item-suid"

    first, second = provider.identify_many([study(1, 1), study(2, 2)])

    assert isinstance(first, Quarantine)
    assert isinstance(second, Answer)


def test_the_same_study_asked_for_twice_is_sent_once(provider: Provider, dasher: Dasher) -> None:
    first, second = provider.identify_many([study(1, 1), study(1, 1)])

    assert first == second
    assert len(dasher.asked[0]["identifiers"][0]["items"]) == 1


def test_a_patient_with_two_suids_in_two_calls_gets_none(provider: Provider, dasher: Dasher) -> None:
    dasher.fault = "other-suid-each-call"

    answers = provider.identify_many([study(1, number) for number in range(951)])

    assert all(isinstance(answer, Quarantine) for answer in answers)


def test_one_id_with_two_birth_dates_is_asked_about_in_two_calls(provider: Provider, dasher: Dasher) -> None:
    answers = provider.identify_many([study(1, 1), study(1, 2, born="19700101")])

    assert len(dasher.asked) == 2
    births = [answer.values["PatientBirthDate"][:4] for answer in answers if isinstance(answer, Answer)]
    assert births == ["1961", "1970"] or births == ["1961", "1969"]


_STUDIES = st.lists(
    st.builds(
        study,
        st.integers(0, 3),
        st.integers(0, 20),
        st.sampled_from(["19610727", "19700101"]),
    ),
    max_size=60,
)


@given(_STUDIES)
def test_every_study_is_in_one_call_and_no_call_is_ambiguous(requests: list[Request]) -> None:
    asked = [dasher_wire.Asked.of(request, "PatientID", "AccessionNumber", Project("default")) for request in requests]

    groups = dasher_wire.calls(asked)

    assert sorted(map(repr_of, {*asked})) == sorted(repr_of(one) for group in groups for one in group)
    for group in groups:
        entities = dasher_wire.body(group)["identifiers"]
        assert len({entity["id"] for entity in entities}) == len(entities)
        for entity in entities:
            assert len({item["id"] for item in entity["items"]}) == len(entity["items"])


def repr_of(one: dasher_wire.Asked) -> tuple[str, ...]:
    return one.entity, str(one.born), one.item, str(one.taken)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["P1", "A1", "suid", "jitter"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["results", "id", "items", "suid", "jitter", "jittered_timestamp"]), inner)
    ),
    max_leaves=20,
)


@given(_JSON)
def test_no_answer_does_more_than_be_refused(answer: Any) -> None:
    asked = dasher_wire.Asked.of(study(1, 1), "PatientID", "AccessionNumber", Project("default"))
    try:
        found = dasher_wire.read(answer, [asked])
    except Quarantine:
        return
    assert set(found) == {asked}
