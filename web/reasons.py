"""What the codes of quarantine mean, and what a person can do: the words of the quarantine page.

Codes that are not in the table are shown with the sentence that came with them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """One code in words."""

    title: str
    meaning: str
    remedy: str


_AT_SOURCE = "Correct it at the source and send it again, then discard this one."
_NOT_AN_OBJECT = "Nothing of it was sent. Discard it if it is not needed; its drop's folder is cleaned up then."
_ADJUST = "Requeue once that is corrected; until then the images stay here."

REASONS: dict[str, Reason] = {
    "leak": Reason(
        "A patient's value was left in the output",
        "The check after de-identification found a known value of the patient in the bytes that would have left.",
        "Look at the before/after table of an image, extend the recipe, restart the node, requeue.",
    ),
    "conflict": Reason(
        "Same SOP Instance UID, other content",
        "An image with this UID is registered already and its content differs. The first one goes on; this one is kept.",
        "Find out which of the two is right. Discard this one, or correct its UID at the source and send it again.",
    ),
    "study-of-another-patient": Reason(
        "A study that belongs to another patient",
        "Its Study Instance UID is registered for another patient. Images of two patients are never merged.",
        "Correct the Patient ID or the Study Instance UID at the source and send again. Discard this one.",
    ),
    "project-claimed-twice": Reason(
        "Two projects claim it",
        "By its source and the rules on tags it belongs to two projects at once, so it goes by none of them.",
        "Say more in the file of SENDIT_PROJECTS about what is whose, then requeue.",
    ),
    "project-unknown": Reason(
        "Its project is not there",
        "The project that it belongs to is not configured any more. It never goes by another one.",
        "Put the project back into the file of SENDIT_PROJECTS and requeue, or discard this.",
    ),
    "not-dicom": Reason("Not a DICOM file", "The bytes are not a DICOM object.", _NOT_AN_OBJECT),
    "empty": Reason(
        "Empty file", "The file has no bytes: its copy may have failed.", "Send it again, then discard it."
    ),
    "archive": Reason(
        "An archive", "Archives are not opened.", "Unpack it and drop the folder; then discard this one."
    ),
    "encrypted-zip": Reason(
        "An archive with a password",
        "Archives are not opened, least of all this one.",
        "Unpack it and drop the folder; then discard this one.",
    ),
    "truncated": Reason(
        "Cut off",
        "The file ends inside an element: a copy was interrupted, or the disk was full.",
        "Send the file again, then discard this one.",
    ),
    "trailing-bytes": Reason(
        "Bytes after the end", "Bytes follow the last element: they could hold anything.", _AT_SOURCE
    ),
    "malformed": Reason("Not built as DICOM asks", "An element, item or delimiter breaks PS3.5.", _AT_SOURCE),
    "unreadable": Reason(
        "Not readable", "The file could not be opened.", "Check the disk and its permissions, then requeue."
    ),
    "too-deep": Reason("Nested too deeply", "Sequences are nested deeper than the limit.", _AT_SOURCE),
    "too-many-elements": Reason("Too many elements", "More elements or items than the limit.", _AT_SOURCE),
    "too-large": Reason(
        "Too large", "The file is larger than SENDIT_MAX_FILE_BYTES.", "Raise the limit if it is wanted, then requeue."
    ),
    "no-transfer-syntax": Reason("No transfer syntax", "The File Meta names no transfer syntax.", _AT_SOURCE),
    "no-sop-class-uid": Reason("No SOP Class UID", "It cannot be told what kind of object it is.", _AT_SOURCE),
    "no-sop-instance-uid": Reason("No SOP Instance UID", "It cannot be told apart from other images.", _AT_SOURCE),
    "no-study-instance-uid": Reason("No Study Instance UID", "It cannot be told which study it is of.", _AT_SOURCE),
    "no-series-instance-uid": Reason("No Series Instance UID", "It cannot be told which series it is of.", _AT_SOURCE),
    "bad-sop-class-uid": Reason("A bad SOP Class UID", "It is not a UID by PS3.5 9.1.", _AT_SOURCE),
    "bad-sop-instance-uid": Reason("A bad SOP Instance UID", "It is not a UID by PS3.5 9.1.", _AT_SOURCE),
    "bad-study-instance-uid": Reason("A bad Study Instance UID", "It is not a UID by PS3.5 9.1.", _AT_SOURCE),
    "bad-series-instance-uid": Reason("A bad Series Instance UID", "It is not a UID by PS3.5 9.1.", _AT_SOURCE),
    "no-identifiers": Reason(
        "No identifiers",
        "Nothing is released without a pseudonym to put in.",
        "Check the identifiers' provider. Requeue.",
    ),
    "bad-identifier": Reason(
        "An identifier that does not fit",
        "The provider gave a value that its attribute cannot hold.",
        f"Correct it at the provider. {_ADJUST}",
    ),
    "bad-recipe": Reason(
        "The recipe cannot be used", "The recipe's file has a mistake.", f"Correct the recipe. {_ADJUST}"
    ),
    "original-changed": Reason(
        "Written to after it was registered",
        "The file is no longer the one that was registered, so nobody has looked at what is in it now. It did not leave.",
        "Requeue it once nobody writes to it any more: it is registered anew. Or discard it.",
    ),
    "no-original": Reason(
        "The original is gone",
        "The file is no longer in the data folder.",
        "Restore it from the source by sending it again, then discard this one.",
    ),
    "killed-worker": Reason(
        "It ended its worker",
        "Several workers died while they worked on it: it may be damaged, or larger than the memory allows.",
        "Look at the worker's log. Raise SENDIT_WORKER_MEMORY_BYTES and requeue, or discard it.",
    ),
    "no-progress": Reason(
        "No progress",
        "Many tries did not get it any further.",
        "Its series' history names the error. Requeue when solved.",
    ),
}


def reason(code: str, sentence: str) -> Reason:
    """The words for `code`; `sentence` is what the pipeline said."""
    if code in REASONS:
        return REASONS[code]
    return Reason(
        code.replace("-", " ").capitalize(), sentence, "Its history says more. Requeue it when the cause is gone."
    )
