"""Finds out on which kind of filesystem a folder lies, because changes made by other hosts ring no bell on some.

Reads the kernel's mount table (proc_pid_mountinfo(5)) and nothing else.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

# Filesystems whose content other machines (or the host of a virtual machine) change without this kernel being told.
NETWORK_FILESYSTEMS = frozenset(
    {
        "9p", "acfs", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs", "gfs2", "glusterfs", "gpfs",
        "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs",
        "vmhgfs",
    }
)  # fmt: skip
# FUSE filesystems of this machine that see every change themselves; any other FUSE filesystem counts as a network.
LOCAL_FUSE = frozenset({"fuseblk", "fuse.mergerfs", "fuse.overlayfs", "fuse.fuse-overlayfs", "fuse.bindfs"})

_escape = re.compile(r"\\([0-7]{3})")


def filesystem_type(folder: Path, table: str | None = None) -> str:
    """Name the filesystem on which a folder lies, such as ``ext4`` or ``nfs4``; ``unknown`` if the table says nothing.

    Parameters
    ----------
    folder : Path
        An existing folder; symbolic links on the way to it are resolved.
    table : str, optional
        The text of a mountinfo table in place of the kernel's.
    """
    if table is None:
        try:
            table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return "unknown"
    place = os.path.realpath(folder)
    best, kind = "", "unknown"
    for line in table.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        mount = _escape.sub(lambda code: chr(int(code[1], 8)), fields[4])
        # The last line wins among equals: it is what was mounted over the others.
        if len(mount) >= len(best) and (place == mount or place.startswith(mount.rstrip("/") + "/")):
            best, kind = mount, after.split(" ")[0]
    return kind


def is_network(kind: str) -> bool:
    """Say whether a filesystem of this kind can change without this kernel noticing."""
    kind = kind.casefold()
    return kind in NETWORK_FILESYSTEMS or (kind.startswith("fuse") and kind not in LOCAL_FUSE)
