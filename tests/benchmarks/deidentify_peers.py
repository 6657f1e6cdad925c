"""dicognito and dicom-anonymizer to compare with, each in a process of its own, from a virtual environment of their own.

They are installed from PyPI into `.venv/peers` when `deidentify --peers` first asks for them.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import psutil

_HOME = Path(__file__).parents[2] / ".venv" / "peers"
_VERSIONS = {"dicognito": "dicognito==0.19.0", "dicom-anonymizer": "dicom-anonymizer==2.1.0"}
# Reads lines of "source TAB target"; works after an empty line, and says so.
_SERVER = """
import sys, warnings
warnings.simplefilter("ignore")
{ready}
work = []
for line in sys.stdin:
    if line.strip():
        work.append(line.rstrip("\\n").split("\\t"))
        continue
    for source, target in work:
        {one}
    work.clear()
    print("done", flush=True)
"""
_WAYS = {
    "dicognito": (
        "import pydicom; from dicognito.anonymizer import Anonymizer; anonymizer = Anonymizer()",
        "ds = pydicom.dcmread(source); anonymizer.anonymize(ds); ds.save_as(target)",
    ),
    "dicom-anonymizer": (
        "from dicomanonymizer import anonymize_dicom_file",
        "anonymize_dicom_file(source, target)",
    ),
}


class Peer:
    """One of them, waiting for work."""

    def __init__(self, name: str) -> None:
        ready, one = _WAYS[name]
        program = _SERVER.format(ready=ready, one=one)
        self._process = subprocess.Popen(
            [str(_HOME / "bin" / "python"), "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._watched = psutil.Process(self._process.pid)

    def each(self, sources: list[Path], target: Path) -> Callable[[], None]:
        """Say what there is to do; the returned call is what is timed."""
        assert self._process.stdin
        assert self._process.stdout
        send, answer = self._process.stdin, self._process.stdout
        for source in sources:
            send.write(f"{source}\t{target / source.name}\n")
        send.flush()

        def run() -> None:
            send.write("\n")
            send.flush()
            if answer.readline().strip() != "done":
                raise RuntimeError("The other de-identifier ended.")

        return run

    def seconds(self) -> float:
        """Return the CPU time that it has taken."""
        times = self._watched.cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def started() -> dict[str, Peer]:
    """Install them if they are not there, and start them on this core."""
    if not (_HOME / "bin" / "dicognito").exists():
        print(f"Installing {', '.join(_VERSIONS.values())} into {_HOME.name} ...", flush=True)
        venv.create(_HOME, with_pip=True)
        subprocess.run([_HOME / "bin" / "python", "-m", "pip", "install", "-q", *_VERSIONS.values()], check=True)
    peers = {f"{name} {_VERSIONS[name].split('==')[1]}": Peer(name) for name in _WAYS}
    print(f"(Python {sys.version_info.major}.{sys.version_info.minor} for all of them)")
    return peers
