"""An object of any size is sent through the same few megabytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file

from tests.peers import StoreSCP
from tests.peers.images import describe

SEND = """
import resource, sys
from pathlib import Path
from dimse import Instance, Peer, store
port, *files = sys.argv[1:]
for path, sop_class, uid, syntax, offset in (file.split("|") for file in files):
    (result,) = store(Peer("127.0.0.1", int(port), "STORESCP"), [Instance(Path(path), sop_class, uid, syntax, int(offset))])
    print(result.outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def multi_frame(path: Path, frames: int) -> str:
    """Write a CT with so many frames of 512 x 512, without holding them here, and return what `SEND` reads of it."""
    image = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    image.Rows = image.Columns = 512
    image.NumberOfFrames = frames
    del image.PixelData, image[0xFFFCFFFC]
    size = 512 * 512 * 2 * frames
    image.save_as(path)
    with path.open("ab") as file:
        file.write(b"\xe0\x7f\x10\x00OW\x00\x00" + size.to_bytes(4, "little"))
        file.truncate(file.tell() + size)
    instance = describe(path)
    return "|".join(
        map(
            str,
            (
                path,
                instance.sop_class_uid,
                instance.sop_instance_uid,
                instance.transfer_syntax_uid,
                instance.dataset_offset,
            ),
        )
    )


def test_memory_is_flat_in_the_size_of_the_image(tmp_path: Path) -> None:
    files = [multi_frame(tmp_path / f"{frames}.dcm", frames) for frames in (1, 600)]
    with StoreSCP(tmp_path / "scp", "+xa", "--ignore") as storescp:
        command = [sys.executable, "-c", SEND, str(storescp.dicom_port), *files]
        lines = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()
    (small, small_kb), (large, large_kb) = (line.split() for line in lines)
    assert (small, large) == ("accepted", "accepted")
    assert (tmp_path / "600.dcm").stat().st_size > 300_000_000
    assert int(large_kb) - int(small_kb) < 4_000
