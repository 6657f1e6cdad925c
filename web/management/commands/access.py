"""`manage.py access list|grant|revoke [USER]`: who may see original values of patients."""

from __future__ import annotations

import getpass
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.management.base import CommandError, CommandParser

from main.history import record
from main.management.commands._base import LOOK, NodeCommand
from web.originals import RIGHT


class Command(NodeCommand):
    """List who may see original values; give that right to a user, or take it away."""

    help = "list: who may see original values, and by what; grant, revoke: give a user that right, or take it away."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the verb and the user."""
        super().add_arguments(parser)
        parser.add_argument("verb", choices=["list", "grant", "revoke"])
        parser.add_argument("user", nargs="?", help="the user's name; not for list")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it. Exit 1: a user from whom the right was taken has it still, by other ways."""
        verb, name = options["verb"], options["user"]
        if (verb == "list") == bool(name):
            raise CommandError(
                "Say whose: access grant USER, access revoke USER; access list takes none.", returncode=2
            )
        if verb == "list":
            self._list(options)
            return
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError("There is no such user: see Users in docs/security.md.", returncode=2)
        changed = (_grant if verb == "grant" else _revoke)(user)
        still = _ways(User.objects.get(pk=user.pk))
        line = (
            f"{name} may see original values: {', '.join(still)}." if still else f"{name} may not see original values."
        )
        self.show(options, {"user": name, "changed": changed, "by": still}, [line])
        self.end(LOOK if verb == "revoke" and still else 0)

    def _list(self, options: dict[str, Any]) -> None:
        found = {user.username: _ways(user) for user in User.objects.order_by("username")}
        found = {name: ways for name, ways in found.items() if ways}
        lines = [f"{name}: {', '.join(ways)}" for name, ways in found.items()]
        self.show(options, {"users": found}, lines or ["Nobody may see original values."])


def _grant(user: User) -> bool:
    if _own(user):
        return False
    user.user_permissions.add(_permission())
    record("access", actor=getpass.getuser(), sentence=f"User {user.username} may see original values from now on.")
    return True


def _revoke(user: User) -> bool:
    if not _own(user):
        return False
    user.user_permissions.remove(_permission())
    record("access", actor=getpass.getuser(), sentence=f"User {user.username} may no longer see original values.")
    return True


def _ways(user: User) -> list[str]:
    """By what a user has the right; none has it who may not sign in."""
    if not user.is_active:
        return []
    app, codename = RIGHT.split(".")
    groups = user.groups.filter(permissions__codename=codename, permissions__content_type__app_label=app)
    ways = ["granted"] if _own(user) else []
    ways += ["superuser"] if user.is_superuser else []
    return ways + [f"group {name}" for name in groups.order_by("name").values_list("name", flat=True)]


def _own(user: User) -> bool:
    return user.user_permissions.filter(pk=_permission().pk).exists()


def _permission() -> Permission:
    app, codename = RIGHT.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)
