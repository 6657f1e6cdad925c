"""A certificate says what was done and nothing of the patient, and shows when it or an output was changed."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deidentify import Deidentifier, Identifiers, Recipe, Released
from deidentify.certificate import Certificate, public_key, signing_key, verify
from tests.deidentify.command import finished, key_file, outputs, write_image, write_studies
from tests.deidentify.objects import IDENTIFIERS, KEY

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RECIPE = Recipe.load("research")
SECRETS = ("quinby", "adalberta", "1.2.3.1", "im0001")


@pytest.fixture
def released(tmp_path: Path) -> list[Released]:
    engine, made = Deidentifier(RECIPE, KEY), []
    for number in (1, 2, 3):
        write_image(tmp_path / f"{number}", "ADALBERTA", 1, number)
        made.append(engine.file(tmp_path / f"{number}", tmp_path / f"{number}.dcm", Identifiers(IDENTIFIERS)))
    return made


@pytest.fixture
def certificate(released: list[Released]) -> Certificate:
    return Certificate.of(released, RECIPE, not_released={"truncated": 1}).sign(signing_key(KEY), NOW)


def loaded(content: str, tmp_path: Path) -> Certificate:
    (tmp_path / "certificate.json").write_text(content)
    return Certificate.load(tmp_path / "certificate.json")


def test_it_says_what_was_done(certificate: Certificate, released: list[Released]) -> None:
    content = certificate.content

    assert content["recipe"] == {"name": "research", "sha256": RECIPE.hash}
    assert content["profile"]["edition"] == RECIPE.edition
    assert content["profile"]["profile"] == "basic"
    assert set(content["profile"]["options"]) == set(RECIPE.options) - {"clean-pixel-data"}, "no pixels were cleaned"
    assert content["profile"]["of_some_outputs"] == {}
    assert content["key_id"] == released[0].key_id
    assert content["elements_by_rule"]["keep"] == sum(one.actions["keep"] for one in released)
    assert sum(content["pixels"].values()) == 3
    assert content["not_released"] == {"truncated": 1}
    assert {output["sha256"] for output in content["outputs"]} == {one.sha256 for one in released}
    assert content["validity"] == "not measured"


def test_it_claims_only_what_every_output_claims(released: list[Released]) -> None:
    searched = replace(released[0], methods=[*released[0].methods, "clean-pixel-data"])
    profile = Certificate.of([searched, *released[1:]], RECIPE).content["profile"]
    assert "clean-pixel-data" not in profile["options"]
    assert profile["of_some_outputs"] == {"clean-pixel-data": 1}
    claimed = Certificate.of([replace(one, methods=[]) for one in released], RECIPE).content["profile"]
    assert (claimed["profile"], claimed["options"]) == ("none", [])


def test_an_override_that_keeps_leaves_nothing_to_claim(tmp_path: Path) -> None:
    recipe_file = tmp_path / "ours.yaml"
    recipe_file.write_text("name: ours\nprofile: basic\noptions: [clean-descriptors]\noverrides: {StationName: keep}\n")
    recipe = Recipe.load(recipe_file)
    write_image(tmp_path / "1", "ADALBERTA", 1, 1)
    made = Deidentifier(recipe, KEY).file(tmp_path / "1", tmp_path / "1.dcm", Identifiers(IDENTIFIERS))
    certificate = Certificate.of([made], recipe)
    assert (certificate.content["profile"]["profile"], certificate.content["profile"]["options"]) == ("none", [])
    assert "none" in certificate.html()


def test_nothing_of_the_patient_is_in_it(certificate: Certificate) -> None:
    said = (certificate.json() + certificate.html()).lower()
    assert [secret for secret in SECRETS if secret in said] == []


def test_the_same_outputs_give_the_same_certificate(released: list[Released], certificate: Certificate) -> None:
    again = Certificate.of(reversed(released), RECIPE, not_released={"truncated": 1}).sign(signing_key(KEY), NOW)

    assert again.json() == certificate.json()
    assert again.html() == certificate.html()


def test_it_is_read_again_and_its_signature_holds(certificate: Certificate, tmp_path: Path) -> None:
    read = loaded(certificate.json(), tmp_path)

    assert read == certificate
    assert read.is_signed
    assert read.signed_at == "2026-01-02T03:04:05+00:00"
    assert read.public_key == public_key(signing_key(KEY)) != public_key(signing_key(KEY[::-1]))
    assert not replace(read, signed_at="2026-01-02T03:04:06+00:00").is_signed
    assert not replace(read, signature="", public_key="").is_signed


def test_any_change_of_its_content_breaks_the_signature(certificate: Certificate, tmp_path: Path) -> None:
    whole = json.loads(certificate.json())
    places = [(whole["certificate"], key) for key in whole["certificate"] if key != "format"]
    for holder, key in [*places, *((whole["certificate"]["outputs"][0], key) for key in ("size", "sha256"))]:
        before = holder[key]
        holder[key] = "other"
        assert not Certificate(whole["certificate"], *_signature(whole)).is_signed, key
        holder[key] = before
    assert Certificate(whole["certificate"], *_signature(whole)).is_signed


def _signature(whole: dict[str, dict[str, str]]) -> tuple[str, str, str]:
    return tuple(whole["signature"][name] for name in ("at", "public_key", "value"))  # type: ignore[return-value]


def test_outputs_are_recognised_by_their_bytes(certificate: Certificate, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.dcm" for number in (1, 2, 3)]
    assert verify(certificate, files).holds
    assert verify(certificate, files, certificate.public_key).holds
    assert not verify(certificate, files, public_key(signing_key(KEY[::-1]))).holds

    files[0].write_bytes(files[0].read_bytes() + b"\0")
    found = verify(certificate, files)
    assert (found.unchanged, len(found.missing), found.others) == (2, 1, (files[0],))
    assert not found.holds


def test_one_certificate_is_for_one_study_recipe_and_key(released: list[Released]) -> None:
    for others in (
        [],
        [*released, replace(released[0], study_instance_uid="2.25.1")],
        [*released, replace(released[0], key_id="0" * 16)],
        [replace(one, recipe_hash="0" * 64) for one in released],
    ):
        with pytest.raises(ValueError):
            Certificate.of(others, RECIPE)
    none = Recipe.load("none")
    with pytest.raises(ValueError):
        Certificate.of([replace(one, recipe_hash=none.hash) for one in released], none)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"certificate": {}, "signature": {}}', "[" * 100_000])
def test_what_is_no_certificate_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        loaded(content, tmp_path)


class Page(HTMLParser):
    """Notes the tags and attributes of a page, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(certificate: Certificate) -> None:
    html = certificate.html()
    page = Page()
    page.feed(html)

    assert page.open == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not {"src", "href", "onload", "style"} & set(page.attributes)
    assert "http" not in html
    for output in certificate.content["outputs"]:
        assert output["sha256"] in html
    assert "color-scheme: light dark" in html
    assert "@media print" in html


def test_what_a_page_shows_cannot_become_markup(released: list[Released]) -> None:
    strange = [replace(one, actions={"<script>": 1}, pixels="<b>") for one in released]
    assert "<script>" not in Certificate.of(strange, RECIPE).html()


def test_the_command_certifies_each_study_and_verifies(tmp_path: Path) -> None:
    key, out = key_file(tmp_path), tmp_path / "out"
    source = write_studies(tmp_path / "in")
    (source / "Quinby ADALBERTA" / "1" / "IM0001.dcm").write_bytes(b"no image")
    arguments = [source, out, "--recipe", "research", "--key-file", key]
    finished(*arguments, code=3)

    certificates = sorted(out.glob("*/*.json"))
    assert len(certificates) == 3
    assert [path.with_suffix(".html").exists() for path in certificates] == [True] * 3
    public = re.findall(r"public key +(\w+)", finished("key", key, "--show"))[0]
    for path in certificates:
        said = finished("verify", path, path.with_suffix(""), "--public-key", public)
        assert re.search(r"(2 of 2|3 of 3) outputs are there, byte for byte", said)
    before = [path.read_bytes() for path in certificates]
    finished(*arguments, code=3)
    assert [path.read_bytes() for path in certificates] == before  # nothing changed, so nothing is signed anew

    (out / next(iter(outputs(out)))).write_bytes(b"changed")
    assert "missing or changed" in "".join(
        finished("verify", path, out, code=code)
        for path, code in zip(certificates, _codes(certificates, out), strict=True)
    )
    assert "NOT SIGNED" in finished("verify", certificates[-1], out, "--public-key", "0" * 64, code=1)


def _codes(certificates: list[Path], out: Path) -> list[int]:
    """Return what `verify` has to end with for each: 1 where an output was changed."""
    changed = next(iter(outputs(out))).split("/")[:2]
    return [int(path.relative_to(out).with_suffix("").parts == tuple(changed)) for path in certificates]
