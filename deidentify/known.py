"""What of an object identifies a person or a place: the attributes whose original values the leak check looks for.

Only a list; how values are searched is `deidentify.leak`.
"""

from __future__ import annotations

from deidentify.dictionary import TAGS, VRS
from deidentify.tables import table_e1_1

PATIENT_NAME, NAME, IDENTIFIER, PLACE, DATE = range(5)

_PATIENT_NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName")
_IDENTIFIERS = (
    "PatientID",
    "OtherPatientIDs",
    "AccessionNumber",
    "MedicalRecordLocator",
    "AdmissionID",
    "InsurancePlanIdentification",
    "PatientTelephoneNumbers",
    "PatientTelecomInformation",
    "ReferringPhysicianTelephoneNumbers",
    "PersonTelephoneNumbers",
    "PersonTelecomInformation",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "ScheduledProcedureStepID",
    "PerformedProcedureStepID",
    "ServiceEpisodeID",
)
_PLACES = (
    "PatientAddress",
    "CountryOfResidence",
    "RegionOfResidence",
    "ReferringPhysicianAddress",
    "PersonAddress",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "ResponsibleOrganization",
)
_DATES = ("PatientBirthDate", "PatientBirthDateInAlternativeCalendar")


def _known() -> dict[int, int]:
    kinds = {int(row.tag, 16): NAME for row in table_e1_1().rows if row.vr == "PN"}
    kinds.update({tag: NAME for tag, vr in VRS.items() if vr == "PN"})
    for keywords, kind in (
        (_PATIENT_NAMES, PATIENT_NAME),
        (_IDENTIFIERS, IDENTIFIER),
        (_PLACES, PLACE),
        (_DATES, DATE),
    ):
        kinds.update({TAGS[keyword]: kind for keyword in keywords})
    return kinds


KNOWN = _known()
