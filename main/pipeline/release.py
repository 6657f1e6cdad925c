"""The one function that creates a release, and the one that opens it. Nothing else may write into or read from `releases/`.

Fail closed: no recipe, no identifiers, no key, a leak: no release. Deliverers get an `OpenRelease`, never an original.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from deidentify import Deidentifier, Identifiers, Recipe, WayBack
from deidentify.errors import Refused
from deidentify.pseudonyms import Pseudonyms
from deidentify.validity import Validity, difference
from main import identity
from main.errors import Excluded, Quarantine
from main.failpoints import reach
from main.models import Image, Release, SeriesIdentifiers
from main.pipeline.identify import Known
from main.pipeline.register import unchanged_original


@dataclass(frozen=True)
class OpenRelease:
    """A release whose file was checked against its recorded hash."""

    delivery_id: int
    path: Path
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    dataset_offset: int
    size: int
    sha256: str


def deidentifier(recipe: str, project: str) -> Deidentifier:
    """The engine for `recipe`, under the key of the project of this name and the node's root of UIDs.

    Raises
    ------
    Refused
        There is no such recipe, or it is not right.
    Quarantine
        `project-unknown`.
    """
    return _engine(recipe, settings.SENDIT_UID_ROOT, identity.pseudonyms(project))


@lru_cache(maxsize=32)
def _engine(recipe: str, root: str, pseudonyms: Pseudonyms) -> Deidentifier:
    return Deidentifier(Recipe.load(recipe).below(root), pseudonyms.engine_key)


def create_release(
    image: Image, recipe: str, project: str, identifiers: SeriesIdentifiers, more: Known = ()
) -> tuple[Release, WayBack | None]:
    """De-identify the original of `image` by `recipe`, under the key of `project`, into the release folder.

    The row is not saved yet. What leads back is returned with it, for the vault: nothing, where there is no vault or the
    original is passed on.

    Raises
    ------
    Excluded
        A filter of the recipe says that it is not sent.
    Quarantine
        The engine refused: the reason is its code. Or the original is gone, or not the file that was registered.
    OSError
        The disk is full or fails.
    """
    engine = deidentifier(recipe, project)
    file_name = f"{image.series_id}/{image.pk}-{engine.recipe.hash[:8]}.dcm"
    target = settings.RELEASES_DIR / file_name
    partial = target.with_suffix(f".{uuid.uuid4().hex[:8]}.part")
    target.parent.mkdir(exist_ok=True, mode=0o700)
    validity: Validity | None = None
    try:
        put_in = Identifiers(identifiers.values, identifiers.date_shift_days)
        original = unchanged_original(image)
        released = engine.file(original, partial, put_in, more=more, way_back=settings.SENDIT_VAULT)
        if settings.SENDIT_VALIDITY:
            validity = difference(original, partial)
        unchanged_original(image)  # nor was it written to while it was read
    except Refused as refused:
        partial.unlink(missing_ok=True)
        kind = Excluded if refused.code == "excluded" else Quarantine
        raise kind(refused.code, refused.sentence) from None
    except Quarantine:
        partial.unlink(missing_ok=True)
        raise
    except FileNotFoundError:
        raise Quarantine("no-original", "The original of this image is no longer in the data folder.") from None
    reach("deidentify:written")
    os.rename(partial, target)
    reach("deidentify:renamed")
    row = Release(
        image=image,
        recipe=recipe,
        recipe_hash=released.recipe_hash,
        key_id=identity.key_id(project),
        study_instance_uid=released.study_instance_uid,
        series_instance_uid=released.series_instance_uid,
        sop_instance_uid=released.sop_instance_uid,
        sop_class_uid=released.sop_class_uid,
        transfer_syntax_uid=released.transfer_syntax_uid,
        dataset_offset=released.dataset_offset,
        size=released.size,
        sha256=released.sha256,
        file_name=file_name,
        report={
            "actions": released.actions,
            "pixels": released.pixels,
            "methods": released.methods,
            **({} if validity is None else {"validity": validity}),
        },
        at=timezone.now(),
    )
    return row, released.way_back


def open_release(release: Release, delivery_id: int) -> OpenRelease:
    """Check that the file of `release` is what the de-identifier wrote.

    Raises
    ------
    Quarantine
        `release-missing` or `release-changed`: it is not sent.
    """
    try:
        with open(release.path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise Quarantine("release-missing", "The released file is gone; replay the series from deidentify.") from None
    if found != release.sha256:
        raise Quarantine(
            "release-changed",
            "The released file is not the one that the de-identifier wrote (its hash differs). It is not sent; "
            "replay the series from deidentify.",
        )
    return OpenRelease(
        delivery_id=delivery_id,
        path=release.path,
        study_instance_uid=release.study_instance_uid,
        series_instance_uid=release.series_instance_uid,
        sop_instance_uid=release.sop_instance_uid,
        sop_class_uid=release.sop_class_uid,
        transfer_syntax_uid=release.transfer_syntax_uid,
        dataset_offset=release.dataset_offset,
        size=release.size,
        sha256=release.sha256,
    )
