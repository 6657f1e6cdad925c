"""What names mean: unfinished, or the property of an operating system."""

import pytest

from main.names import is_system, is_unfinished


@pytest.mark.parametrize(
    "name",
    [
        "ST-000001.tmp2343", "ST-000001.tmp", "ST-000001.TMP9", "study.Tmp1", "a.b.tmp", "x.part", "x.dcm.partial",
        "x.filepart", "x.dcm.crdownload", "x.dcm~", "x.incomplete",
    ],
)  # fmt: skip
def test_a_name_that_says_unfinished_is_unfinished(name: str) -> None:
    assert is_unfinished(name)


@pytest.mark.parametrize(
    "name",
    [
        "ST-000001",
        "1.2.840.113619.2",
        "tmp",
        "tmp1",
        "ST.tmp1.done",
        "study.part1",
        "partial",
        "IM0001.dcm",
        "Ünïcode\udcff",
    ],
)
def test_any_other_name_is_finished(name: str) -> None:
    assert not is_unfinished(name)


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store", "._IM0001.dcm", ".hidden", "Thumbs.db", "THUMBS.DB", "desktop.ini", "Desktop.ini", "@eaDir",
        "#recycle", "#snapshot", "@Recycle", ".snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found",
        "~$report.doc", "~snapshot", "__MACOSX", ".Trash-1000", ".nfs000000000001",
    ],
)  # fmt: skip
def test_system_and_hidden_names_are_known(name: str) -> None:
    assert is_system(name)


@pytest.mark.parametrize(
    "name", ["#1234", "@home study", "~x", "ST-000001", "recycle", "lost", "thumbs", "desktop.ini.dcm"]
)
def test_names_that_a_person_may_give_are_not_system_names(name: str) -> None:
    assert not is_system(name)
