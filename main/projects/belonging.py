"""Which project a file belongs to: by the rules on what is in it, by where it came from, or to the default one.

The more a project says about what is its own, the sooner it is asked; where two say the same much, nobody chooses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from main.errors import Quarantine
from main.models import Batch
from main.pipeline.source import LOST
from main.projects import UNKNOWN, Project, project, projects

CLAIMED_TWICE = "project-claimed-twice"

_BIG_ENDIAN = "1.2.840.10008.1.2.2"  # the one transfer syntax that is not little endian


class Belonging:
    """The projects as one drop needs them: which of them it comes from, and which tags are looked at.

    Parameters
    ----------
    batch : Batch
        With where it came from.

    Raises
    ------
    django.core.exceptions.ImproperlyConfigured
        SENDIT_PROJECTS is not right.
    """

    def __init__(self, batch: Batch) -> None:
        self._named = batch.project
        self._steps: tuple[list[Project], ...] = ([], [], [])
        for one in projects().values():
            is_source = _is_from(batch, one)
            if one.when and (is_source or not one.has_sources):
                self._steps[0 if is_source else 1].append(one)
            elif is_source:
                self._steps[2].append(one)
        asked = [] if self._named else [one.when for step in self._steps for one in step if one.when]
        self.tags = frozenset(tag for condition in asked for tag, _ in condition.tests)

    def of(self, values: Mapping[int, bytes], transfer_syntax_uid: str) -> str:
        """Return the name of the project to which a file with these raw values of its top level belongs.

        Raises
        ------
        Quarantine
            `project-claimed-twice`: two projects claim it. `project-unknown`: it was handed over for a project that is not
            there any more.
        """
        if self._named == LOST:
            raise Quarantine(
                UNKNOWN,
                "Where this drop came from is not known any more (the power failed while it was taken), so nobody says which "
                "project it is for. Drop the files again where they belong, and discard these.",
            )
        if self._named:
            return project(self._named).name
        little = transfer_syntax_uid != _BIG_ENDIAN
        for step in self._steps:
            claiming = sorted(one.name for one in step if not one.when or one.when.matches(values, little=little))
            if len(claiming) > 1:
                raise Quarantine(
                    CLAIMED_TWICE,
                    f"The projects {' and '.join(claiming)} both claim this file, so it goes by none of them. Say more in the "
                    "file of SENDIT_PROJECTS about what is theirs, then requeue.",
                )
            if claiming:
                return claiming[0]
        return str(settings.SENDIT_PROJECT)


def _is_from(batch: Batch, one: Project) -> bool:
    """Whether a drop comes from a source of a project."""
    return (
        (bool(batch.watched) and Path(batch.watched) in one.folders)
        or (bool(batch.called_ae_title) and batch.called_ae_title in one.called_ae_titles)
        or (bool(batch.calling_ae_title) and batch.calling_ae_title in one.calling_ae_titles)
    )


def called_ae_titles() -> frozenset[str]:
    """Return the AE titles by which this node may be called: its own, and those of projects.

    Raises
    ------
    django.core.exceptions.ImproperlyConfigured
        SENDIT_PROJECTS is not right.
    """
    own: frozenset[str] = frozenset({settings.DICOM_AE_TITLE})
    return own.union(*(one.called_ae_titles for one in projects().values()))
