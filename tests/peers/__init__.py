"""The real neighbours of the node, for tests, benchmarks and fault runs: started on free ports, ended by pid.

Each is a context manager: `with Orthanc(folder) as orthanc: ...`. Nothing here imports pytest except `fixtures`.
"""

from tests.peers.dcmtk import Dcmqrscp, StoreSCP
from tests.peers.orthanc import Orthanc
from tests.peers.postgres import Postgres
from tests.peers.redis import Redis
from tests.peers.scripted import ScriptedSCP
from tests.peers.server import MissingPeer, Server, free_port, wait_for
from tests.peers.silent import Listener

__all__ = [
    "Dcmqrscp",
    "Listener",
    "MissingPeer",
    "Orthanc",
    "Postgres",
    "Redis",
    "ScriptedSCP",
    "Server",
    "StoreSCP",
    "free_port",
    "wait_for",
]
