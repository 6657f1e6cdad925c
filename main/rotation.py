"""A new key for the vault: put in front of the old one, every sealed value sealed anew, the old one let go.

Whatever a model keeps sealed is found by the name of its column, `sealed` or `sealed_…`; a run that was interrupted goes on
with what is still under an old key.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import models, transaction

from main import identity
from main.claims import locked
from main.models import KeyRecord
from sendit import keys

# Rows that are read, and written in one transaction; a model with large ones says `ROTATED_AT_ONCE`.
PIECE = 500

Column = tuple[type[models.Model], str]


def columns() -> list[Column]:
    """Every column with sealed values."""
    return [
        (model, field.name)
        for model in apps.get_app_config("main").get_models()
        for field in model._meta.concrete_fields
        if field.name == "sealed" or field.name.startswith("sealed_")
    ]


def count() -> int:
    """How many values there are to look at."""
    return sum(_values(model, name).count() for model, name in columns())


def new_key() -> None:
    """Put a new key in front of the old one in `keys/vault.key`; every process uses it at once.

    Raises
    ------
    ValueError
        The keys are not in that file, or a new one waits there already.
    """
    if settings.ENCRYPTION_KEY:
        raise ValueError(
            "The key comes from ENCRYPTION_KEY: put a new one in front of it there, ENCRYPTION_KEY=NEW,OLD."
        )
    known = identity.vault_keys()
    if len(known) > 1:
        raise ValueError("There is a new key already: run rotate_keys without --new-key.")
    keys.replace(settings.KEYS_DIR, "vault", "\n".join([Fernet.generate_key().decode("ascii"), *known]))


def reseal(on_value: Callable[[], object]) -> int:
    """Seal every value anew that is not under the newest key; returns how many, and calls `on_value` for each one seen."""
    newest = Fernet(identity.vault_keys()[0])
    return sum(_reseal(model, name, newest, on_value) for model, name in columns())


def let_go() -> bool:
    """Need the old keys no more: the newest is the vault's from now on. False while a value is under an old one.

    Keys in `keys/vault.key` go to `keys/vault-old.key`: a backup that was made under them needs them.
    """
    newest, *old = identity.vault_keys()
    if any(_under_another(_values(model, name), name, Fernet(newest)) for model, name in columns()):
        return False
    KeyRecord.objects.filter(name="vault").update(fingerprint=identity.fingerprint(newest.encode("ascii")))
    if not settings.ENCRYPTION_KEY:
        before = keys.read(settings.KEYS_DIR, "vault-old")
        keys.replace(settings.KEYS_DIR, "vault-old", "\n".join([*old, *(before.split() if before else ())]))
        keys.replace(settings.KEYS_DIR, "vault", newest)
    return True


def _values(model: type[models.Model], name: str) -> models.QuerySet[models.Model]:
    return model._default_manager.exclude(**{name: ""}).order_by("pk")


def _pieces(values: models.QuerySet[models.Model], name: str) -> list[tuple[int, str]]:
    return list(values.values_list("pk", name)[: min(PIECE, getattr(values.model, "ROTATED_AT_ONCE", PIECE))])


def _reseal(model: type[models.Model], name: str, newest: Fernet, on_value: Callable[[], object]) -> int:
    last, done = 0, 0
    while piece := _pieces(_values(model, name).filter(pk__gt=last), name):
        last = piece[-1][0]
        if old := [pk for pk, token in piece if not _opens(newest, token)]:
            with transaction.atomic():
                rows = locked(model._default_manager.filter(pk__in=old))
                for row in rows:
                    setattr(row, name, identity.reseal(getattr(row, name)))
                model._default_manager.bulk_update(rows, [name])
            done += len(rows)
        for _ in piece:
            on_value()
    return done


def _under_another(values: models.QuerySet[models.Model], name: str, newest: Fernet) -> bool:
    last = 0
    while piece := _pieces(values.filter(pk__gt=last), name):
        last = piece[-1][0]
        if not all(_opens(newest, token) for _, token in piece):
            return True
    return False


def _opens(key: Fernet, token: str) -> bool:
    try:
        key.decrypt(token)
    except InvalidToken:
        return False
    return True
