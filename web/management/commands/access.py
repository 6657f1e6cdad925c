"""`manage.py access list|add|grant|revoke [USER]`: who may see original values, change nodes, learn who is behind a name."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.contrib.auth.models import Permission, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from main.history import record
from main.management.commands._base import LOOK, NodeCommand, system_user
from main.rights import RIGHTS, Right


class Command(NodeCommand):
    """Make a user; list who has a right; give it to a user, or take it away."""

    help = (
        "list: who has a right, and by what; add: make a user without rights, with the password that is typed or piped in; "
        "grant, revoke: give a user that right, or take it away."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the verb and the user."""
        super().add_arguments(parser)
        parser.add_argument("verb", choices=["list", "add", "grant", "revoke"])
        parser.add_argument("user", nargs="?", help="the user's name; not for list")
        words = "; ".join(f"{name}: {right.may}" for name, right in RIGHTS.items())
        parser.add_argument("--right", choices=RIGHTS, default="originals", help=f"{words} (default: originals)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it. Exit 1: a user from whom the right was taken has it still, by other ways."""
        verb, name = options["verb"], options["user"]
        if (verb == "list") == bool(name):
            raise CommandError(
                "Say whose: access add USER, access grant USER, access revoke USER; access list takes none.",
                returncode=2,
            )
        right = RIGHTS[options["right"]]
        if verb == "list":
            self._list(options, right)
            return
        user = User.objects.filter(username=name).first()
        if verb == "add":
            self._add(options, name, user)
            return
        if user is None:
            raise CommandError("There is no such user: make it: access add USER.", returncode=2)
        changed = (_grant if verb == "grant" else _revoke)(user, right)
        still = _ways(User.objects.get(pk=user.pk), right)
        line = f"{name} may {right.may}: {', '.join(still)}." if still else f"{name} may not {right.may}."
        self.show(options, {"user": name, "changed": changed, "by": still}, [line])
        self.end(LOOK if verb == "revoke" and still else 0)

    def _add(self, options: dict[str, Any], name: str, there: User | None) -> None:
        if there is not None:
            raise CommandError("There is such a user already.", returncode=2)
        user = User(username=name)
        try:
            password = _password()
            user.full_clean(exclude=["password"])
            validate_password(password, user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=2) from None
        user.set_password(password)
        user.save()
        record("access", actor=system_user(), sentence=f"User {name} was made.")
        self.show(options, {"user": name}, [f"{name} may sign in, and has no right yet: access grant {name}."])

    def _list(self, options: dict[str, Any], right: Right) -> None:
        found = {user.username: _ways(user, right) for user in User.objects.order_by("username")}
        found = {name: ways for name, ways in found.items() if ways}
        lines = [f"{name}: {', '.join(ways)}" for name, ways in found.items()]
        self.show(options, {"users": found}, lines or [f"Nobody may {right.may}."])


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Again: "):
        raise ValidationError("These are two passwords.")
    return password


def _grant(user: User, right: Right) -> bool:
    if _own(user, right):
        return False
    user.user_permissions.add(_permission(right))
    record("access", actor=system_user(), sentence=f"User {user.username} may {right.may} from now on.")
    return True


def _revoke(user: User, right: Right) -> bool:
    if not _own(user, right):
        return False
    user.user_permissions.remove(_permission(right))
    record("access", actor=system_user(), sentence=f"User {user.username} may no longer {right.may}.")
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
