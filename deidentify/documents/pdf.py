"""PDF: its text layer is read, cleaned line by line and set anew in a plain PDF (ISO 32000-1).

Images, fonts, metadata, attachments, scripts, forms and annotations are never copied, so there is nothing to find in them.
"""

from __future__ import annotations

import io
import logging
import textwrap
from collections.abc import Callable, Iterable, Iterator

from pypdf import Configuration, PdfReader, apply_configuration

from deidentify.errors import Refused

NOTICE = "De-identified text of a document. Its layout and images were removed."
MOST_PAGES, MOST_CHARACTERS = 2000, 1 << 22
LINES, COLUMNS = 64, 82
MOST_OPERATIONS = 10_000_000
_LIMITS = Configuration(
    zlib_maximum_output_length=1 << 24,
    lzw_maximum_output_length=1 << 24,
    run_length_maximum_output_length=1 << 24,
    array_based_stream_maximum_output_length=1 << 24,
    maximum_declared_stream_length=1 << 26,
    stream_decoding_work_maximum_length=1 << 26,
    stream_parsing_work_maximum_count=500_000,
    page_tree_maximum_entries=2 * MOST_PAGES,
    page_tree_maximum_page_entries=2 * MOST_PAGES,
    xform_maximum_invocations_per_extraction=200,
    jbig2dec_binary=None,
)
_SPELLED = str.maketrans({"≥": ">=", "≤": "<=", "−": "-", "\N{NO-BREAK SPACE}": " ", "\t": "    "})
_ESCAPED = str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"})

# pypdf's warnings quote what it reads, which may be a name.
logging.getLogger("pypdf").addHandler(logging.NullHandler())
logging.getLogger("pypdf").propagate = False


def cleaned_pdf(data: bytes, clean: Callable[[str], str]) -> bytes:
    """Return a plain PDF with the text of `data`, each line as `clean` leaves it.

    Raises
    ------
    Refused
        ``document-undecided``, when it is encrypted, damaged, too large, or has no text that can be read (a scan).
    """
    try:
        with apply_configuration(_LIMITS):
            pages = list(_pages(data))
    except (Refused, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - a damaged PDF raises anything
        raise Refused("document-undecided", "The PDF is damaged, or asks for more than the limits allow.") from None
    if not any(line.strip() for page in pages for line in page):
        raise Refused("document-undecided", "The PDF has no text that can be read; it is most likely a scan.")
    return plain_pdf([NOTICE, ""] * (number == 0) + [clean(line) for line in page] for number, page in enumerate(pages))


def _pages(data: bytes) -> Iterator[list[str]]:
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted:
        raise Refused("document-undecided", "The PDF is encrypted.")
    operations = characters = 0

    def count(*_: object) -> None:
        nonlocal operations
        operations += 1
        if operations > MOST_OPERATIONS:
            raise Refused("document-undecided", "The PDF has more drawing operations than can be read.")

    for number, page in enumerate(reader.pages):
        text = page.extract_text(visitor_operand_before=count)
        characters += len(text)
        if number >= MOST_PAGES or characters > MOST_CHARACTERS:
            raise Refused("document-undecided", f"The PDF has more than {MOST_PAGES} pages, or too much text.")
        yield text.splitlines()


def plain_pdf(pages: Iterable[list[str]]) -> bytes:
    """Return a PDF that shows lines of text in Courier; no dates, no identifiers, the same bytes every time.

    Characters outside of Windows-1252 become question marks.
    """
    sheets = [sheet for page in pages for sheet in _sheets(page)]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(sheets)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(sheets)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    ]
    for number, sheet in enumerate(sheets):
        shown = b"".join(b"(" + _written(line) + b") Tj T*\n" for line in sheet)
        stream = b"BT /F1 10 Tf 12 TL 50 792 Td\n" + shown + b"ET"
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            b"/Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>" % (5 + 2 * number),
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
        ]
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size, start = len(objects) + 1, len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, table)
    return bytes(out) + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, start)


def _sheets(lines: list[str]) -> Iterator[list[str]]:
    """Yield the lines of one page, broken to the width of the paper, as many at a time as fit on it."""
    broken = [part for line in lines for part in textwrap.wrap(line.translate(_SPELLED), COLUMNS) or [""]]
    for start in range(0, max(len(broken), 1), LINES):
        yield broken[start : start + LINES]


def _written(line: str) -> bytes:
    printable = "".join(char for char in line if char.isprintable())
    return printable.translate(_ESCAPED).encode("cp1252", "replace")
