"""What a scan finds on a real filesystem, and what it survives."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from time import perf_counter

import pytest

from watcher.scan import list_folder, look_inside
from watcher.words import Entry, Kind, Look


def closely(look: Look):  # noqa: ANN201 - a one-line stand-in for Drops.look
    return lambda _entry: look


def names(entries: list[Entry]) -> dict[str, Kind]:
    return {entry.name: entry.kind for entry in entries}


def test_links_sockets_and_pipes_are_told_apart_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link-to-file").symlink_to(tmp_path / "file")
    (tmp_path / "link-to-folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    listener.close()
    found = list_folder(tmp_path, closely(Look.EVERYTHING))
    assert names(found) == {
        "file": Kind.FILE,
        "folder": Kind.FOLDER,
        "link-to-file": Kind.OTHER,
        "link-to-folder": Kind.OTHER,
        "pipe": Kind.OTHER,
        "socket": Kind.OTHER,
    }
    assert {entry.name: entry.size for entry in found}["file"] == 3


def test_only_real_files_count_inside(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "a" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "@eaDir").mkdir()
    (tmp_path / "@eaDir" / "IM1").write_bytes(b"x")
    (tmp_path / "a" / "link").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(tmp_path)
    for look in (Look.ANY_FILE, Look.EVERYTHING):
        assert look_inside(str(tmp_path), look).files == 0  # type: ignore[union-attr]
    (tmp_path / "a" / "b" / "IM1").write_bytes(b"x")
    for look in (Look.ANY_FILE, Look.EVERYTHING):
        assert look_inside(str(tmp_path), look).files == 1  # type: ignore[union-attr]


def test_every_change_inside_changes_the_digest(tmp_path: Path) -> None:
    def digest() -> int:
        inside = look_inside(str(tmp_path), Look.EVERYTHING)
        assert inside is not None
        return inside.digest

    seen = [digest()]
    assert digest() == seen[0]
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    seen.append(digest())
    file = deep / "IM1"
    file.write_bytes(b"1")
    seen.append(digest())
    file.write_bytes(b"12")
    seen.append(digest())
    os.utime(file, (1, 1))
    seen.append(digest())
    file.rename(deep / "IM2")
    seen.append(digest())
    (deep / "IM2").unlink()
    seen.append(digest())
    assert len(set(seen)) == len(seen)


def test_a_partial_file_at_any_depth_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "IM1.filepart").write_bytes(b"x")
    assert look_inside(str(tmp_path), Look.EVERYTHING).unfinished  # type: ignore[union-attr]


def test_a_folder_that_vanishes_between_listing_and_looking_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "stays").mkdir()
    (tmp_path / "goes").mkdir()

    def look(entry: Entry) -> Look:
        if entry.name == "goes":
            (tmp_path / "goes").rmdir()
        return Look.EVERYTHING

    assert names(list_folder(tmp_path, look)) == {"stays": Kind.FOLDER}


def test_names_that_are_no_text_are_found(tmp_path: Path) -> None:
    name = os.fsdecode(b"M\xfcller^H\xe9l\xe8ne")
    (tmp_path / name).mkdir()
    assert names(list_folder(tmp_path, closely(Look.NOT_NOW))) == {name: Kind.FOLDER}
    assert list_folder(tmp_path, closely(Look.EVERYTHING))[0].inside.files == 0  # type: ignore[union-attr]


def test_a_watched_folder_that_is_gone_is_the_callers_to_know(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list_folder(tmp_path / "gone", closely(Look.EVERYTHING))


def test_a_very_deep_folder_is_no_danger(tmp_path: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1500):
            os.mkdir("d" * 10)
            os.chdir("d" * 10)
    finally:
        os.chdir(here)
    # Deeper than the kernel takes a path: it cannot be read to its end, which is said.
    inside = look_inside(str(tmp_path), Look.EVERYTHING)
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)  # too deep for shutil.rmtree
    assert inside is not None
    assert inside.unreadable


def test_an_entry_that_cannot_be_looked_at_is_unreadable_and_blocks_no_other(tmp_path: Path) -> None:
    deep = tmp_path
    while len(str(deep)) < 4000:
        deep = deep / ("d" * 50)
    deep.mkdir(parents=True)
    here = os.open(deep, os.O_RDONLY)
    try:
        os.mkdir("x" * 200, dir_fd=here)
        os.mkdir("y", dir_fd=here)
    finally:
        os.close(here)
    found = {entry.name: entry.inside for entry in list_folder(deep, closely(Look.EVERYTHING))}
    assert found["x" * 200].unreadable  # type: ignore[union-attr]
    assert not found["y"].unreadable  # type: ignore[union-attr]


def test_fifty_thousand_files_are_listed_and_looked_into(tmp_path: Path) -> None:
    for number in range(50_000):
        os.close(os.open(tmp_path / f"IM{number}", os.O_CREAT | os.O_WRONLY))
    started = perf_counter()
    assert len(list_folder(tmp_path, closely(Look.NOT_NOW))) == 50_000
    listed = perf_counter() - started
    inside = look_inside(str(tmp_path), Look.EVERYTHING)
    assert inside is not None
    assert inside.files == 50_000
    print(f"50,000 files: listed in {listed:.2f} s, looked into in {inside.seconds:.2f} s")  # noqa: T201 - with pytest -s
