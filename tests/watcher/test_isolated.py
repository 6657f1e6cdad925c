"""Trouble with the machine, on real mounts and real limits: read-only, full, unmounted, closed, no inotify left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
OWN_MACHINE = ["unshare", "--user", "--map-root-user", "--mount"]
NOT_ALMIGHTY = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def run_scene(scene: str, place: Path, *wrappers: str) -> None:
    done = subprocess.run(
        [*OWN_MACHINE, *wrappers, sys.executable, "-m", "tests.watcher.isolated", scene, str(place)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "scene", ["read_only", "read_only_with_a_drop", "full_disk", "no_watches", "no_instances", "unmounted"]
)
def test_scene(scene: str, tmp_path: Path) -> None:
    run_scene(scene, tmp_path)


def test_what_may_not_be_read_waits_and_is_taken_once_it_may(tmp_path: Path) -> None:
    run_scene("unreadable", tmp_path, *NOT_ALMIGHTY)
