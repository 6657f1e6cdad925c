"""The certificate as a page for people: one HTML file that loads nothing, reads in light and dark, and prints.

Only how it looks; what it says is `deidentify.certificate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

NOT_MEASURED = "not measured"

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --quiet: #777; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere; }
p.quiet { color: var(--quiet); }
@media print { body { max-width: none; margin: 0; font-size: 10pt; } tr { break-inside: avoid; } }
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Certificate of de-identification</title>
<style>{style}</style>
</head>
<body>
<h1>Certificate of de-identification</h1>
<p>{count} of one study, de-identified by DICOM PS3.15 Annex E, edition {edition}.</p>
{facts}
<h2>Checks</h2>
{checks}
<h2>Pixels</h2>
{pixels}
{validity}
<h2>Elements by rule</h2>
{rules}
{left_out}
<h2>Outputs</h2>
{outputs}
<h2>Signature</h2>
{signature}
<p class="quiet">This page is for reading. What is signed is the JSON file beside it:
<code>python -m deidentify verify CERTIFICATE.json FOLDER</code> checks the signature and the hash of every output.
A certificate says what was done and checked. It is no promise that nobody can be recognised.</p>
</body>
</html>
"""


def page(content: Mapping[str, Any], signed_at: str, public_key: str) -> str:
    """Return the page of a certificate."""
    outputs, profile, recipe = content["outputs"], content["profile"], content["recipe"]
    left_out = _counts(content["not_released"])
    return _PAGE.format(
        style=_STYLE,
        count=f"{len(outputs):,} image" + "s" * (len(outputs) != 1),
        edition=escape(profile["edition"]),
        facts=_table(
            [
                ("Study", _code(content["study_instance_uid"])),
                ("Profile", escape(profile["profile"])),
                ("Options", escape(", ".join(profile["options"])) or "none"),
                *((escape(name), f"on {count:,} of them") for name, count in profile["of_some_outputs"].items()),
                ("Recipe", f"{escape(recipe['name'])} {_code(recipe['sha256'])}"),
                ("Key", _code(content["key_id"])),
                ("Software", escape(content["software"]["version"])),
            ]
        ),
        checks=_table(
            [
                *((escape(name), escape(said)) for name, said in content["checks"].items()),
                ("validity", _validity(content["validity"])),
            ]
        ),
        pixels=_counts(content["pixels"]),
        validity=_errors(content["validity"]),
        rules=_counts(content["elements_by_rule"]),
        left_out=f"<h2>Images of the study that were not released</h2>\n{left_out}" if content["not_released"] else "",
        outputs=_table(
            (_code(one["sop_instance_uid"]), f"{one['size']:,} bytes<br>SHA-256 {_code(one['sha256'])}")
            for one in outputs
        ),
        signature=_table([("Signed at", escape(signed_at)), ("Public key (Ed25519)", _code(public_key))])
        if signed_at
        else "<p>Not signed.</p>",
    )


def _validity(found: Mapping[str, Any] | str) -> str:
    if isinstance(found, str):
        return escape(found)
    gained = sum(found["errors_gained"].values())
    said = f"{gained:,} errors that the sources had not" if gained else "passed: no error that the sources had not"
    left_out = found["outputs_not_measured"]
    return (
        f"{said}, by {escape(found['measured_by'])} on {found['outputs_measured']:,} of the outputs"
        f"{f'; {NOT_MEASURED} on {left_out:,}' if left_out else ''}"
    )


def _errors(found: Mapping[str, Any] | str) -> str:
    if isinstance(found, str):
        return ""
    titles = {
        "errors_gained": "Errors of validity that were gained",
        "errors_lost": "Errors of validity that were lost",
    }
    return "\n".join(f"<h2>{title}</h2>\n{_counts(found[name])}" for name, title in titles.items() if found[name])


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _counts(counts: Mapping[str, int]) -> str:
    rows = "".join(f'<tr><td>{escape(name)}</td><td class="n">{count:,}</td></tr>\n' for name, count in counts.items())
    return f"<table>\n{rows}</table>"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "<table>\n" + "".join(f"<tr><th>{name}</th><td>{value}</td></tr>\n" for name, value in rows) + "</table>"
