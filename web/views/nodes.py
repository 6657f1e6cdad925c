"""The nodes: who may send here and whom we call; added, changed, removed and tried."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from main import access, node_test
from main import nodes as register
from main.models import Event, Node, Refusal
from main.rights import NODES
from web.forms import NodeForm, meant_by
from web.live import answer
from web.originals import actor

EVENTS, RECENT = 50, 10
_NO_RIGHT = (
    "Changing nodes takes a user with that right: sign in. On the node: manage.py access grant USER --right nodes."
)

View = Callable[..., HttpResponse]


def changes_nodes(view: View) -> View:
    """Let only those pass who may change nodes."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **more: Any) -> HttpResponse:
        if NODES.is_of(request):
            return view(request, *args, **more)
        return render(request, "web/refused.html", {"layout": "web/base.html", "said": _NO_RIGHT}, status=403)

    return checked


@require_safe
def nodes(request: HttpRequest) -> HttpResponse:
    """List the nodes."""
    rows = [(one, outcome_of(one)) for one in Node.objects.order_by("name")]
    context = {
        "rows": rows,
        "notes": access.notes(),
        "events": Event.objects.filter(node_id__isnull=False).order_by("-pk")[:RECENT],
        "may_change": NODES.is_of(request),
    }
    return answer(request, "web/nodes.html", context)


@require_safe
def node(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one node with the result of its last test."""
    one = get_object_or_404(Node, pk=pk)
    context = {
        "node": one,
        "outcome": outcome_of(one),
        "events": Event.objects.filter(node_id=pk).order_by("-pk")[:EVENTS],
        "may_change": NODES.is_of(request),
    }
    return answer(request, "web/node.html", context)


@changes_nodes
@require_http_methods(["GET", "HEAD", "POST"])
def node_add(request: HttpRequest) -> HttpResponse:
    """Ask for a node, then add it."""
    return _edited(request, Node())


@changes_nodes
@require_http_methods(["GET", "HEAD", "POST"])
def node_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a node."""
    return _edited(request, get_object_or_404(Node, pk=pk))


@changes_nodes
@require_http_methods(["GET", "HEAD", "POST"])
def node_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then remove a node."""
    one = get_object_or_404(Node, pk=pk)
    if request.method == "POST":
        register.remove(one, actor(request))
        messages.success(request, f"{one.name} is removed. It may not send any more.")
        return redirect("nodes")
    return answer(request, "web/node_remove.html", {"node": one})


@require_POST
def node_tried(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a node layer by layer; the result is on its page."""
    node_test.run(get_object_or_404(Node, pk=pk))
    return redirect("node", pk)


def outcome_of(one: Node) -> tuple[str, str]:
    """Tone and word of the last test; nothing without one."""
    if not one.last_test:
        return "", ""
    outcomes = [layer["outcome"] for layer in one.last_test]
    if "failed" in outcomes:
        return "bad", f"fails at {one.last_test[-1]['name']}"
    return ("warn", "works, but look") if "look" in outcomes else ("good", "works")


def _edited(request: HttpRequest, one: Node) -> HttpResponse:
    if request.method == "POST":
        form = NodeForm(request.POST, instance=one)
        if form.is_valid():
            changed = register.save(form.instance, actor(request))
            messages.success(request, f"{form.instance.name} is saved." if changed else "Nothing was different.")
            return redirect("node", form.instance.pk)
    else:
        number = request.GET.get("refusal", "")
        refusal = Refusal.objects.filter(pk=number).first() if number.isdecimal() and len(number) < 16 else None
        form = NodeForm(instance=one, initial=meant_by(refusal, one) if refusal else None)
    title = f"Change {Node.objects.get(pk=one.pk).name}" if one.pk else "Add a node"
    status = 400 if request.method == "POST" else 200
    return answer(request, "web/node_form.html", {"form": form, "node": one, "title": title}, status=status)
