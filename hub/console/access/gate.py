"""What stands between a login and the console: how long a session lives, and its second factor."""

import time
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from hub.console.access import factors

_BEGAN: Final = "began"
_SEEN: Final = "seen"
_VERIFIED: Final = "second factor"
_VOUCHED_FOR: Final = "came by single sign-on"
# The session is written so often at most because somebody was there.
_WRITTEN_EVERY: Final = 60.0  # seconds
CONSOLE: Final = "/admin/"
Answer = Callable[[HttpRequest], HttpResponse]


def is_verified(request: HttpRequest) -> bool:
    """Whether this session has presented the account's second factor."""
    return bool(request.session.get(_VERIFIED) == request.user.pk)


def verified(request: HttpRequest) -> None:
    """The factor was right: from now on, under another session key."""
    request.session.cycle_key()
    request.session[_VERIFIED] = request.user.pk


def vouched_for(request: HttpRequest) -> None:
    """The provider has said who it is: no password was asked for, and no factor will be."""
    verified(request)
    request.session[_VOUCHED_FOR] = request.user.pk


def is_vouched_for(request: HttpRequest) -> bool:
    """Whether this session came by single sign-on."""
    return bool(request.session.get(_VOUCHED_FOR) == request.user.pk)


class Gate:
    """Middleware: ends sessions that are too old, and holds those that lack their second factor."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Whoever has not passed is nobody outside of the console's own pages."""
        if not request.user.is_authenticated:
            return self._get_response(request)
        if _is_over(request):
            logout(request)
            return self._ended(request)
        if is_verified(request) or not factors.has_one(request.user):
            return self._get_response(request)
        if not request.path.startswith(CONSOLE):
            request.user = AnonymousUser()
            return self._get_response(request)
        check = reverse("second-factor-check")
        if request.path.startswith(check) or request.path in _open():
            return self._get_response(request)
        return _led_to(request, check, keep=True)

    def _ended(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(CONSOLE) or request.path == reverse("admin:login"):
            return self._get_response(request)
        if request.headers.get("HX-Request"):
            return HttpResponse(status=401, headers={"HX-Refresh": "true"})
        messages.info(request, "Your session has ended. Log in to go on.")
        return _led_to(request, reverse("admin:login"), keep=True)


class FactorRequired:
    """Middleware: where SECOND_FACTOR_REQUIRED, who has none gets no further than making one."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """After the one-time password: a new account chooses its own first."""
        if (
            not settings.SECOND_FACTOR_REQUIRED
            or not request.user.is_authenticated
            or is_verified(request)
        ):
            return self._get_response(request)
        if not request.path.startswith(CONSOLE):
            request.user = AnonymousUser()
            return self._get_response(request)
        make = reverse("second-factor")
        changing = {reverse("admin:password_change"), reverse("admin:password_change_done")}
        if request.path.startswith(make) or request.path in _open() | changing:
            return self._get_response(request)
        messages.warning(request, "This hub asks for a second factor: set one up to go on.")
        return _led_to(request, make)


def _open() -> set[str]:
    return {reverse(name) for name in ("admin:logout", "admin:login", "admin:jsi18n")}


def _led_to(request: HttpRequest, where: str, *, keep: bool = False) -> HttpResponse:
    """Of what was asked for, a page that can be asked for again is kept."""
    if request.headers.get("HX-Request"):
        return HttpResponse(status=401, headers={"HX-Refresh": "true"})
    if keep and request.method == "GET":
        where = f"{where}?{urlencode({'next': request.get_full_path()})}"
    return HttpResponseRedirect(where)


def _is_over(request: HttpRequest) -> bool:
    """By the time since the login, and since somebody was there: a page that polls is nobody."""
    session, now = request.session, time.time()
    began = session.get(_BEGAN)
    if began is None:
        session[_BEGAN] = session[_SEEN] = now
        return False
    seen = session.get(_SEEN, began)
    idle = settings.SESSION_IDLE_MINUTES * 60
    if now - began > settings.SESSION_HOURS * 3600 or now - seen > idle:
        return True
    is_script = "HX-Request" in request.headers or "X-Requested-With" in request.headers
    polls = request.method == "GET" and is_script
    if not polls and now - seen > min(_WRITTEN_EVERY, idle / 10):
        session[_SEEN] = now
    return False


def forget_age(session: Any) -> None:
    """A login begins anew, whatever the browser's session was before."""
    session.pop(_BEGAN, None)
    session.pop(_VERIFIED, None)
    session.pop(_VOUCHED_FOR, None)
