"""What no two projects may have in common: a source, or whoever gives their patients names.

Only configurations are compared; nothing is read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from django.core.exceptions import ImproperlyConfigured

from main.projects import Project


def refuse_contradictions(projects: Sequence[Project]) -> None:
    """Refuse projects between which nobody could choose, and those whose pseudonyms could be linked or mixed up.

    Raises
    ------
    ImproperlyConfigured
        With both names, and what to do.
    """
    for one, other in combinations(projects, 2):
        for problem in (*_same_source(one, other), *_same_names(one, other)):
            raise ImproperlyConfigured(f"SENDIT_PROJECTS: projects {one.name!r} and {other.name!r} {problem}")


def _same_source(one: Project, other: Project) -> Iterator[str]:
    """A source may be shared where what is in the files decides."""
    both_by_tags = one.when and other.when
    if one.when == other.when and one.when and not one.has_sources and not other.has_sources:
        yield "have the same rule. Give one of them another one."
    if both_by_tags or one.when or other.when:
        return
    for what, mine, theirs in (
        ("folder", one.folders, other.folders),
        ("called AE title", one.called_ae_titles, other.called_ae_titles),
        ("calling AE title", one.calling_ae_titles, other.calling_ae_titles),
    ):
        if shared := sorted(map(str, set(mine) & set(theirs))):
            yield f"both have the {what} {shared[0]}. Give it to one of them, or add a rule (when)."


def _same_names(one: Project, other: Project) -> Iterator[str]:
    """Who is asked in the same way gives a patient one pseudonym twice; who counts in the same way gives it to two patients."""
    if one.provider != other.provider:
        return
    match one.provider:
        case "sequential":
            if one.setting("SENDIT_SEQUENCE") == other.setting("SENDIT_SEQUENCE"):
                form = one.setting("SENDIT_SEQUENCE")
                yield f"both number their patients as {form}: two patients would have one name. Give one a sequence of its own."
        case "csv":
            if one.setting("SENDIT_IDENTIFIERS_FILE") == other.setting("SENDIT_IDENTIFIERS_FILE"):
                yield "both have the same table of patients, so they could be linked. Give one an identifiers_file of its own."
        case "dasher":
            if one.setting("DASHER_STUDY").lower() == other.setting("DASHER_STUDY").lower():
                yield "both ask DASHER for the same study, so they could be linked. Give one a dasher_study of its own."
        case "gpas":
            domains = [{p.setting("GPAS_DOMAIN"), p.setting("GPAS_ACCESSION_DOMAIN")} - {""} for p in (one, other)]
            if shared := domains[0] & domains[1]:
                yield (
                    f"both ask gPAS for the domain {min(shared)}, so they could be linked. Give one a gpas_domain (and "
                    "gpas_accession_domain) of its own."
                )
