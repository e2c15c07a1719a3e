"""The pages of single sign-on: away to the provider, and back from it (OpenID Connect).

Strangers may open them: nothing is stored for one, and who comes often has to wait.
"""

import logging
import math
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables

from hub.console.access import audit, gate, oidc
from hub.console.access.factor_check import after
from hub.console.throttle import Allowance, Throttle
from hub.fairness.callers import FirstOfMinute, group_of

logger = logging.getLogger(__name__)
# What a login was begun with, signed; it lasts as long as somebody may take to log in.
COOKIE: Final = "flexhub-sign-on"
_LASTS: Final = 600  # seconds
# Of an address; a login takes two, one on the way there and one on the way back.
TRIES: Final = Allowance(at_once=40, pause=3)
throttle = Throttle(account=TRIES, address=TRIES)
_first_wait, _first_refusal = FirstOfMinute(), FirstOfMinute()


def _back(request: HttpRequest) -> str:
    """The URL that the provider has to know."""
    path = reverse("single-sign-on-return")
    return request.build_absolute_uri(path) if settings.IS_TRIAL else f"{settings.BASE_URL}{path}"


@never_cache
def begin(request: HttpRequest) -> HttpResponse:
    """To the provider."""
    if not settings.OIDC_ISSUER:
        return HttpResponse(status=HTTPStatus.NOT_FOUND)
    if wait := _wait(request):
        return wait
    asked = oidc.Asked()
    try:
        where = oidc.address(asked, _back(request))
    except oidc.Refused as error:
        return _refused(request, str(error))
    response = HttpResponseRedirect(where)
    response.set_cookie(
        COOKIE,
        signing.dumps([asked.kept(), after(request)], salt=COOKIE),
        max_age=_LASTS,
        path=reverse("single-sign-on"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


@sensitive_variables()
@never_cache
def come_back(request: HttpRequest) -> HttpResponse:
    """From the provider, with a code, or with the reason why not."""
    if wait := _wait(request):
        return wait
    response = _come_back(request)
    # An answer is for one time.
    response.delete_cookie(COOKIE, path=reverse("single-sign-on"), samesite="Lax")
    return response


@sensitive_variables()
def _come_back(request: HttpRequest) -> HttpResponse:
    try:
        kept, where = signing.loads(request.COOKIES.get(COOKIE, ""), salt=COOKIE, max_age=_LASTS)
    except signing.BadSignature:
        kept = None
    if not settings.OIDC_ISSUER or kept is None:
        return _refused(request, "This login was begun elsewhere, or is over. Begin anew.")
    code, state = request.GET.get("code", ""), request.GET.get("state", "")
    if not code:
        return _refused(request, "The provider has not let you in.")
    try:
        claims = oidc.claims_of(oidc.Asked(**kept), state, code, _back(request))
        user = oidc.user_of(claims)
    except oidc.Refused as error:
        return _refused(request, str(error))
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    gate.forget_age(request.session)
    gate.vouched_for(request)
    audit.note(request, "login", detail="single sign-on")
    logger.info("login of %r from %s by single sign-on", str(user), audit.address_of(request))
    return HttpResponseRedirect(where)


def _wait(request: HttpRequest) -> HttpResponse | None:
    """For whoever has come too often from one address."""
    group = group_of(audit.address_of(request))
    if not (wait := throttle.try_(group, group)):
        return None
    if _first_wait.look(group)[2]:
        logger.warning("single sign-on from %s: too many tries; more are not told", group)
    seconds = math.ceil(wait)
    return HttpResponse(
        f"Single sign-on was tried too often from your address. Try again in {seconds} s.\n",
        status=HTTPStatus.TOO_MANY_REQUESTS,
        content_type="text/plain",
        headers={"Retry-After": str(seconds)},
    )


def _refused(request: HttpRequest, why: str) -> HttpResponse:
    address = audit.address_of(request)
    if _first_refusal.look(group_of(address))[2]:
        told = "single sign-on from %s failed: %s; more of this minute are not told"
        logger.warning(told, address, why)
    messages.error(request, why)
    return HttpResponseRedirect(reverse("admin:login"))
