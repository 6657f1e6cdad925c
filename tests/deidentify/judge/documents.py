"""A PDF writer of one page and a clinical document (CDA), with names in every place where such files hold text.

Just enough for viewers and for the search; nothing of DICOM is here.
"""

from __future__ import annotations

import zlib


def pdf(lines: list[str], info: dict[str, str], *, compressed: bool = True) -> bytes:
    """Return a PDF with a line of text for each of `lines`, an Info dictionary, and its values as XMP."""
    text = "BT /F1 14 Tf 50 760 Td 18 TL " + " ".join(f"({_escaped(line)}) Tj T*" for line in lines) + " ET"
    page = text.encode("latin-1", "replace")
    filtered = b"/Filter /FlateDecode " if compressed else b""
    page = zlib.compress(page) if compressed else page
    xmp = "<x:xmpmeta>" + "".join(f"<{k}>{v}</{k}>" for k, v in info.items()) + "</x:xmpmeta>"
    metadata = xmp.encode("utf-8")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Metadata 7 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< %s/Length %d >>\nstream\n%s\nendstream" % (filtered, len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< " + b" ".join(f"/{k} {_hexadecimal(v)}".encode() for k, v in info.items()) + b" >>",
        b"<< /Type /Metadata /Subtype /XML /Length %d >>\nstream\n%s\nendstream" % (len(metadata), metadata),
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R /Info 6 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return out + b"\0" * (len(out) % 2)


def cda(family: str, given: str, patient_id: str, text: str) -> bytes:
    """Return a clinical document about a patient."""
    out = (
        '<?xml version="1.0" encoding="UTF-8"?><ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget><patientRole>'
        f'<id extension="{patient_id}"/><patient><name><given>{given}</given><family>{family}</family></name>'
        f"</patient></patientRole></recordTarget><component><text>{text}</text></component></ClinicalDocument>"
    ).encode()
    return out + b" " * (len(out) % 2)


def _escaped(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _hexadecimal(value: str) -> str:
    """Return a PDF string in UTF-16, as most writers do for names."""
    return "<" + (b"\xfe\xff" + value.encode("utf-16-be")).hex() + ">"
