"""Identifiers from a pseudonym service that speaks FHIR: gPAS (THS Greifswald) or the MII interface.

Here is who asks and what follows from an answer; the format is in `gpas_wire.py`, one call in `http.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from django.conf import settings
from requests.auth import AuthBase, HTTPBasicAuth

from main import identifiers, identity
from main.errors import Quarantine, Transient
from main.identifiers import Answer, Request, gpas_wire, unfit
from main.identifiers.http import Bearer, Service, accepted, call, insist
from main.projects import Project

# What was given for each value that was asked about, or why there is none.
Given = dict[str, str | Quarantine]


class Provider(identifiers.Provider):
    """Asks for the pseudonym of each PatientID, and of each AccessionNumber where a domain for them is set."""

    name = "gpas"

    def __init__(self, project: Project | None = None) -> None:
        super().__init__(project)
        self._domain: str = self.project.setting("GPAS_DOMAIN")
        self._accession_domain: str = self.project.setting("GPAS_ACCESSION_DOMAIN")
        for setting in ("GPAS_URL", "GPAS_DOMAIN"):
            if not self.project.setting(setting):
                raise Transient("identifiers-settings", f"{setting} is not set, so gPAS cannot be asked.")
        self._service = Service(
            "gPAS",
            "GPAS_URL and GPAS_API",
            "GPAS_TOKEN, or GPAS_USER and GPAS_PASSWORD",
            "GPAS_TIMEOUT",
            settings.GPAS_TIMEOUT,
        )
        self._api = gpas_wire.APIS[settings.GPAS_API]
        self._media_type = gpas_wire.XML if settings.GPAS_FORMAT == "xml" else gpas_wire.JSON
        self._auth: AuthBase | None = None
        if settings.GPAS_TOKEN:
            self._auth = Bearer(settings.GPAS_TOKEN)
        elif settings.GPAS_USER:
            self._auth = HTTPBasicAuth(settings.GPAS_USER.encode(), settings.GPAS_PASSWORD.encode())

    def identify_many(self, requests: Sequence[Request]) -> list[Answer | Quarantine]:
        """The pseudonyms of each patient and study, asked in as few calls as the service takes.

        None has one for `identifiers-request`, `-refused`, `-unknown`, `-answer` or `-too-long`.

        Raises
        ------
        Transient
            `identifiers-away`, `-slow`, `-busy`, `-garbled`, `-unauthorised` or `-settings`: ask again for all of them.
        """
        patients = self._ask(self._domain, "PatientID", [one.patient_id.strip() for one in requests])
        accessions: Given = {}
        if self._accession_domain:
            numbers = [one.accession_number.strip() for one in requests]
            accessions = self._ask(self._accession_domain, "AccessionNumber", numbers)
        return [_answer(request, patients, accessions, self.project) for request in requests]

    def check(self) -> str:
        """Whether the service answers and takes the credentials; asks about nobody."""
        accepted(
            self._service,
            call(self._service, "GET", f"{_base()}/metadata", media_type=self._media_type, auth=self._auth),
        )
        return f"gPAS answers at {_base()}; pseudonyms of domain {self._domain}"

    def original_of(self, pseudonyms: Sequence[str]) -> dict[str, str | Quarantine]:
        """The PatientID behind each pseudonym, or why the service does not tell.

        Raises
        ------
        Transient
            As `identify_many`.
        """
        return self._each(pseudonyms, self._back)

    def _ask(self, domain: str, keyword: str, originals: Sequence[str]) -> Given:
        """The pseudonym of each of `originals`, each asked about once; of none, none."""
        given = self._each(originals, lambda piece: self._pseudonyms(domain, keyword, piece))
        return dict(_distinct(given, keyword))

    def _each(self, values: Sequence[str], ask: Callable[[Sequence[str]], Given]) -> Given:
        """What is given for each of `values`, asked about once, in pieces; one that is refused costs its piece."""
        given: Given = {}
        wanted = [one for one in dict.fromkeys(values) if one]
        for start in range(0, len(wanted), settings.GPAS_VALUES_PER_CALL):
            piece = wanted[start : start + settings.GPAS_VALUES_PER_CALL]
            try:
                given |= ask(piece)
            except Quarantine as refused:
                given |= dict.fromkeys(piece, refused)
        return given

    def _pseudonyms(self, domain: str, keyword: str, originals: Sequence[str]) -> Given:
        question = gpas_wire.question(self._api, domain, originals, self.project.setting("GPAS_CREATE"))
        found = self._call(question, keyword, domain, originals, gpas_wire.PSEUDONYM)
        given: Given = {one: _usable(keyword, one, pseudonym) for one, pseudonym in found.values.items()}
        given |= {one: _unknown(keyword, code) for one, code in found.errors.items()}
        missing = [one for one in originals if one not in given]
        return given | dict.fromkeys(missing, _bad(f"leaves out {keyword}s that were asked about"))

    def _back(self, pseudonyms: Sequence[str]) -> Given:
        question = gpas_wire.question_back(self._api, self._domain, pseudonyms)
        found = self._call(question, "PatientID", self._domain, pseudonyms, gpas_wire.ORIGINAL)
        given: Given = {
            one: original if original != one else _bad("gives a pseudonym back as its original")
            for one, original in found.values.items()
        }
        given |= {one: _no_original(code) for one, code in found.errors.items()}
        missing = [one for one in pseudonyms if one not in given]
        return given | dict.fromkeys(missing, _bad("leaves out pseudonyms that were asked about"))

    def _call(
        self,
        question: tuple[str, gpas_wire.Resource],
        keyword: str,
        domain: str,
        asked: Sequence[str],
        wanted: str,
    ) -> gpas_wire.Found:
        operation, resource = question
        content = gpas_wire.encode(resource, self._media_type)
        url = f"{_base()}/{operation}" if operation else _base()
        reply = insist(
            lambda: call(self._service, "POST", url, content=content, media_type=self._media_type, auth=self._auth)
        )
        if reply.status == 404:
            raise Transient(
                "identifiers-settings",
                f"gPAS answered 404 for the domain of {keyword}: look at GPAS_URL, GPAS_API and the name of the domain.",
            )
        answer = gpas_wire.decode(accepted(self._service, reply).content)
        found = gpas_wire.read(self._api, domain, asked, answer, wanted)
        if found is None:
            raise _bad("is not one to the question")
        return found


def _base() -> str:
    return str(settings.GPAS_URL).rstrip("/")


def _answer(request: Request, patients: Given, accessions: Given, project: Project) -> Answer | Quarantine:
    patient = patients.get(request.patient_id.strip())
    if patient is None:
        return Quarantine("identifiers-request", "PatientID is missing or empty, so gPAS cannot be asked.")
    if isinstance(patient, Quarantine):
        return patient
    values = {"PatientID": patient, "PatientName": patient}
    if number := request.accession_number.strip():
        accession = accessions.get(number) or identity.pseudonyms(project.name).accession(request.patient_key, number)
        if isinstance(accession, Quarantine):
            return accession
        values["AccessionNumber"] = accession
    return Answer(values, response={"pseudonyms": values})


def _usable(keyword: str, original: str, pseudonym: str) -> str | Quarantine:
    """The pseudonym, if it can stand in its attribute as it is."""
    if pseudonym == original:
        return _bad(f"gives an original {keyword} back as its pseudonym")
    if wrong := unfit(keyword, pseudonym):
        code = "identifiers-too-long" if "longer" in wrong else "identifiers-answer"
        return Quarantine(code, f"gPAS's pseudonym for {keyword} {wrong}. It is used as it is or not at all.")
    return pseudonym


def _distinct(given: Given, keyword: str) -> Iterator[tuple[str, str | Quarantine]]:
    """What was given, but a pseudonym that two originals share to none of them: it would merge two patients."""
    count = Counter(one for one in given.values() if isinstance(one, str))
    for original, pseudonym in given.items():
        if isinstance(pseudonym, str) and count[pseudonym] > 1:
            yield original, _bad(f"gives two {keyword}s the same pseudonym")
        else:
            yield original, pseudonym


def _unknown(keyword: str, code: str) -> Quarantine:
    return Quarantine(
        "identifiers-unknown",
        f"gPAS has no pseudonym for this {keyword} ({_told(code)}). Enter it there, or set GPAS_CREATE=yes; then requeue.",
    )


def _no_original(code: str) -> Quarantine:
    return Quarantine("identifiers-unknown", f"gPAS does not know this pseudonym, or does not tell ({_told(code)}).")


def _told(code: str) -> str:
    """`code` as it may stand in a sentence."""
    return code if code.isascii() and code.replace("-", "").isalnum() and len(code) < 40 else "another code"


def _bad(what: str) -> Quarantine:
    return Quarantine("identifiers-answer", f"gPAS's answer {what}. It is not used. Ask those who run gPAS.")
