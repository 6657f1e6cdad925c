"""Encapsulated documents (PS3.3 A.45): made anew from their cleaned text, or refused.

Nothing of a source goes into a new document except what a cleaner or a list of safe forms let through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidentify.documents.cda import cleaned_cda
from deidentify.documents.pdf import cleaned_pdf
from deidentify.errors import Refused

if TYPE_CHECKING:
    from deidentify.dates import Shift
    from deidentify.known import Known
    from deidentify.text import TextCleaner

LARGEST = 1 << 26
_MAKERS = {"application/pdf": cleaned_pdf, "text/xml": cleaned_cda}


def cleaned_document(data: bytes, mime: str, cleaner: TextCleaner, known: Known, shift: Shift | None = None) -> bytes:
    """Return a document with the cleaned text of `data` and nothing else of it.

    The same input gives the same bytes. What this cannot read is refused, never passed on.

    Parameters
    ----------
    data : bytes
        The value of EncapsulatedDocument, up to 64 MiB; one byte of padding at its end does no harm.
    mime : str
        MIMETypeOfEncapsulatedDocument: ``application/pdf``, or ``text/XML`` for a CDA document.
    cleaner : TextCleaner
        Cleans each line of text.
    known : Known
        What is known of the patient.
    shift : Shift, optional
        Moves dates in the text.

    Raises
    ------
    Refused
        ``document-undecided``.
    """
    make = _MAKERS.get(mime.strip("\0 ").casefold())
    if make is None:
        raise Refused("document-undecided", "Only PDF and CDA documents can be cleaned; this is another kind.")
    if len(data) > LARGEST:
        raise Refused("document-undecided", f"The document is larger than {LARGEST} bytes.")
    return make(data, lambda line: cleaner.cleaned(line, known, shift))
