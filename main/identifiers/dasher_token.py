"""The token file of the identifiers service: read by every worker, refreshed by one at a time, never half-written.

Tokens are secrets: they are in this file and in the Authorization header, and in no error and no log.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from main.errors import Transient
from main.identifiers.http import Service, call
from sendit.keys import sync_folder

log = logging.getLogger(__name__)

_LOCK_TURN_SECONDS = 0.05


class TokenFile:
    """JSON with `accessToken`, `refreshToken` and `token_uri`; other keys are kept as they are."""

    def __init__(self, path: Path, service: Service) -> None:
        self.path = path.resolve()
        self._service = service

    def access(self) -> str:
        """The access token; refreshed first if the file has none."""
        token = self._read().get("accessToken") or self.refresh("")
        if not _is_token(token):
            raise self._unusable("has an accessToken that is no token")
        return str(token)

    def refresh(self, refused: str) -> str:
        """An access token that is not `refused`: one that another process has fetched meanwhile, or a new one.

        Raises
        ------
        Transient
            `identifiers-unauthorised`, when the refresh token is not accepted either; as `http.call`.
        """
        with self._locked():
            tokens = self._read()
            if tokens.get("accessToken") and tokens["accessToken"] != refused:
                return str(tokens["accessToken"])
            with self._successor() as handle:  # made before asking: a refresh token often counts only once
                tokens |= self._ask(tokens)
                os.write(handle, json.dumps(tokens, indent=2).encode("utf-8") + b"\n")
        log.info("The access token of the identifiers service was refreshed.")
        return str(tokens["accessToken"])

    def _ask(self, tokens: dict[str, Any]) -> dict[str, Any]:
        address, secret = tokens.get("token_uri"), tokens.get("refreshToken")
        if not isinstance(address, str) or not isinstance(secret, str) or not secret:
            raise self._unusable("has no token_uri or no refreshToken, so the access token cannot be refreshed")
        reply = call(self._service, "POST", address, content=json.dumps({"refreshToken": secret}).encode("utf-8"))
        if reply.status == 429 or reply.status >= 500:
            raise Transient("identifiers-away", f"The token service answered {reply.status}. Will try again.")
        if reply.status >= 400:
            raise unauthorised(f"The token service answered {reply.status} to the refresh token.")
        answer = reply.json()
        fresh = {name: answer.get(name) for name in ("accessToken", "refreshToken")} if isinstance(answer, dict) else {}
        if not fresh or not all(_is_token(token) for token in fresh.values()):
            raise Transient("identifiers-garbled", "The token service's answer has no usable tokens. Will try again.")
        return fresh

    def _read(self) -> dict[str, Any]:
        try:
            tokens = json.loads(self.path.read_bytes())
        except OSError as error:
            raise self._unusable(f"cannot be read ({os.strerror(error.errno or 0)})") from None
        except ValueError:
            raise self._unusable("is no JSON") from None
        if not isinstance(tokens, dict):
            raise self._unusable("is no JSON object")
        return tokens

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Held by one process at a time; it frees itself when its holder dies."""
        until = time.monotonic() + 3 * self._service.seconds
        try:
            handle = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise Transient(
                            "identifiers-slow", "Another process refreshes the access token and does not end."
                        ) from None
                    time.sleep(_LOCK_TURN_SECONDS)  # another process refreshes the token just now
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _successor(self) -> Iterator[int]:
        """A new file of mode 0600 that takes this one's place, durably, when the block ends well."""
        try:
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}-")
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            yield handle
            os.fsync(handle)
            os.replace(name, self.path)
            sync_folder(self.path.parent)
        finally:
            os.close(handle)
            with suppress(FileNotFoundError):
                os.unlink(name)

    def _unusable(self, what: str) -> Transient:
        return Transient("identifiers-settings", f"The token file {self.path} (STANFORD_CLIENT_SECRETS) {what}.")

    def _unwritable(self, error: OSError) -> Transient:
        return self._unusable(f"lies in a folder that cannot be written ({os.strerror(error.errno or 0)})")


def _is_token(token: object) -> bool:
    return isinstance(token, str) and token != "" and token.isascii() and token.isprintable()


def unauthorised(sentence: str) -> Transient:
    """The error for tokens that are not accepted."""
    return Transient(
        "identifiers-unauthorised",
        f"{sentence} Get a new token file and put it where STANFORD_CLIENT_SECRETS says; the series that wait go on "
        "by themselves.",
    )
