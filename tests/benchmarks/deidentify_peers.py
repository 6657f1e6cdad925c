"""Other de-identifiers to compare with, each in a process of its own, from a virtual environment of its own.

They are installed from PyPI below `.venv/peers` when `deidentify --peers` first asks for them. Of RSNA's anonymizer it is
the engine behind its window, without what only the window and its models need.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import psutil

_HOME = Path(__file__).parents[2] / ".venv" / "peers"
_VERSIONS = {
    "dicognito": "dicognito==0.19.0",
    "dicom-anonymizer": "dicom-anonymizer==2.1.0",
    "rsna-anonymizer": "rsna-anonymizer==19.0.10",
}
# What its engine imports, of the versions that it asks for; torch and the models are for pixels, which it is not asked about.
_WITHOUT_THE_REST = {
    "rsna-anonymizer": (
        "pydicom<2.5", "numpy<2", "pynetdicom", "sqlalchemy>=2.0.38", "dataclasses-json>=0.6.7", "ifaddr", "openpyxl", "toml",
    ),
}  # fmt: skip
# Reads lines of "source TAB target"; works after an empty line, and says so.
_SERVER = """
import os, sys, warnings
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
os._exit(0)  # also where a thread of theirs would go on
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
    "rsna-anonymizer": (
        """
import anonymizer, logging, pydicom, tempfile
from pathlib import Path
from anonymizer.controller.anonymizer import AnonymizerController
from anonymizer.model.project import ProjectModel
logging.disable()
home, scripts = tempfile.mkdtemp(dir="{place}"), Path(anonymizer.__file__).parent / "assets" / "scripts"
project = ProjectModel(storage_dir=Path(home), anonymizer_script_path=scripts / "default-anonymizer.script")
project.private_dir().mkdir(parents=True)
controller = AnonymizerController(project)
""",
        "assert controller.anonymize(source, pydicom.dcmread(source)) is None",
    ),
}


class Peer:
    """One of them, waiting for work."""

    def __init__(self, name: str, place: Path) -> None:
        ready, one = _WAYS[name]
        program = _SERVER.format(ready=ready.replace("{place}", str(place)), one=one)
        self._process = subprocess.Popen(
            [str(_HOME / name / "bin" / "python"), "-c", program],
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


def started(place: Path) -> dict[str, Peer]:
    """Install them if they are not there, and start them on this core; what they keep beside outputs goes below `place`."""
    for name in _WAYS:
        if not (_HOME / name / "installed").exists():
            _install(name)
    peers = {f"{name} {_VERSIONS[name].split('==')[1]}": Peer(name, place) for name in _WAYS}
    print(f"(Python {sys.version_info.major}.{sys.version_info.minor} for all of them)")
    return peers


def _install(name: str) -> None:
    print(f"Installing {_VERSIONS[name]} ...", flush=True)
    venv.create(_HOME / name, with_pip=True, clear=True)
    pip = [_HOME / name / "bin" / "python", "-m", "pip", "install", "-q"]
    if name in _WITHOUT_THE_REST:
        subprocess.run([*pip, *_WITHOUT_THE_REST[name]], check=True)
        pip.append("--no-deps")
    subprocess.run([*pip, _VERSIONS[name]], check=True)
    (_HOME / name / "installed").touch()
