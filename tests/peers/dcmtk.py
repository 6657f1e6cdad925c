"""The receivers of dcmtk: storescp, which writes files into a folder, and dcmqrscp, which can be asked for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.peers.server import Server, accepts_connections, free_port, program


class StoreSCP(Server):
    """dcmtk's storescp; further words are its own options (`"--fork"`, `"+B"`, `"--abort-during"`).

    It accepts every transfer syntax unless `options` prefer one.
    """

    name = "storescp"
    package = "dcmtk"

    def __init__(self, folder: Path | str, *options: str, ae_title: str = "STORESCP", port: int = 0) -> None:
        super().__init__(folder)
        self.host = "127.0.0.1"
        self.ae_title = ae_title
        self.dicom_port = port or free_port()
        self.options = options or ("+xa",)
        self.output = self.folder / "received"
        self.output.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        words = ["-aet", self.ae_title, "-od", str(self.output), "-dhl", *self.options, str(self.dicom_port)]
        return [program("storescp", self.package), *words]

    def is_ready(self) -> bool:
        return accepts_connections(self.dicom_port)

    def received(self) -> list[Path]:
        """Return the files that were written, sorted by name (`MODALITY.SOPInstanceUID`)."""
        return sorted(path for path in self.output.iterdir() if path.is_file())

    def clear(self) -> None:
        for path in self.received():
            path.unlink()


class Dcmqrscp(Server):
    """dcmtk's archive with one storage area; `hosts` says where a C-MOVE may go: `{"SENDIT": 11112}`."""

    name = "dcmqrscp"
    package = "dcmtk"

    def __init__(
        self, folder: Path | str, *, ae_title: str = "QRSCP", port: int = 0, hosts: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(folder)
        self.host = "127.0.0.1"
        self.ae_title = ae_title
        self.dicom_port = port or free_port()
        self.hosts = dict(hosts or {})
        self.storage = self.folder / "storage"
        self.storage.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        peers = [f"host{n} = ({title}, 127.0.0.1, {port})" for n, (title, port) in enumerate(self.hosts.items())]
        names = [f"peers = {', '.join(f'host{n}' for n in range(len(peers)))}"] if peers else []
        lines = [
            f"NetworkTCPPort = {self.dicom_port}",
            "MaxPDUSize = 16384",
            "MaxAssociations = 16",
            *["HostTable BEGIN", *peers, *names, "HostTable END"],
            *["VendorTable BEGIN", "VendorTable END"],
            *["AETable BEGIN", f"{self.ae_title} {self.storage} RW (1000, 1024mb) ANY", "AETable END"],
        ]
        config = self.folder / "dcmqrscp.cfg"
        config.write_text("\n".join(lines) + "\n")
        return [program("dcmqrscp", self.package), "-dhl", "-c", str(config)]

    def is_ready(self) -> bool:
        return accepts_connections(self.dicom_port)
