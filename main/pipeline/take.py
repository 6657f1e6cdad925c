"""The one door: a finished drop is claimed by a rename and becomes a Batch. What is in it is read by `register`.

The order is: files durable in `work/drops/<key>/` first, the row second; a drop without its row is found by `recover`. Of
what comes from another filesystem a note says first where it lay, so that it is found wherever its taker died.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from main import bells, identity
from main.errors import Transient
from main.failpoints import reach
from main.history import record
from main.models import Batch
from main.pipeline.source import SOURCE, is_of_receiver, lift, note, told
from main.storage import require_space, sync_filesystem

# A drop on another filesystem is first renamed in here, beside where it lay, so that only one watcher has it.
TAKING = ".sendit-taking"

# The system's rule: a folder that moves into another folder has to be writable itself.
_MAY_NOT = (
    "sendit may not move it: give its user write permission in the watched folder and in the dropped folder itself."
)

# Drops asked for at once.
_PIECE = 1000

# The note of where a drop lay on another filesystem, until it is here: `<key>.source`, sealed.
_NOTE = ".source"

# While a drop is collected, its folder is called so: it is not complete. The second is for drops of our receiver.
_COLLECTING, _RECEIVING = ".collecting", ".receiving"


def take(paths: Sequence[Path], inbox: Path) -> Batch | None:
    """Claim one finished drop: one folder, or loose files that form one drop.

    Parameters
    ----------
    paths : sequence of Path
        Entries directly in `inbox`.
    inbox : Path
        The folder they are in; if it is a watched one, its last part is shown as the source.

    Returns
    -------
    Batch or None
        None when somebody else had all of it first.

    Raises
    ------
    Transient
        Disk full, folder read-only or vanished: nothing was taken, or what was taken goes on after the next sweep.
    """
    require_space(settings.DROPS_DIR)
    key = uuid.uuid4()
    folder = settings.DROPS_DIR / str(key)
    try:
        taken = _move_in(paths, inbox, folder)
    except OSError as error:
        raise _refused(error) from error
    except RecursionError:
        raise Transient("too-deep", "The drop has more folders in one another than can be copied.") from None
    if not taken:
        return None
    name = paths[0].name if len(paths) == 1 else f"{taken} files"
    return _commit(key, name, _source(inbox))


def take_copy(path: Path, project: str = "") -> Batch:
    """Copy a folder or file into a drop of its own, for `project` if one is named; the source stays as it is.

    Raises
    ------
    Transient
        Disk full or not readable: nothing was taken.
    """
    require_space(settings.DROPS_DIR)
    key = uuid.uuid4()
    folder = settings.DROPS_DIR / str(key)
    partial = folder.with_suffix(".part")
    try:
        with copying(folder):
            partial.mkdir(mode=0o700)
            note(partial, project=project)
            reach("take:folder-made")
            if path.is_dir():
                shutil.copytree(path, partial / path.resolve().name, symlinks=True, copy_function=_copy_file)
            else:
                _copy_file(path, partial / path.name)
            _make_durable(partial, folder)
            reach("take:synced")
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _refused(error) from error
    return _commit(key, path.resolve().name, "import_folder")


def recover(minimum_age_seconds: float) -> int:
    """Finish drops that were claimed but have no row, and those left half way between two filesystems."""
    found = 0
    for folder in _folders_without_row(minimum_age_seconds):
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name != SOURCE)
        if not names:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        sync_filesystem(folder)
        _commit(uuid.UUID(folder.name), names[0] if len(names) == 1 else f"{len(names)} files", "recovered")
        found += 1
    for inbox in {folder.path for folder in settings.WATCH_FOLDERS}.union(_noted().values()):
        with suppress(OSError):  # the watcher says what is wrong with a folder; here it must not stop the others
            found += _recover_taking(inbox, minimum_age_seconds)
    _forget_notes()
    return found


def _move_in(paths: Sequence[Path], inbox: Path, folder: Path) -> int:
    """Rename `paths` into a new `folder`; returns how many were there to take."""
    if os.stat(inbox).st_dev != os.stat(settings.DROPS_DIR).st_dev:
        return _move_across(paths, inbox, folder)
    collecting = folder.with_suffix(_RECEIVING if is_of_receiver(inbox) else _COLLECTING)
    collecting.mkdir(mode=0o700)
    try:
        note(collecting, watched=_watched(inbox))
        reach("take:folder-made")
        taken = _rename_all(paths, collecting)
    finally:
        if os.listdir(collecting) in ([], [SOURCE]):
            shutil.rmtree(collecting, ignore_errors=True)
    if not taken:
        return 0
    reach("take:renamed")
    _collected(collecting)
    sync_filesystem(folder)
    reach("take:synced")
    return taken


def _collected(collecting: Path) -> Path:
    """Give a folder in which a drop was collected the name by which it counts."""
    if collecting.suffix == _RECEIVING:
        lift(collecting)
    return collecting.rename(collecting.with_suffix(""))


def _rename_all(paths: Sequence[Path], folder: Path) -> int:
    taken = 0
    for path in paths:
        if path.name == SOURCE:
            continue  # only we say where a drop came from
        try:
            os.rename(path, folder / path.name)
        except FileNotFoundError:
            continue
        taken += 1
    return taken


def _move_across(paths: Sequence[Path], inbox: Path, folder: Path) -> int:
    """Note where it is, claim it by a rename beside, copy, sync, and only then remove what lies on the other filesystem."""
    beside = inbox / TAKING / folder.name
    with copying(folder):
        _note(folder, inbox)
        beside.mkdir(parents=True)
        reach("take:folder-made")
        taken = _rename_all(paths, beside)
        if taken:
            reach("take:renamed")
            _copy_in(beside, folder, inbox)
        else:
            beside.rmdir()
        folder.with_suffix(_NOTE).unlink()
    return taken


def _copy_in(beside: Path, folder: Path, inbox: Path) -> None:
    """Copy what was claimed on another filesystem, and remove it there."""
    partial = folder.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(beside, partial, symlinks=True, copy_function=_copy_file)
    if is_of_receiver(inbox):
        lift(partial)
    else:
        note(partial, watched=_watched(inbox))
    _make_durable(partial, folder)
    reach("take:synced")
    shutil.rmtree(beside)


def _copy_file(source: str | Path, target: str | Path) -> None:
    shutil.copy2(source, target)
    reach("take:renamed")


def _make_durable(partial: Path, folder: Path) -> None:
    """Everything that was copied is on the disk before it gets the name by which it counts."""
    sync_filesystem(partial)
    os.rename(partial, folder)
    sync_filesystem(folder)


@contextmanager
def copying(folder: Path) -> Iterator[bool]:
    """Hold the right to write the copy that becomes `folder`; yields False while another process has it."""
    lock = folder.with_suffix(".lock")
    with open(lock, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            lock.unlink(missing_ok=True)


def _source(inbox: Path) -> str:
    """What is shown as the source: another folder's name than a watched one's may be a patient's."""
    return inbox.name if any(folder.path == inbox for folder in settings.WATCH_FOLDERS) else "folder"


def _watched(inbox: Path) -> str:
    """The watched folder that `inbox` is; of the receiver's, and of another folder, nothing is told."""
    is_watched = any(folder.path == inbox for folder in settings.WATCH_FOLDERS)
    return str(inbox) if is_watched and not is_of_receiver(inbox) else ""


def _commit(key: uuid.UUID, name: str, source: str) -> Batch:
    now = timezone.now()
    columns = told(settings.DROPS_DIR / str(key))
    with transaction.atomic():
        batch, created = Batch.objects.get_or_create(
            key=key,
            defaults={
                "sealed_name": identity.seal(name),
                "source": source[:64],
                "received_at": now,
                "stage": "register",
                "due_at": now,
                **columns,
            },
        )
        if created:
            record("received", batch_id=batch.pk, sentence=f"Taken from {source}.")
            bells.ring("register")
    reach("take:committed")
    return batch


def _refused(error: OSError) -> Transient:
    sentences = {
        errno.ENOSPC: ("disk-full", "The disk is full: the drop waits until space is freed."),
        errno.EDQUOT: ("disk-full", "The quota is used up: the drop waits until space is freed."),
        errno.EROFS: (
            "read-only",
            "The watched folder is read-only: sendit takes drops by renaming them, mount it writable.",
        ),
        errno.EACCES: ("no-permission", _MAY_NOT),
        errno.EPERM: ("no-permission", _MAY_NOT),
        errno.ENOENT: ("vanished", "The watched folder is gone: is the share mounted?"),
    }
    code, sentence = sentences.get(
        error.errno or 0, ("io-error", f"The drop could not be taken ({errno.errorcode.get(error.errno or 0, '?')}).")
    )
    return Transient(code, sentence)


def _folders_without_row(minimum_age_seconds: float) -> list[Path]:
    edge = timezone.now().timestamp() - minimum_age_seconds
    old: dict[str, Path] = {}
    for entry in os.scandir(settings.DROPS_DIR):
        if not entry.is_dir(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_mtime > edge:
            continue
        path = Path(entry.path)
        if path.suffix in (_COLLECTING, _RECEIVING):  # whoever collected died: what he had is the drop
            path = _collected(path)
        if is_key(path.name):
            old[path.name] = path
    names = sorted(old)
    for start in range(0, len(names), _PIECE):
        known = Batch.objects.filter(key__in=names[start : start + _PIECE]).values_list("key", flat=True)
        for key in known:
            del old[str(key)]
    return list(old.values())


def is_key(name: str) -> bool:
    """Whether `name` is one that `take` gives to folders: others are not ours."""
    with suppress(ValueError):
        return str(uuid.UUID(name)) == name
    return False


def _recover_taking(inbox: Path, minimum_age_seconds: float) -> int:
    found = 0
    edge = timezone.now().timestamp() - minimum_age_seconds
    try:
        waiting = [Path(entry.path) for entry in os.scandir(inbox / TAKING) if entry.stat().st_mtime <= edge]
    except (FileNotFoundError, NotADirectoryError):
        return 0
    for beside in waiting:
        folder = settings.DROPS_DIR / beside.name
        with copying(folder) as mine:
            if not mine:
                continue
            names = sorted(entry.name for entry in os.scandir(beside))
            if folder.exists():
                shutil.rmtree(beside)
            elif not names:
                beside.rmdir()
            else:
                require_space(settings.DROPS_DIR)
                _copy_in(beside, folder, inbox)
                _commit(uuid.UUID(beside.name), names[0] if len(names) == 1 else f"{len(names)} files", _source(inbox))
                found += 1
    return found


def _note(folder: Path, inbox: Path) -> None:
    """Write down where the drop that becomes `folder` is claimed, before it is."""
    partial = folder.with_suffix(f"{_NOTE}.part")
    partial.write_text(identity.seal(str(inbox.absolute())))
    _make_durable(partial, folder.with_suffix(_NOTE))


def _noted() -> dict[Path, Path]:
    """The notes there are, and the folder that each names."""
    return {note: Path(identity.unseal(note.read_text())) for note in settings.DROPS_DIR.glob(f"*{_NOTE}")}


def _forget_notes() -> None:
    """Remove notes of what is no longer beside, unless the other filesystem is not mounted here, or somebody is at it."""
    for noted, inbox in _noted().items():
        with copying(noted.with_suffix("")) as mine:
            if mine and inbox.is_dir() and not (inbox / TAKING / noted.stem).exists():
                noted.unlink(missing_ok=True)
