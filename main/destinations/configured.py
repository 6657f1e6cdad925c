"""Destinations as configured: from the environment and the TOML file into rows, at every start.

A destination that is no longer configured is disabled, never deleted: deliveries point to it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from deidentify import Recipe, Refused
from main.destinations import kinds
from main.models import Destination
from main.projects.configured import require_destinations
from sendit.reference import PROOFS

_COMMON = {"kind", "recipe", "trusted", "proof"}
_KEYS: dict[str, tuple[set[str], set[str]]] = {
    "folder": ({"path"}, set()),
    "dicom": ({"host", "port"}, {"ae_title", "rest_url", "rest_user", "rest_password_env"}),
}


def sync() -> list[Destination]:
    """Write the configured destinations to the database; returns the enabled ones.

    Raises
    ------
    ImproperlyConfigured
        With the name of the destination, what is wrong with it and what is accepted; and when a project delivers where
        nobody is.
    """
    wanted = configured()
    require_destinations(wanted)
    for name, values in wanted.items():
        Destination.objects.update_or_create(name=name, defaults={**values, "enabled": True})
    Destination.objects.exclude(name__in=wanted).update(enabled=False)
    return list(Destination.objects.filter(enabled=True).order_by("name"))


def configured() -> dict[str, dict[str, Any]]:
    """Name and columns of every configured destination."""
    found: dict[str, dict[str, Any]] = {}
    if settings.SEND_TO_ORTHANC:
        options = {
            "host": settings.ORTHANC_IPADDRESS,
            "port": settings.ORTHANC_PORT,
            "ae_title": settings.ORTHANC_AE_TITLE,
            "rest_url": settings.ORTHANC_REST_URL,
            "rest_user": settings.ORTHANC_REST_USER,
            "rest_password_env": "ORTHANC_REST_PASSWORD",
        }
        found["orthanc"] = _row("orthanc", {"kind": "dicom", **{k: v for k, v in options.items() if v}})
    if settings.SENDIT_DESTINATIONS:
        for name, values in _read_file().items():
            if name in found:
                raise ImproperlyConfigured(f"SENDIT_DESTINATIONS: the name {name!r} is taken by SEND_TO_ORTHANC.")
            found[name] = _row(name, values)
    if settings.SENDIT_OUTBOX or not found:
        path = (settings.SENDIT_OUTBOX or settings.DATA_DIR / "outbox").absolute()
        found.setdefault("outbox", _row("outbox", {"kind": "folder", "path": str(path)}))
    return found


def _read_file() -> dict[str, dict[str, Any]]:
    try:
        with open(settings.SENDIT_DESTINATIONS, "rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        raise ImproperlyConfigured(
            f"SENDIT_DESTINATIONS names a file that cannot be read ({error.strerror})."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ImproperlyConfigured(f"SENDIT_DESTINATIONS is not TOML: {error}.") from None
    for name, values in tables.items():
        if not isinstance(values, dict):
            raise ImproperlyConfigured(
                f"SENDIT_DESTINATIONS: {name!r} is not a table: write [{name}] and its lines below."
            )
    return tables


def _row(name: str, values: dict[str, Any]) -> dict[str, Any]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", name):
        raise ImproperlyConfigured(f"Destination {name!r}: a name is 1 to 40 letters, digits, - and _.")
    kind = values.get("kind")
    if kind not in _KEYS or kind not in kinds():
        raise ImproperlyConfigured(f"Destination {name!r}: kind is one of {', '.join(sorted(_KEYS))}, not {kind!r}.")
    required, optional = _KEYS[kind]
    if missing := required - values.keys():
        raise ImproperlyConfigured(f"Destination {name!r} of kind {kind} needs {', '.join(sorted(missing))}.")
    if unknown := values.keys() - required - optional - _COMMON:
        accepted = ", ".join(sorted(required | optional | _COMMON))
        raise ImproperlyConfigured(
            f"Destination {name!r}: {', '.join(sorted(unknown))} is not known; accepted: {accepted}."
        )
    values = _checked(name, values)
    recipe, trusted = str(values.get("recipe", settings.SENDIT_RECIPE)), values.get("trusted", False)
    try:
        deidentifies = Recipe.load(recipe).deidentifies
    except Refused as refused:
        raise ImproperlyConfigured(f"Destination {name!r}: recipe {recipe!r}: {refused.sentence}") from None
    if not deidentifies and not trusted:
        raise ImproperlyConfigured(
            f"Destination {name!r}: recipe {recipe} sends originals on, with the patient's name in them. Only a destination "
            "with trusted = true may get them."
        )
    proof = values.get("proof", settings.SENDIT_PROOF)
    if proof not in PROOFS:
        raise ImproperlyConfigured(f"Destination {name!r}: proof is one of {', '.join(PROOFS)}, not {proof!r}.")
    if kind == "dicom" and not values.get("rest_url"):
        if proof == "content":
            raise ImproperlyConfigured(
                f"Destination {name!r}: proof = content reads the bytes back and needs rest_url."
            )
        if proof == "found" and settings.DICOM_COMMITMENT_PORT is not None:
            raise ImproperlyConfigured(
                f"Destination {name!r}: with DICOM_COMMITMENT_PORT set it is asked for commitment, not queried: use proof = "
                "committed or highest."
            )
    return {
        "kind": kind,
        "recipe": recipe,
        "trusted": trusted,
        "required_proof": proof,
        "settings": {key: value for key, value in values.items() if key not in _COMMON},
    }


def _checked(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values with their kinds checked; a path is made absolute."""
    values = dict(values)
    if not isinstance(values.get("trusted", False), bool):
        raise ImproperlyConfigured(f"Destination {name!r}: trusted is true or false, not {values['trusted']!r}.")
    port = values.get("port", 104)
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise ImproperlyConfigured(f"Destination {name!r}: port is a number from 1 to 65535, not {port!r}.")
    if "path" in values:
        path = Path(str(values["path"])).expanduser()
        if not path.is_absolute():
            raise ImproperlyConfigured(f"Destination {name!r}: path is an absolute path, not {values['path']!r}.")
        values["path"] = str(path)
    return values
