"""Disks that fill up, real ones: refused before damage, never a success for what is not kept, back by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("scene", ["marks", "full", "brim"])
def test_scene(scene: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *["unshare", "--user", "--map-root-user", "--mount"],
            *[sys.executable, "-m", "tests.receiver.isolated", scene, str(tmp_path)],
        ],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "sendit.settings"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
