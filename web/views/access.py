"""Opening and closing: the lock, signing in as a person, the theme, and what is said when a form is refused."""

from __future__ import annotations

from django.contrib import auth, messages
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from main.rights import RIGHTS
from web import throttle
from web.context import THEMES
from web.lock import SESSION_KEY, UNLOCK_PATH, LockForm, lock_page
from web.own_site import safe_next

_YEAR = 365 * 86400


@require_http_methods(["GET", "HEAD", "POST"])
def unlock(request: HttpRequest) -> HttpResponse:
    """Open the lock with one of its passwords. CSRF is checked as for every form, tries are counted."""
    if request.method != "POST":
        return lock_page(request)
    target = safe_next(request)
    attempt, wait = throttle.begin(request, "unlock")
    if attempt is None:
        return lock_page(request, next_path=target, status=429, retry_after=wait)
    form = LockForm(data=request.POST)
    if not form.is_valid():
        return lock_page(request, next_path=target, error="This is not the password.")
    throttle.succeeded(attempt)
    request.session.cycle_key()
    request.session[SESSION_KEY] = form.generate_token()
    request.session.clear_expired()
    return redirect(target)


@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    """Close the lock for this browser and sign out whoever is signed in."""
    auth.logout(request)
    return redirect("home")


@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    """Sign in as a person: actions carry the name, and some may see original values."""
    status, wait = 200, 0
    if request.method == "POST":
        attempt, wait = throttle.begin(request, "login")
        if attempt is not None:
            form = AuthenticationForm(request, data=request.POST)
            if form.is_valid():
                throttle.succeeded(attempt)
                auth.login(request, form.get_user())
                _greet(request)
                return redirect(safe_next(request))
        status = 403 if attempt else 429
    context = {"layout": "web/base.html", "failed": status == 403, "wait": wait, "next_path": safe_next(request)}
    response = render(request, "web/login.html", context, status=status)
    if wait:
        response["Retry-After"] = str(wait)
    return response


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Go to the next theme: system, light, dark."""
    now = request.COOKIES.get("theme", "system")
    following = THEMES[(THEMES.index(now) + 1) % len(THEMES)] if now in THEMES else THEMES[0]
    response = redirect(safe_next(request))
    response.set_cookie("theme", following, max_age=_YEAR, samesite="Lax", secure=request.is_secure())
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that a form was not ours or too old."""
    said = "The form was too old, or did not come from this site. Reload the page and try again."
    if request.path_info == UNLOCK_PATH:
        return lock_page(request, error=said)
    return render(request, "web/refused.html", {"layout": "web/base.html", "said": said}, status=403)


def _greet(request: HttpRequest) -> None:
    has = [right.may for right in RIGHTS.values() if right.is_of(request)]
    messages.success(
        request, f"Signed in. You may {' and '.join(has)}." if has else "Signed in, without further rights."
    )
