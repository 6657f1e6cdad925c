"""Encapsulated documents come out with cleaned text and nothing else of the source, or not at all."""

import base64
import io
import time
import zlib
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter
from pypdf.actions import JavaScript
from pypdf.annotations import FreeText
from pypdf.generic import ByteStringObject, DecodedStreamObject, NameObject

from deidentify import Recipe, Refused
from deidentify.documents import cleaned_document
from deidentify.documents.pdf import NOTICE, plain_pdf
from deidentify.known import Known
from deidentify.text import TextCleaner

CLEANER = TextCleaner(Recipe.load("research").text)
KNOWN = Known.of([(0x00100010, b"QUINBY^ADALBERTA"), (0x00100020, b"4711-88"), (0x00100030, b"19610309")], b"")
SECRETS = ("quinby", "adalberta", "4711-88", "1961", "goldengrove", "0049301234")
REPORT = [
    "CT ABDOMEN WITH CONTRAST of Adalberta Quinby, 4711-88",
    "Born 09.03.1961, Goldengrove Hospital, Tel. 0049301234",
    "Lesion 12 mm in segment 4 (liver), no fracture.",
]


def document(data: bytes, mime: str = "application/pdf") -> bytes:
    return cleaned_document(data, mime, CLEANER, KNOWN)


def shown(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def refusal(data: bytes, mime: str = "application/pdf") -> str:
    with pytest.raises(Refused) as refused:
        document(data, mime)
    assert refused.value.code == "document-undecided"
    return refused.value.sentence


def everything() -> PdfWriter:
    """Return a PDF with the patient's name wherever a PDF can have one."""
    writer = PdfWriter(clone_from=io.BytesIO(plain_pdf([REPORT])))
    writer.add_metadata({"/Author": "Quinby", "/Title": "Adalberta Quinby"})
    writer.xmp_metadata = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a>Quinby</a></x:xmpmeta>"
    writer.add_attachment("quinby.txt", b"Adalberta Quinby")
    writer.add_open_action(JavaScript("app.alert('Quinby');"))
    writer.add_annotation(0, FreeText(text="Quinby", rect=(50, 550, 200, 650)))
    writer.add_outline_item(title="Quinby", page_number=0)
    image = DecodedStreamObject()
    image[NameObject("/Subtype")] = NameObject("/Image")
    image.set_data(b"Quinby")
    writer._add_object(image)
    writer.compress_identical_objects()
    for page in writer.pages:
        page.compress_content_streams()
    return writer


def written(writer: PdfWriter) -> bytes:
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def test_a_pdf_keeps_its_safe_words_and_nothing_else() -> None:
    out = document(written(everything()))

    text = shown(out)
    assert NOTICE in text
    for words in ("CT ABDOMEN WITH CONTRAST", "Lesion 12 mm in segment 4", "no fracture"):
        assert words in text
    assert [secret for secret in SECRETS if secret.encode() in out.lower()] == []
    reader = PdfReader(io.BytesIO(out))
    assert not reader.metadata
    assert not reader.attachments
    assert sorted(reader.trailer["/Root"]) == ["/Pages", "/Type"]
    assert out == document(written(everything()))


def test_a_page_stays_a_page_and_long_ones_go_on() -> None:
    out = document(plain_pdf([["Liver normal."], ["No fracture."] * 100]))

    pages = PdfReader(io.BytesIO(out)).pages
    assert len(pages) == 3
    assert "Liver" in pages[0].extract_text()
    assert sum(page.extract_text().count("No fracture") for page in pages) == 100


@pytest.mark.parametrize("line", ["a (b) \\ c", "µ ≥ 3 mm", "x" * 500, "Größe", "\x00\x1b[31m", "肝臓"])
def test_any_line_gives_a_pdf_that_can_be_read(line: str) -> None:
    assert len(PdfReader(io.BytesIO(plain_pdf([[line, "after"]]))).pages) == 1
    assert "after" in shown(plain_pdf([[line, "after"]]))


def test_what_cannot_be_read_is_refused() -> None:
    encrypted = everything()
    encrypted.encrypt("secret", algorithm="RC4-128")
    blank = PdfWriter()
    blank.add_blank_page(100, 100)

    assert "encrypted" in refusal(written(encrypted))
    assert "scan" in refusal(written(blank))
    assert "damaged" in refusal(b"%PDF-1.4 and nothing else")
    assert "another kind" in refusal(b"solid", "model/stl")
    assert refusal(b"")


def test_bombs_are_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    deflated = zlib.compress(b"BT (Lung) Tj ET\n" * (1 << 22), 9)
    pages = written(everything())
    bomb = PdfWriter(clone_from=io.BytesIO(pages))
    stream = bomb.pages[0]["/Contents"].get_object()
    stream._data = deflated
    stream[NameObject("/Filter")] = NameObject("/FlateDecode")

    started = time.monotonic()
    with pytest.raises(Refused):
        document(written(bomb))
    assert time.monotonic() - started < 30
    monkeypatch.setattr("deidentify.documents.pdf.MOST_PAGES", 3)
    assert "pages" in refusal(plain_pdf([["Lung"]] * 5))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_pdf_is_cleaned_or_refused_and_never_crashes(data: st.DataObject) -> None:
    source = bytearray(written(everything()))
    for _ in range(data.draw(st.integers(1, 8))):
        source[data.draw(st.integers(0, len(source) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(source) // 2, len(source)))
    out = b""
    with suppress(Refused):
        out = document(bytes(source[:cut]))
    assert [secret for secret in SECRETS if secret.encode() in out.lower()] == []


def test_nothing_of_a_pdf_is_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    broken = plain_pdf([REPORT]).replace(b"/Type /Catalog", b"/Type /Quinby").replace(b"startxref", b"quinby")
    with suppress(Refused):
        document(broken)
    assert caplog.text == ""
    assert "".join(capfd.readouterr()) == ""


CDA = """<?xml version="1.0"?><?mso-application progid="Quinby"?>
<!-- Adalberta Quinby -->
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:q="urn:quinby">
 <realmCode code="US"/><typeId root="2.16.840.1.113883.1.3" extension="Quinby"/>
 <templateId root="2.16.840.1.113883.10.20.6"/><templateId root="1.2.3.4711"/>
 <id root="1.2.840.4711" extension="4711-88"/>
 <code code="18748-4" codeSystem="2.16.840.1.113883.6.1" displayName="Diagnostic imaging report of Quinby"/>
 <title>CT ABDOMEN WITH CONTRAST of Adalberta Quinby</title>
 <effectiveTime value="19610309"/><confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
 <languageCode code="en-US"/>
 <recordTarget><patientRole><id extension="4711-88" root="1.2.3"/><addr>Goldengrove</addr>
  <patient><name>Adalberta Quinby</name><birthTime value="19610309"/></patient></patientRole></recordTarget>
 <author><time value="20200101"/><assignedAuthor><id/><telecom value="tel:0049301234"/></assignedAuthor></author>
 <custodian><assignedCustodian><representedCustodianOrganization><id/><name>Goldengrove</name>
 </representedCustodianOrganization></assignedCustodian></custodian>
 <participant><associatedEntity><associatedPerson><name>Quinby</name></associatedPerson></associatedEntity></participant>
 <q:extension>Adalberta Quinby</q:extension>
 <component><structuredBody><component><section ID="Quinby">
  <title>Findings</title>
  <text>Liver normal. <content styleCode="Quinby">Adalberta Quinby</content> has a
   <table><tbody><tr><td colspan="2">Lesion 12 mm</td></tr></tbody></table><br/></text>
  <entry><observation classCode="OBS" moodCode="EVN"><id extension="4711-88" root="1.2.3"/>
   <code code="4711" codeSystem="1.2.840.4711" displayName="Quinby"/>
   <value xsi:type="PQ" value="12" unit="mm"/>
   <performer><assignedEntity><assignedPerson><name>Quinby</name></assignedPerson></assignedEntity></performer>
  </observation></entry>
 </section></component></structuredBody></component>
</ClinicalDocument>"""


def test_a_cda_document_keeps_sections_codes_and_measurements_and_no_person() -> None:
    out = document(CDA.encode(), "text/XML").decode()

    assert [secret for secret in (*SECRETS, "4711") if secret in out.lower()] == []
    for kept in (
        "<title>CT ABDOMEN WITH CONTRAST",
        'code="18748-4" codeSystem="2.16.840.1.113883.6.1"',
        "Liver normal",
        '<td colspan="2">Lesion 12 mm</td>',
        '<value xsi:type="PQ" value="12" unit="mm"></value>',
        '<recordTarget><patientRole><id nullFlavor="MSK"/></patientRole></recordTarget>',
        '<languageCode code="en-US">',
    ):
        assert kept in out, kept
    assert out.count("<id ") == 4  # of document, patient, author and custodian
    assert document(out.encode(), "text/xml").decode() == out


def test_a_pdf_inside_a_cda_document_is_cleaned_too() -> None:
    body = base64.b64encode(plain_pdf([REPORT])).decode()
    start, end = CDA.index("<component>"), CDA.rindex("</component>")
    source = (
        f'{CDA[:start]}<component><nonXMLBody><text mediaType="application/pdf" representation="B64">{body}</text>'
        f"</nonXMLBody>{CDA[end:]}"
    )
    out = document(source.encode(), "text/XML").decode()

    inner = out[out.index('"B64">') + 6 : out.index("</text>")]
    assert "Lesion 12 mm" in shown(base64.b64decode(inner))
    assert "quinby" not in shown(base64.b64decode(inner)).lower()
    assert refusal(source.replace("application/pdf", "text/rtf").encode(), "text/XML")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (CDA.replace("</title>", ""), "well-formed"),
        (CDA.replace("<ClinicalDocument", "<!DOCTYPE a [<!ENTITY b 'c'>]><ClinicalDocument", 1), "type declaration"),
        ("<html/>", "no CDA"),
        (CDA.replace("Liver normal.", "<list>" * 200 + "</list>" * 200), "deeply"),
        ("", "well-formed"),
    ],
)
def test_what_is_no_plain_cda_document_is_refused(source: str, why: str) -> None:
    assert why in refusal(source.encode(), "text/xml")


def test_padding_and_other_encodings_do_no_harm() -> None:
    assert "Liver" in document(CDA.encode() + b"\0", "text/XML").decode()
    assert "Liver" in document(CDA.replace('"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16"), "text/XML").decode()


def test_bytestrings_are_no_way_around() -> None:
    writer = everything()
    writer._info[NameObject("/Subject")] = ByteStringObject(b"Quinby")  # type: ignore[index]  # there since Author
    assert b"Quinby" not in document(written(writer))
