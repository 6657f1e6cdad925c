"""Whether a program still writes is known from the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from watcher.writers import has_writer


def test_a_file_open_for_writing_anywhere_below_is_found(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "done").write_bytes(b"x")
    assert not has_writer(str(tmp_path))
    with (tmp_path / "a" / "b" / "slow").open("wb"):
        assert has_writer(str(tmp_path))
        assert has_writer(str(tmp_path / "a" / "b" / "slow"))
        assert not has_writer(str(tmp_path / "a" / "done"))
    assert not has_writer(str(tmp_path))


def test_readers_pipes_links_and_what_is_gone_are_no_writers(tmp_path: Path) -> None:
    (tmp_path / "read").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/proc/self/mem")
    with (tmp_path / "read").open("rb"):
        assert not has_writer(str(tmp_path))
        assert not has_writer(str(tmp_path / "pipe"))
        assert not has_writer(str(tmp_path / "link"))
        assert not has_writer(str(tmp_path / "gone"))


def test_asking_while_others_open_the_file_harms_neither(tmp_path: Path) -> None:
    file = tmp_path / "busy"
    file.write_bytes(b"")
    code = "import sys\nfor _ in range(3000):\n    open(sys.argv[1], 'ab').close()"
    writer = subprocess.Popen([sys.executable, "-c", code, str(file)])
    answers = set()
    while writer.poll() is None:
        answers.add(has_writer(str(file)))
    assert writer.returncode == 0
    assert answers <= {True, False}
    assert not has_writer(str(file))
