"""The one exception of this library, and its stable vocabulary of codes.

No code or sentence here or elsewhere in the package may carry a value that was read from a file.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "empty": "the file has no bytes",
    "not-dicom": "the bytes are not a DICOM object",
    "archive": "a zip, gzip, 7z or other archive instead of an object",
    "encrypted-zip": "a zip archive that is protected by a password",
    "unreadable": "the file cannot be opened, or is no regular file",
    "truncated": "the file ends inside an element",
    "trailing-bytes": "bytes follow the last element",
    "too-deep": "sequences are nested deeper than the limit",
    "too-many-elements": "more elements or items than the limit",
    "too-large": "the file, or what it inflates to, is larger than the limit",
    "no-transfer-syntax": "the file meta information names no transfer syntax",
    "malformed": "an element, item or delimiter is not built as PS3.5 asks",
    "dicomdir": "a DICOMDIR is an index of files and cannot be released",
    "no-sop-class": "the object has no SOP Class UID",
    "no-sop-instance": "the object has no SOP Instance UID",
    "no-study": "the object has no Study Instance UID",
    "no-series": "the object has no Series Instance UID",
    "no-identifiers": "no PatientID was supplied for this object",
    "bad-identifier": "a supplied identifier does not fit its attribute",
    "bad-recipe": "the recipe cannot be used",
    "bad-key": "the key cannot be used",
    "pixels-undecided": "text may be burned into the pixels, and it cannot be told or removed",
    "document-undecided": "the object holds a document that cannot be cleaned",
    "excluded": "a filter of the recipe leaves the object out",
    "quarantined-by-recipe": "a filter of the recipe holds the object back for review",
    "does-not-fit": "a file is not the release to which a way back belongs, or another node changed it too much",
    "leak": "a known value of the patient is still in the output",
}


class Refused(Exception):
    """The library will not go on with this object.

    Parameters
    ----------
    code : str
        One of `CODES`; stable, meant for programs.
    sentence : str
        What a person needs to know. It never contains a value from the object.
    rule : str
        The name of the filter of the recipe that refuses it, if one does.
    """

    def __init__(self, code: str, sentence: str, rule: str = "") -> None:
        super().__init__(code, sentence, rule)
        self.code = code
        self.sentence = sentence
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.sentence} ({self.code})"
