"""CDA documents (HL7 CDA R2): written anew from a list of elements and attributes that hold no identity.

An element that is not listed goes with everything in it; text is cleaned, and people and ids become null (`MSK`, masked).
"""

from __future__ import annotations

import base64
import binascii
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable
from xml.parsers.expat import ExpatError, ParserCreate, errors
from xml.sax.saxutils import escape, quoteattr

from deidentify.documents.pdf import cleaned_pdf
from deidentify.errors import Refused

V3, XSI = "urn:hl7-org:v3", "http://www.w3.org/2001/XMLSchema-instance"
MOST_ELEMENTS, DEEPEST = 200_000, 100
_BETWEEN = "\x1f"
_UTF_16 = (BOM_UTF16_LE, BOM_UTF16_BE)

# What stands for the people and ids that CDA asks for (CDA R2 4.2): present, and masked.
_NULL = '<{0} nullFlavor="MSK"/>'
_ID = _NULL.format("id")
MASKED = {
    "id": _ID,
    "effectiveTime": _NULL.format("effectiveTime"),
    "recordTarget": f"<recordTarget><patientRole>{_ID}</patientRole></recordTarget>",
    "author": f"<author>{_NULL.format('time')}<assignedAuthor>{_ID}</assignedAuthor></author>",
    "custodian": (
        "<custodian><assignedCustodian><representedCustodianOrganization>"
        f"{_ID}</representedCustodianOrganization></assignedCustodian></custodian>"
    ),
}
_TEXT = "title caption paragraph content list item table thead tbody tfoot tr th td br sub sup originalText"
_STRUCTURE = """
ClinicalDocument realmCode typeId templateId code languageCode confidentialityCode component structuredBody nonXMLBody
section text entry organizer observation act procedure entryRelationship statusCode value methodCode targetSiteCode
interpretationCode referenceRange observationRange low high translation qualifier
"""
TEXT = frozenset(_TEXT.split())
KEPT = TEXT.union(_STRUCTURE.split())
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]{0,15}")
# Code systems and templates of HL7, DICOM and IHE; those of others may name a hospital.
_PUBLIC = re.compile(
    r"(2\.16\.840\.1\.113883\.(1|5|6|10)|1\.2\.840\.10008|1\.3\.6\.1\.4\.1\.19376)(\.(0|[1-9][0-9]{0,9})){1,16}"
)
_NUMBER = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,6})?")
ATTRIBUTES = {
    "typeCode": _WORD,
    "classCode": _WORD,
    "moodCode": _WORD,
    "nullFlavor": _WORD,
    "negationInd": _WORD,
    "inversionInd": _WORD,
    f"{XSI}{_BETWEEN}type": _WORD,
    "code": _CODE,
    "codeSystem": _PUBLIC,
    "unit": re.compile(r"[A-Za-z%0-9./*\[\]{}^-]{1,12}"),
    "value": _NUMBER,
    "colspan": _NUMBER,
    "rowspan": _NUMBER,
    "listType": _WORD,
}
_BY_THEMSELVES = frozenset({"statusCode", "languageCode", "realmCode"})
_TYPE_ID = {"root": "2.16.840.1.113883.1.3", "extension": "POCD_HD000040"}


def cleaned_cda(data: bytes, clean: Callable[[str], str]) -> bytes:
    """Return a CDA document with the sections, codes and measurements of `data`, text as `clean` leaves it.

    Raises
    ------
    Refused
        ``document-undecided``, when it is no CDA document, not well-formed, has a document type declaration, or a body
        of another kind than sections or PDF.
    """
    writer = _Writer(clean)
    parser = ParserCreate(namespace_separator=_BETWEEN)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = writer.doctype
    parser.StartElementHandler, parser.EndElementHandler = writer.start, writer.end
    parser.CharacterDataHandler = writer.text
    try:
        parser.Parse(data if data.startswith(_UTF_16) else data.rstrip(b"\0"), True)
    except ExpatError as error:
        reason = errors.messages.get(error.code, "not XML")
        raise Refused("document-undecided", f"The CDA document is not well-formed XML: {reason}.") from None
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + "".join(writer.out).encode() + b"\n"


class _Writer:
    """Writes what is kept while the source is parsed."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        self.out: list[str] = []
        self._clean = clean
        self._open: list[str] = []
        self._dropped = 0
        self._masked: set[str] = set()
        self._text: list[str] = []
        self._embedded = False
        self._elements = 0

    def doctype(self, *_: object) -> None:
        raise Refused(
            "document-undecided", "The CDA document has a document type declaration, which may hide anything."
        )

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS or len(self._open) + self._dropped > DEEPEST:
            raise Refused("document-undecided", "The CDA document has too many elements, or nests them too deeply.")
        space, _, local = name.rpartition(_BETWEEN)
        if not self._open and not self._dropped and (space, local) != (V3, "ClinicalDocument"):
            raise Refused("document-undecided", "The XML document is no CDA document.")
        self._flush()
        inside = self._open[-1] if self._open else ""
        if self._dropped or space != V3 or not _is_kept(local, inside, attributes):
            if not self._dropped and len(self._open) == 1 and local in MASKED and local not in self._masked:
                self._masked.add(local)
                self.out.append(MASKED[local])
            self._dropped += 1
            return
        self._open.append(local)
        if inside == "nonXMLBody":
            self._embedded = True
        self.out.append(f"<{local}{self._attributes(local, attributes)}>")

    def end(self, _: str) -> None:
        if self._dropped:
            self._dropped -= 1
            return
        self._flush()
        self._embedded = False
        self.out.append(f"</{self._open.pop()}>")

    def text(self, data: str) -> None:
        if not self._dropped:
            self._text.append(data)

    def _flush(self) -> None:
        """Write the text that was collected: cleaned, line by line, and only where text belongs."""
        text, self._text = "".join(self._text), []
        if not text.strip():
            return
        if self._embedded:
            self.out.append(self._pdf(text))
        elif self._open and (self._open[-1] in TEXT or self._open[-1] == "text"):
            lines = (self._clean(line.strip()) for line in text.splitlines())
            before, after = " " * text[0].isspace(), " " * text[-1].isspace()
            self.out.append(escape(before + "\n".join(line for line in lines if line) + after))

    def _attributes(self, local: str, attributes: dict[str, str]) -> str:
        if self._embedded:
            return _spelled({"mediaType": "application/pdf", "representation": "B64"})
        if local == "typeId":
            return _spelled(_TYPE_ID)
        kept = {
            key: value for key, value in attributes.items() if key in ATTRIBUTES and ATTRIBUTES[key].fullmatch(value)
        }
        if local == "templateId":
            kept["root"] = attributes["root"]
        if "codeSystem" not in kept and local not in _BY_THEMSELVES:
            kept.pop("code", None)
        if display := self._clean(attributes.get("displayName", "")) if "code" in kept else "":
            kept["displayName"] = display
        return _spelled({"xmlns": V3, "xmlns:xsi": XSI} | kept if local == "ClinicalDocument" else kept)

    def _pdf(self, text: str) -> str:
        try:
            content = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise Refused("document-undecided", "The body of the CDA document is not base64.") from None
        return base64.b64encode(cleaned_pdf(content, self._clean)).decode()


def _is_kept(local: str, inside: str, attributes: dict[str, str]) -> bool:
    if local == "name":  # of a code's qualifier, and not of a person
        return inside == "qualifier"
    if local == "templateId":
        return _PUBLIC.fullmatch(attributes.get("root", "")) is not None
    if inside == "nonXMLBody":
        if (attributes.get("mediaType"), attributes.get("representation")) != ("application/pdf", "B64"):
            raise Refused("document-undecided", "The CDA document has a body that is neither sections nor a PDF.")
        return local == "text"
    return local in KEPT


def _spelled(attributes: dict[str, str]) -> str:
    return "".join(f" {key.replace(XSI + _BETWEEN, 'xsi:')}={quoteattr(value)}" for key, value in attributes.items())
