"""Where the releases of a project go, and by which recipe: what its configuration and the destinations' say together.

Nothing is sent or written here.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from deidentify import Recipe, Refused
from main.errors import Transient
from main.models import Destination
from main.projects import Project


def routes(project: Project, destinations: Iterable[Destination]) -> dict[Destination, str]:
    """Return those of `destinations` to which a project delivers, each with the recipe of its releases.

    Raises
    ------
    Transient
        `no-destination`: there is none, or one is missing that the project names.
    """
    found = {one: recipe_for(project, one) for one in destinations if project.delivers_to(one.name)}
    if missing := set(project.destinations).difference(one.name for one in found):
        raise Transient(
            "no-destination",
            f"Project {project.name} delivers to {', '.join(sorted(missing))}, which is not configured now. Correct "
            "SENDIT_PROJECTS or SENDIT_DESTINATIONS.",
        )
    if not found:
        raise Transient(
            "no-destination",
            f"No destination of project {project.name} is configured, so nobody says by which recipe to release.",
        )
    return found


def recipe_for(project: Project, destination: Destination) -> str:
    """Return the recipe of what a project releases for a destination: the project's, but originals stay originals."""
    return project.recipe if project.recipe and _deidentifies(destination.recipe) else destination.recipe


@lru_cache(maxsize=32)
def _deidentifies(recipe: str) -> bool:
    try:
        return Recipe.load(recipe).deidentifies
    except Refused:
        return True
