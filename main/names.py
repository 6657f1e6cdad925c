"""What the name of a file or folder says: still being written, or put there by an operating system.

Only text is looked at here; nothing in this module touches a disk, and no name is kept or logged.
"""

from __future__ import annotations

import os
import re
from fnmatch import translate

# Kept by file managers, NAS systems and file servers; nobody sends these as images.
SYSTEM_NAMES = (
    ".*",  # hidden: .DS_Store, ._resource forks, .snapshot, .Trash-1000, .stfolder, .nfs0000 …
    "thumbs.db",
    "ehthumbs*.db",
    "desktop.ini",
    "autorun.inf",
    "$recycle.bin",
    "recycler",
    "system volume information",
    "~$*",  # Office lock files
    "@eadir",  # Synology
    "@tmp",
    "#recycle",
    "#snapshot",
    "@recycle",  # QNAP
    "@recently-snapshot",
    "~snapshot",  # NetApp over SMB
    "lost+found",
    "__macosx",
    "network trash folder",
    "temporary items",
    "icon\r",
)

# Names that programs give to what they have not finished writing. The first is the rule of the seeds
# (`ST-000001.tmp2343`); the others are what WinSCP, browsers, rsync, wget and editors leave while they work.
UNFINISHED_EXTENSION_START = ".tmp"
UNFINISHED_EXTENSIONS = frozenset(
    {".part", ".partial", ".filepart", ".crdownload", ".download", ".opdownload", ".incomplete", ".unfinished", ".swp"}
)

_system = re.compile("|".join(translate(pattern) for pattern in SYSTEM_NAMES))


def is_system(name: str) -> bool:
    """Say whether a name belongs to a hidden or system file or folder, which is never taken and never waited for."""
    return _system.match(name.casefold()) is not None


def is_unfinished(name: str) -> bool:
    """Say whether a name announces that its content is still being written.

    A folder or file is unfinished while its extension starts with ``tmp``, in upper or lower case, while it carries one
    of `UNFINISHED_EXTENSIONS`, or while it ends with ``~``.

    Examples
    --------
    >>> is_unfinished("ST-000001.tmp2343"), is_unfinished("ST-000001")
    (True, False)
    """
    extension = os.path.splitext(name)[1].casefold()
    return extension.startswith(UNFINISHED_EXTENSION_START) or extension in UNFINISHED_EXTENSIONS or name.endswith("~")
