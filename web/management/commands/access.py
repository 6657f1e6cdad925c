"""`manage.py access list|grant|revoke [USER]`: who may see original values of patients, and who may change nodes."""

from __future__ import annotations

import getpass
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.management.base import CommandError, CommandParser

from main.history import record
from main.management.commands._base import LOOK, NodeCommand
from web.rights import RIGHTS, Right


class Command(NodeCommand):
    """List who has a right; give it to a user, or take it away."""

    help = "list: who has a right, and by what; grant, revoke: give a user that right, or take it away."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the verb and the user."""
        super().add_arguments(parser)
        parser.add_argument("verb", choices=["list", "grant", "revoke"])
        parser.add_argument("user", nargs="?", help="the user's name; not for list")
        words = "; ".join(f"{name}: {right.may}" for name, right in RIGHTS.items())
        parser.add_argument("--right", choices=RIGHTS, default="originals", help=f"{words} (default: originals)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it. Exit 1: a user from whom the right was taken has it still, by other ways."""
        verb, name = options["verb"], options["user"]
        if (verb == "list") == bool(name):
            raise CommandError(
                "Say whose: access grant USER, access revoke USER; access list takes none.", returncode=2
            )
        right = RIGHTS[options["right"]]
        if verb == "list":
            self._list(options, right)
            return
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError("There is no such user: see Users in docs/security.md.", returncode=2)
        changed = (_grant if verb == "grant" else _revoke)(user, right)
        still = _ways(User.objects.get(pk=user.pk), right)
        line = f"{name} may {right.may}: {', '.join(still)}." if still else f"{name} may not {right.may}."
        self.show(options, {"user": name, "changed": changed, "by": still}, [line])
        self.end(LOOK if verb == "revoke" and still else 0)

    def _list(self, options: dict[str, Any], right: Right) -> None:
        found = {user.username: _ways(user, right) for user in User.objects.order_by("username")}
        found = {name: ways for name, ways in found.items() if ways}
        lines = [f"{name}: {', '.join(ways)}" for name, ways in found.items()]
        self.show(options, {"users": found}, lines or [f"Nobody may {right.may}."])


def _grant(user: User, right: Right) -> bool:
    if _own(user, right):
        return False
    user.user_permissions.add(_permission(right))
    record("access", actor=getpass.getuser(), sentence=f"User {user.username} may {right.may} from now on.")
    return True


def _revoke(user: User, right: Right) -> bool:
    if not _own(user, right):
        return False
    user.user_permissions.remove(_permission(right))
    record("access", actor=getpass.getuser(), sentence=f"User {user.username} may no longer {right.may}.")
    return True


def _ways(user: User, right: Right) -> list[str]:
    """By what a user has the right; none has it who may not sign in."""
    if not user.is_active:
        return []
    groups = user.groups.filter(permissions=_permission(right))
    ways = ["granted"] if _own(user, right) else []
    ways += ["superuser"] if user.is_superuser else []
    return ways + [f"group {name}" for name in groups.order_by("name").values_list("name", flat=True)]


def _own(user: User, right: Right) -> bool:
    return user.user_permissions.filter(pk=_permission(right).pk).exists()


def _permission(right: Right) -> Permission:
    app, codename = right.permission.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)
