"""The neighbours themselves: they start, keep what they should over a kill, and leave nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import Dcmqrscp, MissingPeer, Orthanc, Postgres, Redis, Server, StoreSCP, wait_for
from tests.peers.fixtures import running
from tests.peers.server import program


@pytest.mark.parametrize("kind", [Orthanc, Redis, Postgres, StoreSCP, Dcmqrscp])
def test_a_server_starts_dies_and_starts_again(tmp_path: Path, kind: type[Server]) -> None:
    server = running(kind(tmp_path / "server"))
    first = server.pid
    server.kill()
    assert not server.running
    with server.start():
        assert server.pid != first
        assert server.is_ready()
    assert not server.running


def test_postgres_keeps_its_rows_over_a_kill(tmp_path: Path) -> None:
    with running(Postgres(tmp_path, durable=True)) as postgres:
        postgres.sql("CREATE TABLE kept (n integer)")
        postgres.sql("INSERT INTO kept VALUES (42)")
        postgres.kill()
        postgres.start()
        assert postgres.sql("SELECT n FROM kept") == "42"


def test_redis_forgets_unless_it_is_told_to_keep(tmp_path: Path) -> None:
    for appendonly, kept in ((False, "$-1"), (True, "$5")):
        with running(Redis(tmp_path / str(appendonly), appendonly=appendonly)) as redis:
            assert redis.ask("SET", "key", "value") == "+OK"
            redis.kill()
            redis.start()
            assert redis.ask("GET", "key") == kept


def test_nothing_survives_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.peers import Redis, Postgres\n"
        "for kind in (Redis, Postgres): print(kind(Path(sys.argv[1]) / kind.name).start().pid, flush=True)\n"
        "input()"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        parent.send_signal(signal.SIGKILL)
    for pid in pids:
        wait_for(lambda pid=pid: not _alive(pid), f"the end of process {pid}")


def test_a_peer_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(MissingPeer, match="sudo apt-get install -y no-such-package"):
        program("no-such-program", "no-such-package")

    class Missing(Redis):
        def command(self) -> list[str]:
            return [program("no-such-program", "no-such-package")]

    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception):
        running(Missing(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        running(Missing(tmp_path))


def _alive(pid: int) -> bool:
    """Say whether a process runs; a zombie that nobody has taken leave of does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
