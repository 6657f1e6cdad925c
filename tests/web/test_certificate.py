"""The page of a series leads to the certificate of its study, which holds nothing of the patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.test import Client

from deidentify.certificate import Certificate
from tests.web import rows


def test_the_certificate_is_read_and_taken_along(opened: Client, settings: Any, tmp_path: Path) -> None:
    settings.DROPS_DIR, settings.RELEASES_DIR = tmp_path / "drops", tmp_path / "releases"
    settings.RELEASES_DIR.mkdir()
    image, _ = rows.real_image(rows.drop(files=0))
    page = opened.get(f"/series/{image.series_id}/").content.decode()
    read, taken = (f"/series/{image.series_id}/certificate/1.{form}" for form in ("html", "json"))
    assert read in page
    assert taken in page
    shown = opened.get(read)
    assert b"Certificate of de-identification" in shown.content
    assert "'unsafe-inline'" in shown.headers["Content-Security-Policy"].split("style-src")[1]
    handed_out = opened.get(taken)
    assert "attachment" in handed_out.headers["Content-Disposition"]
    path = tmp_path / "certificate.json"
    path.write_bytes(handed_out.content)
    assert Certificate.load(path).is_signed
    for content in (shown.content, handed_out.content):
        assert b"CANARY" not in content
        assert rows.CANARY_UID.encode() not in content
    assert opened.get(f"/series/{image.series_id}/certificate/2.html").status_code == 404


def test_a_recipe_that_is_gone_has_no_certificate_and_breaks_no_page(
    opened: Client, settings: Any, tmp_path: Path
) -> None:
    settings.DROPS_DIR, settings.RELEASES_DIR = tmp_path / "drops", tmp_path / "releases"
    settings.RELEASES_DIR.mkdir()
    image, release = rows.real_image(rows.drop(files=0))
    release.recipe = str(tmp_path / "gone.yaml")
    release.save()
    assert opened.get(f"/series/{image.series_id}/").status_code == 200
    assert opened.get(f"/series/{image.series_id}/certificate/1.html").status_code == 404


def test_the_certificate_is_behind_the_lock(locked: Client) -> None:
    assert locked.get("/series/1/certificate/1.json").status_code in (302, 401, 403)
