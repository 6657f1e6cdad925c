"""A folder as destination: files are copied under a temporary name, synced, renamed and read back."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from main.destinations import Receipt
from main.errors import Permanent, Transient, describe
from main.models.delivery import Proof
from main.pipeline.release import OpenRelease
from main.storage import sync_filesystem


class Kind:
    """Writes `<path>/<Study Instance UID>/<Series Instance UID>/<SOP Instance UID>.dcm`, all of them pseudonymised.

    Settings: `path`, a folder.
    """

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.name = name
        self.root = Path(settings["path"])

    def send(self, releases: Sequence[OpenRelease]) -> Iterator[Receipt]:
        """Copy each release; a name appears only once its content is durable."""
        copied: list[tuple[OpenRelease, Path]] = []
        for release in releases:
            target = self._path(release)
            partial = target.with_name(f".{target.name}.part")
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(release.path, partial)
                copied.append((release, partial))
            except OSError as error:
                partial.unlink(missing_ok=True)
                yield self._failed(release, error)
        if not copied:
            return
        sync_filesystem(self.root)
        for release, partial in copied:
            try:
                os.replace(partial, self._path(release))
                yield Receipt(release.delivery_id, "sent", Proof.ACCEPTED)
            except OSError as error:
                yield self._failed(release, error)
        sync_filesystem(self.root)

    def begin_to_prove(self, release: OpenRelease) -> None:
        """Nothing: what is sent is read back from memory, at once."""

    def prove(self, releases: Sequence[OpenRelease]) -> Iterator[Receipt]:
        """Read each file back and compare its hash with the release's."""
        for release in releases:
            try:
                with open(self._path(release), "rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except FileNotFoundError:
                found = ""
            except OSError as error:
                yield self._failed(release, error)
                continue
            if found == release.sha256:
                yield Receipt(release.delivery_id, "proven", Proof.CONTENT)
            else:
                sentence = f"{self.name}: the file is not there with the content that was written; it is written again."
                yield Receipt(release.delivery_id, "unproven", code="not-there", sentence=sentence)

    def check(self) -> str:
        """Write, sync and remove a file."""
        probe = self.root / f".sendit-check-{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"sendit")
            sync_filesystem(self.root)
            probe.unlink()
            free = shutil.disk_usage(self.root).free
        except PermissionError:
            raise Permanent("no-permission", f"{self.name}: sendit may not write into {self.root}.") from None
        except OSError as error:
            raise Transient("unreachable", f"{self.name}: {self.root}: {describe(error)[1]}") from None
        return f"{self.root} is writable, {free // 1_000_000_000} GB free"

    def close(self) -> None:
        """Nothing: no connection is kept."""

    def _path(self, release: OpenRelease) -> Path:
        return self.root / release.study_instance_uid / release.series_instance_uid / f"{release.sop_instance_uid}.dcm"

    def _failed(self, release: OpenRelease, error: OSError) -> Receipt:
        code, sentence = describe(error)
        return Receipt(release.delivery_id, "transient", code=code, sentence=f"{self.name}: {sentence}")
