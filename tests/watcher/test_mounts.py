"""Network filesystems are recognised from the kernel's mount table."""

from __future__ import annotations

from pathlib import Path

import pytest

from watcher.mounts import filesystem_type, is_network

TABLE = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:50 / /srv/nas rw,relatime shared:1 - nfs4 nas:/export rw
41 27 0:51 / /srv/win\040share rw,relatime - cifs //win/share rw
42 40 8:1 / /srv/nas/local rw,relatime - xfs /dev/sda1 rw
43 27 0:52 / /srv/over rw,relatime - ext4 /dev/sdb1 rw
44 43 0:53 / /srv/over rw,relatime - fuse.sshfs me@host: rw
a line that is not one
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/nas", "nfs4"),
        ("/srv/nas/inbox/deep", "nfs4"),
        ("/srv/nas2", "ext4"),
        ("/srv/nas/local/inbox", "xfs"),
        ("/srv/win share/inbox", "cifs"),
        ("/srv/over/inbox", "fuse.sshfs"),
        ("/home", "ext4"),
    ],
)
def test_the_deepest_and_last_mount_decides(folder: str, kind: str) -> None:
    assert filesystem_type(Path(folder), TABLE) == kind


def test_an_empty_table_is_unknown_and_counts_as_local() -> None:
    assert filesystem_type(Path("/"), "") == "unknown"
    assert not is_network("unknown")


def test_the_table_of_this_machine_is_understood() -> None:
    assert filesystem_type(Path("/proc")) == "proc"


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.rclone", "virtiofs", "ceph", "afs"]
)
def test_network_filesystems(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.mergerfs"])
def test_local_filesystems(kind: str) -> None:
    assert not is_network(kind)
