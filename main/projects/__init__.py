"""Projects: which recipe, provider of identifiers, key and destinations are for what, and by which names they are known.

What a project is stands here; how the file is read in `configured.py`, what belongs to which in `belonging.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from deidentify.recipe import Condition
from main.errors import Quarantine

UNKNOWN = "project-unknown"


@dataclass(frozen=True)
class Project:
    """A project as it is configured.

    Attributes
    ----------
    recipe : str
        Of all of its releases but those for destinations that get originals; empty: each destination's own.
    identifiers : str
        The provider; empty: SENDIT_IDENTIFIERS.
    destinations : tuple of str
        Where its images go; empty: to all that no project names.
    taken : frozenset of str
        The destinations that other projects name.
    key : bytes, optional
        What its pseudonyms are made with; without one, the node's key.
    folders, called_ae_titles, calling_ae_titles
        The sources that are its own.
    when : Condition, optional
        What is its own by what is in the file; of its sources, where it has any.
    options : mapping
        Settings that are different in this project, by the setting's name.
    entity_fields, item_fields : tuple of (str, str)
        DASHER's custom fields: name and value. `{Keyword}` in a value stands for what the file has there.
    """

    name: str
    recipe: str = ""
    identifiers: str = ""
    destinations: tuple[str, ...] = ()
    taken: frozenset[str] = frozenset()
    key: bytes | None = field(default=None, repr=False)
    folders: frozenset[Path] = frozenset()
    called_ae_titles: frozenset[str] = frozenset()
    calling_ae_titles: frozenset[str] = frozenset()
    when: Condition | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    entity_fields: tuple[tuple[str, str], ...] = ()
    item_fields: tuple[tuple[str, str], ...] = ()

    def setting(self, name: str) -> Any:
        """Return a setting as it is in this project."""
        return self.options[name] if name in self.options else getattr(settings, name)

    def says(self, name: str) -> str:
        """Return what a setting is called in a sentence: what a project has of its own is named with it."""
        return f"{name} (of project {self.name})" if name in self.options else name

    @property
    def provider(self) -> str:
        """The name of its provider of identifiers."""
        chosen = self.identifiers or settings.SENDIT_IDENTIFIERS
        if chosen == "auto":
            chosen = "dasher" if settings.DEIDENTIFY_RESTFUL else "keyed"
        return str(chosen)

    @property
    def has_sources(self) -> bool:
        """Whether there are sources of its own."""
        return bool(self.folders or self.called_ae_titles or self.calling_ae_titles)

    def described(self) -> dict[str, str]:
        """Return what is this project's own, for people; of a key only that there is one."""
        said = {
            "recipe": self.recipe,
            "identifiers": self.identifiers,
            "key": "of its own" if self.key else "",
            "destinations": ", ".join(self.destinations),
            "folders": ", ".join(sorted(map(str, self.folders))),
            "called AE titles": ", ".join(sorted(self.called_ae_titles)),
            "calling AE titles": ", ".join(sorted(self.calling_ae_titles)),
            "rule": str(self.when) if self.when else "",
            **{name: str(value) for name, value in sorted(self.options.items())},
            "custom fields": ", ".join(name for name, _ in self.entity_fields + self.item_fields),
        }
        return {key: text for key, text in said.items() if text}

    def delivers_to(self, destination: str) -> bool:
        """Tell whether its images go to the destination of this name."""
        return destination in self.destinations if self.destinations else destination not in self.taken


def projects() -> Mapping[str, Project]:
    """Return all projects by their names, as the file is now.

    Raises
    ------
    django.core.exceptions.ImproperlyConfigured
        SENDIT_PROJECTS is not right; with what is wrong and what is accepted.
    """
    from main.projects.configured import read  # it makes projects, so it imports this module

    return read()


def default() -> Project:
    """Return the project of what belongs to no other."""
    return projects()[settings.SENDIT_PROJECT]


def project(name: str) -> Project:
    """Return the project called `name`.

    Raises
    ------
    Quarantine
        `project-unknown`: there is no such project any more. Never another one is taken for it.
    """
    found = projects().get(name)
    if found is None:
        raise Quarantine(
            UNKNOWN,
            f"The project {name} is not configured any more, so nobody says by which recipe and key, and where to. Put it "
            "back into the file of SENDIT_PROJECTS and requeue, or discard what was for it.",
        )
    return found


def names() -> list[str]:
    """Return the names of all projects, for pages; none while the file is not right."""
    try:
        return sorted(projects())
    except ImproperlyConfigured:
        return []


def several() -> bool:
    """Whether there is more than one project, or a file of them that is not right: only then anybody needs to know."""
    return len(names()) != 1
