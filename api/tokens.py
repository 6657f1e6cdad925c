"""Who calls: the token in `Authorization: Bearer …` (or `Token …`), its user, what both may, and how often."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from main import revealing, tokens
from main.models import ApiToken
from main.rights import RIGHTS

_SCHEMES = ("bearer", "token")
_REFUSED = "The token is not known, has expired, or its user may not sign in."


class ByToken(BaseAuthentication):
    """The caller is the user of the token; sessions of the pages are no good here."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Return user and token; None without one."""
        scheme, _, given = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() not in _SCHEMES:
            return None
        found = tokens.recognised(given.strip())
        if found is None:
            raise AuthenticationFailed(_REFUSED)
        return found.user, found

    def authenticate_header(self, request: Request) -> str:
        """Say with 401 what is asked for."""
        return 'Bearer realm="sendit"'


class MayRestore(BasePermission):
    """Restoring is on, and both the token and its user have the right `restore`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Look, and say in `message` what is missing."""
        if not revealing.allowed():
            self.message = "Nothing is made known while SENDIT_RESTORE is off."
            return False
        self.message = "The token or its user does not have the right: restore."
        rights = request.auth.rights if isinstance(request.auth, ApiToken) else ()
        return "restore" in rights and RIGHTS["restore"].has(request.user)


class NotTooOften(BaseThrottle):
    """So many uses a minute by one person, whatever the way; they are counted in the history."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count what was done before."""
        self._wait = revealing.wait(request.user.get_username())
        return not self._wait

    def wait(self) -> float:
        """Return the seconds until the next use."""
        return float(self._wait)
