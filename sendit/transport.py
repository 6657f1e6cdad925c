"""A message broker that is a folder: the kombu transport behind ``sendit:///absolute/path/of/the/folder``.

It carries bells between the processes of one host; it is not a memory of work (the database is) and it knows nothing of
Celery's tasks, of Django or of images.

The folder is ``queues/<queue>/<published>-<deadline>-<id>.msg`` plus ``bad/`` for messages that cannot be read. A
message is written under a temporary name and renamed, so a reader never sees half of one. It belongs to the consumer
whose removal of the file succeeds. Its deadline is part of its name: what has expired is dropped without being opened.
``ears/`` has a named pipe for each worker that listens (`sendit/ears.py`): who publishes wakes them. A worker without an
ear (somebody deleted the folder) looks every `polling_interval` seconds, and makes a new one.
Exchanges and bindings live in each connection and are never written: only direct exchanges are offered, and Celery
declares what it uses on every connection. The folder may be deleted at any time.

Use it by calling :func:`register` once before the first connection and setting::

    broker_url = transport.url(data_folder / "broker")
    broker_transport_options = transport.OPTIONS

The folder has to be on a local filesystem. Workers on several hosts need Redis or RabbitMQ instead.
"""

from __future__ import annotations

import errno
import math
import os
import re
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty
from time import monotonic, sleep, time, time_ns
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

from kombu.exceptions import ChannelError
from kombu.log import get_logger
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.json import dumps, loads
from kombu.utils.scheduling import FairCycle

from sendit.ears import EARS, Ear, wake

SCHEME = "sendit"

# Seconds. The first is the time between two looks at an empty queue. The second bounds one call of `drain_events`: a
# Celery worker sees only between two calls that it was told to stop, and asks for two seconds each.
OPTIONS = {"polling_interval": 0.1, "longest_drain": 0.5}

TIDY_EVERY = 60.0  # seconds, per channel and queue
STALE_TEMPORARY = 600.0  # seconds: no publisher takes that long to write one message
ATTEMPTS = 10  # at writing into a folder that somebody deletes meanwhile; half a second in all
KEEP_BAD = 7 * 24 * 3600.0  # seconds

_NAME = re.compile(r"\A\d{20}-(\d{10})-[0-9a-f]{32}\.msg\Z")

logger = get_logger(__name__)


class BrokerUnavailable(ConnectionError):
    """The broker's folder cannot be used; kombu treats it like a server that went away and tries again."""


def register() -> None:
    """Make kombu (and with it Celery) understand ``sendit://`` addresses."""
    TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"


def url(folder: Path) -> str:
    """Return the broker address of a folder.

    Parameters
    ----------
    folder : Path
        The broker's folder; it need not exist.

    Returns
    -------
    str
        ``sendit:///absolute/path``, with whatever a URL may not contain escaped.
    """
    return f"{SCHEME}://{quote(str(folder.absolute()))}"


class Channel(virtual.Channel):
    """One consumer's or publisher's view of the folder."""

    supports_fanout = False
    exchange_types = {"direct": virtual.exchange.DirectExchange}

    def __init__(self, connection: Transport, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self.folder: Path = connection.folder
        self._listed: dict[str, deque[str]] = {}
        self._tidied: dict[str, float] = {}

    # What kombu asks of a virtual channel ----------------------------------------------------------------------------

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        name = f"{time_ns():020d}-{_deadline(message):010d}-{uuid4().hex}.msg"
        content = dumps(message).encode()
        folder = self._queue_folder(queue)
        try:
            for attempt in range(ATTEMPTS):
                try:
                    (folder / f".{name}.tmp").write_bytes(content)
                    os.rename(folder / f".{name}.tmp", folder / name)
                    break
                except FileNotFoundError:  # the broker's folder was deleted, perhaps between the two lines above
                    if attempt == ATTEMPTS - 1:
                        raise
                    sleep(0.0005 * 2**attempt)
                    self._new_queue(queue)
        except BrokerUnavailable:
            raise
        except OSError as error:
            with suppress(OSError):
                (folder / f".{name}.tmp").unlink()
            raise BrokerUnavailable(_sentence("write a message to", folder, error)) from error
        wake(self.folder)
        self._tidy(queue)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        listed = self._listed.setdefault(queue, deque())  # so that 10,000 waiting messages are listed once
        for refresh in (False, True):  # what is left of the last listing may all be taken by others meanwhile
            if refresh:
                listed.extend(self._messages(queue))
            while listed:
                message = self._claim(queue, listed.popleft())
                if message is not None:
                    return message
        self._tidy(queue)
        raise Empty

    def _size(self, queue: str) -> int:
        return sum(not _expired(name) for name in self._messages(queue))

    def _purge(self, queue: str) -> int:
        return sum(self._remove(self._queue_folder(queue) / name) for name in self._messages(queue))

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        self._purge(queue)
        with suppress(OSError):
            self._queue_folder(queue).rmdir()

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:
        return self._queue_folder(queue).is_dir()

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        _make(self.folder, self.folder / "queues", self._queue_folder(queue))

    # The folder ------------------------------------------------------------------------------------------------------

    def _queue_folder(self, queue: str) -> Path:
        name = quote(queue, safe="@")
        if not name.strip("."):
            raise ChannelError(f"A queue cannot be called {queue!r}.")
        return self.folder / "queues" / name

    def _messages(self, queue: str) -> list[str]:
        """Names of the waiting messages, oldest first."""
        folder = self._queue_folder(queue)
        try:
            return sorted(name for name in os.listdir(folder) if name.endswith(".msg"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BrokerUnavailable(_sentence("list", folder, error)) from error

    def _claim(self, queue: str, name: str) -> dict[str, Any] | None:
        """Take one message away from all other consumers; ``None`` if it is gone, expired or unreadable."""
        path = self._queue_folder(queue) / name
        if _expired(name):
            self._remove(path)
            return None
        try:
            message: dict[str, Any] = loads(path.read_bytes().decode())
            self.Message(message, channel=self)  # what kombu does next, outside our reach; it must not end the worker
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - anything may be in the file, and any error may come of it
            if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise BrokerUnavailable(_sentence("read", path.parent, error)) from error
            self._set_aside(queue, path, error)
            return None
        return message if self._remove(path) else None

    def _remove(self, path: Path) -> bool:
        """Remove a message; exactly one of several processes that try is told that it succeeded."""
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise BrokerUnavailable(_sentence("remove a message from", path.parent, error)) from error
        return True

    def _set_aside(self, queue: str, path: Path, reason: Exception) -> None:
        """Move what cannot be read out of the way, for a person to look at within a week."""
        bad = self.folder / "bad"
        aside = bad / f"{path.parent.name}-{uuid4().hex}.msg"
        _make(bad)
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return  # another consumer was quicker, or the folder was deleted
        except OSError as error:
            raise BrokerUnavailable(_sentence("set aside a message in", bad, error)) from error
        logger.warning(
            "A message in queue %s could not be read (%s); it is set aside as %s.", queue, type(reason).__name__, aside
        )

    def _tidy(self, queue: str) -> None:
        """Once a minute: remove expired messages, and temporary files and bad messages that nobody will miss."""
        if monotonic() < self._tidied.get(queue, 0.0):
            return
        self._tidied[queue] = monotonic() + TIDY_EVERY
        for name in self._messages(queue):
            if _expired(name):
                self._remove(self._queue_folder(queue) / name)
        for folder, pattern, age in (
            (self._queue_folder(queue), ".*.tmp", STALE_TEMPORARY),
            (self.folder / "bad", "*", KEEP_BAD),
        ):
            with suppress(OSError):  # a file that vanished meanwhile; whatever else is wrong will be met again
                for path in folder.glob(pattern):
                    if time() - path.stat().st_mtime > age:
                        path.unlink()


class Transport(virtual.Transport):
    """The folder as a kombu transport."""

    Channel = Channel
    cycle: FairCycle
    can_parse_url = True  # kombu hands us the address as it is, in client.hostname
    polling_interval = 0.1
    driver_type = "sendit"
    driver_name = "folder"
    # Asynchronous, because only then each pool process of a Celery worker has a pipe of its own. Otherwise they share one
    # under a lock, which a process that is killed while it waits for work takes into its grave: the worker stands still.
    implements = virtual.Transport.implements.extend(asynchronous=True, exchange_type=frozenset(["direct"]))

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.closed = False
        self._ear: Ear | None = None
        self.longest_drain: float = client.transport_options.get("longest_drain", math.inf)
        address = urlsplit(client.hostname)
        path = unquote(address.path)
        if address.netloc or address.query or path in ("", "/"):
            raise ValueError(
                f"{client.hostname} is not the address of a broker's folder: it takes three slashes and the absolute "
                f"path, such as {SCHEME}:///var/lib/sendit/broker."
            )
        self.folder = Path(path)

    def establish_connection(self) -> Any:
        """Create the folder if need be and see that it can be used."""
        _make(self.folder)
        if self.folder.exists() and not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise BrokerUnavailable(f"The broker's folder {self.folder} cannot be read and written by this process.")
        return super().establish_connection()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Have a Celery worker's event loop look for messages: when its ear hears one, and often after one was found.

        Then less and less, but every `polling_interval` seconds at the least. A fixed interval would let two workers hear
        no more than two bells in each, for they are given no more before they have taken these.
        """
        pause = self.polling_interval
        ear = self._ear = self._listen()

        def hear() -> None:
            ear.drain()
            self._look()

        def look() -> None:
            nonlocal pause, ear
            if self.closed:
                return
            try:
                if not ear.path.exists():
                    new = self._listen()
                    loop.remove(ear.handle)
                    ear.close()
                    ear = self._ear = new
                    loop.add_reader(ear.handle, hear)
                pause = 0.002 if self._look() else min(2 * pause, self.polling_interval)
            finally:  # whatever became of the folder: who does not look any more hears nothing for ever
                loop.call_later(pause, look)

        loop.add_reader(ear.handle, hear)
        loop.call_later(pause, look)

    def _listen(self) -> Ear:
        _make(self.folder, self.folder / EARS)
        return Ear(self.folder)

    def close_connection(self, connection: Any) -> None:
        """Close, and stop looking."""
        self.closed = True
        if self._ear is not None:
            self._ear.close()
        super().close_connection(connection)

    def _look(self) -> int:
        """Deliver what the prefetch limit lets through; returns how many messages."""
        found = 0
        with suppress(Empty):
            while True:
                self.cycle.get(self._deliver)
                found += 1
        return found

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        """Deliver one message, looking often at first and then every `polling_interval` seconds.

        kombu's own loop sleeps the whole interval even when it only waits for a worker to take what it was given, so
        that two workers would hear no more than two bells per interval.
        """
        until = monotonic() + min(math.inf if timeout is None else timeout, self.longest_drain)
        pause = 0.001
        while True:
            try:
                self.cycle.get(self._deliver, timeout=timeout)
                return
            except Empty:
                left = until - monotonic()
                if left <= 0:
                    raise TimeoutError from None
                sleep(min(pause, left))
                pause = min(pause * 2, self.polling_interval)

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:
        """Return the address for the log; there is no password in it."""
        return uri

    def driver_version(self) -> str:
        """Return the version of the layout of the folder."""
        return "1"

    @property
    def default_connection_params(self) -> dict[str, Any]:
        """No host and no port: there is no server."""
        return {}


def _make(*folders: Path) -> None:
    """Create folders, outermost first, while somebody else may create or delete them."""
    for attempt in range(ATTEMPTS):
        try:
            for folder in folders:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return
        except (FileNotFoundError, FileExistsError) as error:
            if attempt == ATTEMPTS - 1:
                raise BrokerUnavailable(_sentence("create", folders[-1], error)) from error
        except OSError as error:
            raise BrokerUnavailable(_sentence("create", folders[-1], error)) from error


def _deadline(message: dict[str, Any]) -> int:
    """Second after which nobody wants the message; 0 if it keeps."""
    expires = (message.get("headers") or {}).get("expires")  # Celery: ISO 8601
    expiration = (message.get("properties") or {}).get("expiration")  # AMQP: milliseconds from now
    with suppress(TypeError, ValueError):
        if expires:
            moment = datetime.fromisoformat(expires)
            return max(1, math.ceil((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
        if expiration:
            return max(1, math.ceil(time() + int(expiration) / 1000))
    return 0


def _expired(name: str) -> bool:
    match = _NAME.match(name)
    return match is not None and 0 < int(match[1]) < time()


def _sentence(action: str, folder: Path, error: OSError) -> str:
    return (
        f"Cannot {action} the broker's folder {folder}: {error.strerror}. "
        "No work is lost, the sweeper rings again; check space and permissions."
    )
