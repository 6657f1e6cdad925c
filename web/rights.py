"""The rights that a user can have beyond the lock, by the name that `manage.py access` gives them."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest


@dataclass(frozen=True)
class Right:
    """A right: Django's permission, and what it lets a user do."""

    permission: str
    may: str

    def is_of(self, request: HttpRequest) -> bool:
        """Whether the person behind `request` has it."""
        return hasattr(request, "user") and request.user.is_active and request.user.has_perm(self.permission)


ORIGINALS = Right("web.view_originals", "see original values")
NODES = Right("main.change_node", "change nodes")
RIGHTS = {"originals": ORIGINALS, "nodes": NODES}
