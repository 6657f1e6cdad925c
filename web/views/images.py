"""The header of one image before and after, with the rule that acted on each element."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from deidentify import Refused
from main.errors import Quarantine
from main.models import Image, Release
from main.pipeline.register import original
from main.pipeline.release import deidentifier
from web import originals

# An object with more elements is shown as far as this.
MOST = 3000
KINDS = ("changed", "emptied", "removed", "added", "kept")


@dataclass
class Table:
    """The table of one release, or the sentence that says why there is none."""

    rows: list[originals.Row] = field(default_factory=list)
    problem: str = ""

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How many elements of each kind."""
        return [(kind, sum(row.kind == kind for row in self.rows)) for kind in KINDS]


@require_http_methods(["GET", "HEAD", "POST"])
def image(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Show the header table. A POST, by someone with the right, shows the original values and records that."""
    one = get_object_or_404(Image.objects.select_related("batch", "series"), pk=number, series=pk)
    releases = list(one.releases.order_by("recipe"))
    chosen = next((release for release in releases if str(release.pk) == request.GET.get("release")), None)
    release = chosen or (releases[0] if releases else None)
    may = originals.may_see(request)
    revealed = request.method == "POST" and may
    if revealed:
        originals.note_reveal(request, f"The original header of image {one.pk} was shown.", series_id=pk)
    table = (
        _table(one, release, revealed)
        if release
        else Table(problem="This image has no release yet: nothing to compare.")
    )
    kind = request.GET.get("kind", "")
    context = {
        "layout": "web/base.html",
        "image": one,
        "series_pk": pk,
        "release": release,
        "releases": releases,
        "table": table,
        "rows": [row for row in table.rows if kind not in KINDS or row.kind == kind][:MOST],
        "kind": kind if kind in KINDS else "",
        "revealed": revealed,
        "may": may,
        "passed_on": release is not None and release.recipe == "none",
        "neighbours": _neighbours(one),
    }
    return render(request, "web/image.html", context)


def _table(one: Image, release: Release, revealed: bool) -> Table:
    try:
        engine = deidentifier(release.recipe, one.series.project)
        changes = engine.compare(original(one), release.path)
    except (Refused, Quarantine) as refused:
        return Table(problem=refused.sentence)
    except ImproperlyConfigured as wrong:
        return Table(problem=str(wrong))
    except OSError:
        return Table(problem="The original or the released file is no longer in the data folder.")
    rows = originals.rows(changes, revealed=revealed, passed_on=not engine.recipe.deidentifies)
    said = (
        ""
        if engine.recipe.hash == release.recipe_hash
        else "The recipe has changed since: its rules may not be those that acted."
    )
    return Table(rows, said)


def _neighbours(one: Image) -> tuple[int | None, int | None]:
    own = Image.objects.filter(series=one.series_id)
    before = own.filter(pk__lt=one.pk).order_by("-pk").values_list("pk", flat=True).first()
    after = own.filter(pk__gt=one.pk).order_by("pk").values_list("pk", flat=True).first()
    return before, after
