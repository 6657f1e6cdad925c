"""Certificates of what was released: made from the rows of the releases, signed with the node's key, without values.

What a certificate says is `deidentify.certificate`; here it is found out for which images, and kept when they are
cleaned up.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count
from django.utils import timezone

from deidentify import Refused, Released
from deidentify.certificate import Certificate, signing_key
from main import identity
from main.errors import Quarantine
from main.models import Image, Release, Series
from main.models.imaging import Status
from main.pipeline.release import deidentifier


def certificates(series: Collection[int]) -> list[Certificate]:
    """Return a signed certificate for each of `recipes`; all of the series belong to one study.

    Raises
    ------
    Quarantine
        `project-unknown`: its key is not there.
    """
    project = _project(series)
    key = signing_key(identity.pseudonyms(project).engine_key)
    now, held = timezone.now(), _not_released(series)
    return [
        Certificate.of(
            _released(series, recipe, project), deidentifier(recipe, project).recipe, not_released=held
        ).sign(key, now)
        for recipe in _recipes(series, project)
    ]


def _project(series: Collection[int]) -> str:
    return Series.objects.filter(pk__in=series).values_list("project", flat=True)[0]


def recipes(series: Collection[int]) -> list[str]:
    """Return the recipes by which images of these series are released, without `none` and those that changed since."""
    return _recipes(series, _project(series))


def _recipes(series: Collection[int], project: str) -> list[str]:
    try:
        key_id = identity.key_id(project)
    except (Quarantine, ImproperlyConfigured):
        return []  # its project is not there, or nobody knows
    used = Release.objects.filter(image__series__in=series, key_id=key_id).exclude(report={})
    found = list(used.order_by().values_list("recipe", "recipe_hash").distinct())
    return sorted(recipe for recipe, written in found if _is_still(recipe, project, written))


def _is_still(name: str, project: str, written: str) -> bool:
    """Tell whether a recipe is there, de-identifies, and is as it was when it had the hash `written`."""
    try:
        recipe = deidentifier(name, project).recipe
    except Refused:
        return False
    return recipe.deidentifies and recipe.hash == written


def of_study(series: Series) -> list[Certificate]:
    """Return the certificates of the whole study of `series`."""
    return certificates(whole_study(series))


def whole_study(series: Series) -> list[int]:
    """Return the numbers of all series of the study of `series`."""
    return list(Series.objects.filter(study=series.study_id).values_list("pk", flat=True))


def keep(series: Collection[int]) -> None:
    """Write the certificates of series of one study into the folder `certificates`; call it before they are cleaned up."""
    for certificate in certificates(series):
        text = certificate.json()
        folder = settings.CERTIFICATES_DIR / str(certificate.content["study_instance_uid"])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        outputs = "".join(sha256 for _, sha256 in certificate.outputs())
        name = hashlib.sha256((outputs + certificate.content["recipe"]["sha256"]).encode()).hexdigest()[:16]
        _write(folder / f"{certificate.content['recipe']['name'].replace(' ', '-')}-{name}.json", text)


def _released(series: Collection[int], recipe: str, project: str) -> Iterator[Released]:
    """The engine's own account of each release, from its row."""
    engine = deidentifier(recipe, project)
    releases = Release.objects.filter(image__series__in=series, recipe=recipe, recipe_hash=engine.recipe.hash)
    # Under another key or project the study had another name: what was released then has no place in this certificate.
    releases = releases.filter(key_id=identity.key_id(project)).exclude(report={})
    newest = releases.order_by("-pk").first()
    for one in releases.filter(study_instance_uid=newest.study_instance_uid if newest else "").order_by("pk"):
        yield Released(
            sop_class_uid=one.sop_class_uid,
            sop_instance_uid=one.sop_instance_uid,
            series_instance_uid=one.series_instance_uid,
            study_instance_uid=one.study_instance_uid,
            transfer_syntax_uid=one.transfer_syntax_uid,
            sha256=one.sha256,
            dataset_offset=one.dataset_offset,
            size=one.size,
            recipe=one.recipe,
            recipe_hash=one.recipe_hash,
            key_id=engine.key_id,
            actions=one.report["actions"],
            pixels=one.report["pixels"],
            methods=one.report.get("methods", []),
            validity=one.report.get("validity"),
        )


def _not_released(series: Collection[int]) -> dict[str, int]:
    """How many images are held or were excluded, by reason."""
    held = Image.objects.filter(series__in=series, status__in=[Status.QUARANTINED, Status.EXCLUDED])
    return dict(held.order_by().values_list("code").annotate(n=Count("id")))


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(".part")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
