"""The pages that are made from the code are up to date, and say so when they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from main.management.commands.write_reference import pages
from main.models.imaging import Status
from sendit.reference import SETTINGS


def test_the_written_pages_are_those_of_the_code() -> None:
    call_command("write_reference", "--check")


def test_a_page_that_is_out_of_date_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("write_reference", "--docs", tmp_path)
    call_command("write_reference", "--check", "--docs", tmp_path)
    (tmp_path / "states.md").write_text("# States\n")

    with pytest.raises(CommandError, match=r"Out of date: states\.md") as caught:
        call_command("write_reference", "--check", "--docs", tmp_path)

    assert caught.value.returncode == 1
    assert (tmp_path / "states.md").read_text() == "# States\n"


def test_every_setting_with_its_older_names_and_every_status_is_there() -> None:
    written = pages()

    for setting in SETTINGS:
        for name in (setting.name, *setting.aliases):
            assert f"`{name}`" in written["settings.md"]
        assert setting.help in written["settings.md"]
    for status in Status:
        assert f"| `{status}` |" in written["states.md"]
