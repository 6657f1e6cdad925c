"""The node's secrets in `keys/` of the data folder: made once, mode 0600, read by name.

Which key protects what is decided in `main/identity.py`; only files live here.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.fernet import Fernet

MAKERS: dict[str, Callable[[], str]] = {
    "django": lambda: secrets.token_urlsafe(50),
    "vault": lambda: Fernet.generate_key().decode("ascii"),
    "index": lambda: secrets.token_hex(32),
    "pseudonym": lambda: secrets.token_hex(32),
    "password": lambda: "-".join(secrets.token_hex(2) for _ in range(4)),
}


def path(folder: Path, name: str) -> Path:
    """Where the secret `name` is kept."""
    return folder / f"{name}.key"


def read(folder: Path, name: str) -> str | None:
    """The secret `name`, or None when it was never made."""
    try:
        return path(folder, name).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def changed_at(folder: Path, name: str) -> int:
    """When the file of the secret `name` was changed, in nanoseconds; 0 when there is none."""
    try:
        return path(folder, name).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def read_or_make(folder: Path, name: str) -> str:
    """The secret `name`, made on first use; of several processes that make it at once, one wins for all."""
    found = read(folder, name)
    if found is not None:
        return found
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _written(folder, name, MAKERS[name]()) as temporary, suppress(FileExistsError):
        os.link(temporary, path(folder, name))
    sync_folder(folder)
    return path(folder, name).read_text(encoding="ascii").strip()


def replace(folder: Path, name: str, content: str) -> None:
    """Put `content` in place of the secret `name`, durably and in one step."""
    with _written(folder, name, content) as temporary:
        os.replace(temporary, path(folder, name))
    sync_folder(folder)


@contextmanager
def _written(folder: Path, name: str, content: str) -> Iterator[str]:
    """A synced file of mode 0600 beside the secret, gone at the end unless it was put into its place."""
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}-")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(content + "\n")
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
