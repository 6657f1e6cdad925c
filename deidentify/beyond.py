"""Attributes that identify a person or are free text about one, although no row of Table E.1-1 names them.

A list with an action each, and the option under which their text is cleaned instead; the edition of the table that it was
compared with is 2026c. What a later edition lists itself is taken from there.
"""

from __future__ import annotations

from deidentify.actions import DUMMY_IF_FILLED, EMPTY, REMOVE
from deidentify.dictionary import TAGS

_REMOVED = (
    "PatientBirthDateInAlternativeCalendar",
    "PatientDeathDateInAlternativeCalendar",
    "BreedRegistrationNumber",
    "PlacerOrderNumberProcedure",
    "FillerOrderNumberProcedure",
    "PlacerOrderNumberImagingServiceRequestRetired",
    "FillerOrderNumberImagingServiceRequestRetired",
    "HL7InstanceIdentifier",
    "UniformResourceLocatorTrial",
    "ObjectBinaryIdentifierTrial",
    "ObjectDirectoryBinaryIdentifierTrial",
    "OwnerID",
    "ContactDisplayName",
    "ContactURI",
    "StoredInstanceBaseURI",
    "FolderAccessURI",
    "FileAccessURI",
    "FilenameInContainer",
    "RetrieveURL",
    "RetrieveURI",
    "StorageURL",
    "PixelDataProviderURL",
    "RelativeURIReferenceWithinEncapsulatedDocument",
    "NTPSourceAddress",
    "RecordKey",
    "PriorRecordKey",
    "MACParametersSequence",
    "Signature",
    "EncryptedContent",
    "HPGLDocument",
)
_FREE_TEXT = (
    "PotentialReasonsForProcedure",
    "PotentialDiagnosticTasks",
    "IndicationDescription",
    "InterventionDescription",
    "SubstanceAdministrationNotes",
    "CommentsOnTheScheduledProcedureStep",
    "CommentsOnPatientPerformanceOfVisualField",
    "ReasonForCancellation",
    "ProcedureStepProgressDescription",
    "TransactionStatusComment",
    "SystemStatusComment",
    "TestResultComment",
    "CalculationComment",
    "SurfaceComments",
    "DoseComment",
    "AssertionComments",
    "InstructionPerformanceComment",
    "SetupImageComment",
    "TreatmentStatusComment",
    "TreatmentTerminationDescription",
    "OverrideReason",
    "ObservationDescription",
    "AssessmentSummaryDescription",
    "ReportStatusCommentTrial",
    "IdentificationDescriptionTrial",
    "BibliographicCitationTrial",
    "SpecimenDescriptionTrial",
)

BEYOND: dict[int, tuple[int, str]] = {
    **{TAGS[keyword]: (REMOVE, "") for keyword in _REMOVED},
    **{TAGS[keyword]: (REMOVE, "clean-descriptors") for keyword in _FREE_TEXT},
    TAGS["DocumentTitle"]: (EMPTY, "clean-descriptors"),
    TAGS["TextValue"]: (DUMMY_IF_FILLED, "clean-structured-content"),
}
