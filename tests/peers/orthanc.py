"""A real Orthanc with a storage folder of its own, and the few REST questions that tests ask it.

Nothing here knows sendit: what Orthanc says through this class is the outside view.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.peers.server import Server, accepts_connections, free_port, program


class Orthanc(Server):
    """Orthanc on free ports; keyword arguments are its configuration options (`OverwriteInstances=True`).

    Anyone may echo, store, find, get and move; storage commitment answers go to who is in `DicomModalities`
    (`add_modality`). REST listens on the loopback only, DICOM on every address: use a network namespace.
    """

    name = "Orthanc"
    package = "orthanc"

    def __init__(
        self, folder: Path | str, *, ae_title: str = "ORTHANC", dicom_port: int = 0, http_port: int = 0, **config: Any
    ) -> None:
        super().__init__(folder)
        self.host = "127.0.0.1"
        self.ae_title = ae_title
        self.dicom_port = dicom_port or free_port()
        self.http_port = http_port or free_port()
        self.rest_url = f"http://127.0.0.1:{self.http_port}"
        self.config = {
            "Name": "test",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "Plugins": [],
            "DicomAet": ae_title,
            "DicomPort": self.dicom_port,
            "DicomCheckCalledAet": False,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "KeepAlive": True,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {},
        } | config

    def command(self) -> list[str]:
        config = self.folder / "orthanc.json"
        config.write_text(json.dumps(self.config, indent=1))
        return [program("Orthanc", self.package), str(config)]

    def is_ready(self) -> bool:
        try:
            self.rest("/system")
        except OSError:
            return False
        return accepts_connections(self.dicom_port)

    def __exit__(self, *exc: Any) -> None:
        self.kill()  # ending in order takes it 3.5 s

    def rest(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """Return the decoded answer of `path`; with a body it is a POST unless `method` says otherwise."""
        answer = self.rest_bytes(path, body, method)
        return json.loads(answer) if answer else None

    def rest_bytes(self, path: str, body: Any = None, method: str | None = None) -> bytes:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.rest_url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return bytes(response.read())

    def add_modality(self, name: str, ae_title: str, port: int, host: str = "127.0.0.1") -> None:
        """Make a neighbour known to the running Orthanc, so that it may be sent commitments and moves.

        It is kept over a restart.
        """
        self.config["DicomModalities"][name] = [ae_title, host, port]
        self.rest(f"/modalities/{name}", {"AET": ae_title, "Host": host, "Port": port}, "PUT")

    def instances(self) -> list[str]:
        """Return the SOP Instance UIDs that are stored, sorted."""
        found = self.rest("/instances?expand")
        return sorted(instance["MainDicomTags"]["SOPInstanceUID"] for instance in found)

    def instance_file(self, sop_instance_uid: str) -> bytes | None:
        """Return the stored Part 10 file of an instance, None when there is none."""
        found = self.rest("/tools/lookup", sop_instance_uid.encode())
        ids = [entry["ID"] for entry in found if entry["Type"] == "Instance"]
        return self.rest_bytes(f"/instances/{ids[0]}/file") if ids else None

    def clear(self) -> None:
        """Forget every stored patient, so that a shared Orthanc starts a test empty."""
        for patient in self.rest("/patients"):
            self.rest(f"/patients/{patient}", method="DELETE")
