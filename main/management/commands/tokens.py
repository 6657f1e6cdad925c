"""`manage.py tokens list|add|revoke [NAME]`: what programs call the node with, each for a user and for some time."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from main import tokens
from main.management.commands._base import NodeCommand, system_user
from main.models import ApiToken
from main.restoring import LONGEST_REASON
from main.rights import RIGHTS

LONGEST_NAME, LONGEST_LIFE = 40, 3650
# Rights that a call asks for; the others are for pages.
FOR_CALLS = ("restore",)


class Command(NodeCommand):
    """List tokens; make one; take one away."""

    help = (
        "list: tokens, whose they are and until when; add: make one, it is shown once; revoke: take one away at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the verb, the token's name, and what it is for."""
        super().add_arguments(parser)
        parser.add_argument("verb", choices=["list", "add", "revoke"])
        parser.add_argument("name", nargs="?", help="the token's name; not for list")
        parser.add_argument("--user", help="who stands in the record when it is used")
        words = "; ".join(f"{name}: {RIGHTS[name].may}" for name in FOR_CALLS)
        parser.add_argument("--right", action="append", choices=FOR_CALLS, help=f"{words} (default: restore)")
        parser.add_argument("--days", type=int, default=365, help="how long it is good for (default: 365)")
        parser.add_argument("--reason", default="", help="stands in the record where a call gives no reason")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        verb, name = options["verb"], options["name"]
        if (verb == "list") == bool(name):
            raise CommandError("Say which: tokens add NAME, tokens revoke NAME; tokens list takes none.", returncode=2)
        self.prepare()
        if verb == "list":
            self._list(options)
        elif verb == "add":
            self._add(options, name)
        elif not tokens.revoke(name, system_user()):
            raise CommandError("There is no such token.", returncode=2)
        else:
            self.show(options, {"name": name}, [f"{name} is good for nothing any more."])

    def _add(self, options: dict[str, Any], name: str) -> None:
        reason, rights = " ".join(options["reason"].split()), options["right"] or list(FOR_CALLS)
        user = User.objects.filter(username=options["user"] or "").first()
        if user is None:
            raise CommandError("Say who stands in the record, with --user: a user of the pages.", returncode=2)
        if not (name.isprintable() and len(name) <= LONGEST_NAME):
            raise CommandError(f"A name has up to {LONGEST_NAME} printable characters.", returncode=2)
        if not 1 <= options["days"] <= LONGEST_LIFE:
            raise CommandError(f"A token is good for 1 to {LONGEST_LIFE} days.", returncode=2)
        if len(reason) > LONGEST_REASON:
            raise CommandError(f"A reason has up to {LONGEST_REASON} characters.", returncode=2)
        if ApiToken.objects.filter(name=name).exists():
            raise CommandError("There is such a token already: revoke it first, or take another name.", returncode=2)
        token = tokens.add(name, user, rights, options["days"], reason, system_user())
        lacking = [right for right in rights if not RIGHTS[right].has(user)]
        lines = [token, "It is shown this once. Keep it like a password."]
        lines += [f"It opens nothing yet: manage.py access grant {user.username} --right {one}." for one in lacking]
        self.show(options, {"name": name, "token": token, "lacking": lacking}, lines)

    def _list(self, options: dict[str, Any]) -> None:
        found = [_facts(one) for one in ApiToken.objects.select_related("user").order_by("name")]
        lines = [
            f"{one['name']}: {one['user']}, {', '.join(one['rights'])}, "
            f"{'expired' if one['expired'] else 'until'} {one['expires_at']:%Y-%m-%d}, "
            + (f"last used {one['last_used_at']:%Y-%m-%d %H:%M}" if one["last_used_at"] else "never used")
            for one in found
        ]
        self.show(options, {"tokens": found}, lines or ["There is no token."])


def _facts(one: ApiToken) -> dict[str, Any]:
    return {
        "name": one.name,
        "user": one.user.get_username(),
        "rights": one.rights,
        "reason": one.reason,
        "expires_at": one.expires_at,
        "expired": one.expires_at <= timezone.now(),
        "last_used_at": one.last_used_at,
    }
