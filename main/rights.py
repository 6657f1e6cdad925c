"""The rights that a user can have beyond the lock, by the name that `manage.py access` and `manage.py tokens` give them.

Which page or call asks for which right is said there; `web.…` names Django's permissions, no code of that room.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.http import HttpRequest


@dataclass(frozen=True)
class Right:
    """A right: Django's permission, and what it lets a user do."""

    permission: str
    may: str

    def is_of(self, request: HttpRequest) -> bool:
        """Whether the person behind `request` has it."""
        return hasattr(request, "user") and self.has(request.user)

    def has(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        """Whether a user has it, and may sign in at all."""
        return user.is_active and isinstance(user, PermissionsMixin) and user.has_perm(self.permission)


ORIGINALS = Right("web.view_originals", "see original values")
NODES = Right("main.change_node", "change nodes")
RESTORE = Right("web.restore_originals", "learn who is behind a pseudonym")
RIGHTS = {"originals": ORIGINALS, "nodes": NODES, "restore": RESTORE}
