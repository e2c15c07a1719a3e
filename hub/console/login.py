"""The console's login: who guesses has to wait, and every failure is a line in the log."""

import logging
import math
from http import HTTPStatus

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters

from hub.console.access import audit, gate
from hub.console.throttle import Throttle
from hub.db.django_threads import CALLER
from hub.fairness.callers import UNKNOWN, FirstOfMinute, group_of

logger = logging.getLogger(__name__)
throttle = Throttle()
_first_refusal = FirstOfMinute()
_LONGEST_NAME = 150


@sensitive_post_parameters()
@csrf_protect
@never_cache
def login(request: HttpRequest) -> HttpResponse:
    """Django's, unless too many passwords were tried from there."""
    if request.method != "POST":
        return _page(request)
    name = request.POST.get("username", "")[:_LONGEST_NAME]
    address = str(request.META.get(CALLER) or request.META.get("REMOTE_ADDR") or UNKNOWN)
    account, group = name.casefold(), group_of(address)
    if wait := throttle.try_(account, group):
        return _refused(name, address, group, wait)
    response = _page(request)
    if response.status_code == HTTPStatus.FOUND:
        throttle.was_right(account, group)
        gate.forget_age(request.session)
        audit.note(request, "login")
        logger.info("login of %r from %s", name, address)
    else:
        logger.warning("login of %r from %s failed: wrong name or password", name, address)
    return response


def _page(request: HttpRequest) -> HttpResponse:
    more = {"single_sign_on": settings.OIDC_NAME if settings.OIDC_ISSUER else ""}
    wanted = urlencode({"next": request.GET["next"]}) if "next" in request.GET else ""
    more["single_sign_on_url"] = f"{reverse('single-sign-on')}?{wanted}"
    return admin.site.login(request, more)


def _refused(name: str, address: str, group: str, wait: float) -> HttpResponse:
    """Without a look at the password, so that waiting is all that comes of trying."""
    if _first_refusal.look(group)[2]:
        logger.warning(
            "login of %r from %s failed: too many tries; more of this minute are not told",
            name,
            address,
        )
    seconds = math.ceil(wait)
    return HttpResponse(
        f"Too many wrong passwords were tried from your address. Try again in {seconds} s.\n",
        status=HTTPStatus.TOO_MANY_REQUESTS,
        content_type="text/plain",
        headers={"Retry-After": str(seconds)},
    )
