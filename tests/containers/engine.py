"""The container engine as the trials use it: `docker` and its `compose`, whatever stands behind them.

It runs commands and waits for what they say; what has to hold is in `trials.py`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "sendit-trial"


class NoEngine(Exception):
    """Nothing here runs containers; the text says why."""


def require_engine() -> None:
    """Raise NoEngine unless an engine answers and knows `compose`."""
    if shutil.which("docker") is None:
        raise NoEngine("there is no program docker (apt-get install docker.io docker-compose)")
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        tried = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if tried.returncode:
            raise NoEngine(f"`{' '.join(command)}` fails: {(tried.stderr or tried.stdout).strip().splitlines()[0]}")


def docker(*arguments: str, stdin: bytes | None = None, timeout: float = 120) -> str:
    """Run `docker …`; returns what it prints."""
    ended = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, timeout=timeout, cwd=ROOT)
    if ended.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {ended.stderr.decode(errors='replace').strip()}")
    return ended.stdout.decode()


def exit_code(*arguments: str) -> int:
    """Run `docker …` for its exit code only."""
    return subprocess.run(["docker", *arguments], capture_output=True, timeout=120, cwd=ROOT).returncode


def inspect(container: str) -> dict[str, Any]:
    """Everything the engine knows about a container."""
    found: dict[str, Any] = json.loads(docker("inspect", container))[0]
    return found


def manage(container: str, *arguments: str) -> dict[str, Any]:
    """The facts of a command in a container. Its exit code may say that a person should look."""
    command = ["docker", "exec", container, "python", "manage.py", *arguments, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.stdout, ended.stderr
    facts: dict[str, Any] = json.loads(ended.stdout)
    return facts


def build() -> str:
    """Build the image from the Dockerfile; returns its size."""
    docker("build", "--file", "docker/Dockerfile", "--tag", IMAGE, ".", timeout=1800)
    return f"{int(docker('image', 'inspect', '--format={{.Size}}', IMAGE)) / 1e6:.0f} MB"
