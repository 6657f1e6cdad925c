"""Key files: 32 secret bytes as 64 hexadecimal digits, readable by their owner only.

The only place where the command reads or writes a key.
"""

from __future__ import annotations

import argparse
import os
import secrets
import stat
import sys
from pathlib import Path

from deidentify.certificate import public_key, signing_key
from deidentify.errors import Refused
from deidentify.pseudonyms import Pseudonyms
from deidentify.uids import UidMap


def key(arguments: argparse.Namespace) -> int:
    """Make a key file, or name the key in one.

    Raises
    ------
    Refused
        ``bad-key``, when the file is there already, or cannot be read.
    """
    if not arguments.show:
        make_key(arguments.file)
    project = Pseudonyms(read_key(arguments.file), arguments.project)
    print(f"key id      {UidMap(project.engine_key).key_id}")
    print(f"public key  {public_key(signing_key(project.engine_key))}")
    return 0


def make_key(path: Path) -> None:
    """Write a new key to `path`, which must not be there.

    Raises
    ------
    Refused
        ``bad-key``, when it is: pseudonyms of an older key would be lost with it.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Refused("bad-key", f"{path} is there already, and a key is never overwritten.") from None
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_key(path: Path) -> bytes:
    """Return the key in a file; says so on stderr when others may read it.

    Raises
    ------
    Refused
        ``bad-key``, when there is none in it.
    """
    try:
        with open(path, "rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read(1024)
        found = bytes.fromhex(content.decode("ascii").strip())
    except OSError as error:
        raise Refused("bad-key", f"The key file {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        found = b""
    if len(found) != 32:
        raise Refused("bad-key", f"{path} is no key file: 64 hexadecimal digits, as `python -m deidentify key` makes.")
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        print(f"Others may read the key file {path}; chmod 600 it.", file=sys.stderr)
    return found
