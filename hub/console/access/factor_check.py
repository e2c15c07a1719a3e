"""The second step of a login: a code, or a security key; throttled as passwords are."""

import json
import logging
import math
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters

from hub.console.access import audit, factors, gate
from hub.console.throttle import Throttle

logger = logging.getLogger(__name__)
# By the account alone: who guesses here knows the password, and may have many addresses.
throttle = Throttle()
_STATE = "key asked for"


def after(request: HttpRequest) -> str:
    """Where the browser wanted to go; never to another host."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
    return wanted if is_ours else reverse("admin:index")


@sensitive_post_parameters()
@csrf_protect
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    """The form; a right code opens the console."""
    if not request.user.is_authenticated:
        return HttpResponseRedirect(reverse("admin:login"))
    if gate.is_verified(request) or not factors.has_one(request.user):
        return HttpResponseRedirect(after(request))
    problem = ""
    if request.method == "POST":
        account = str(request.user.pk)
        if wait := throttle.try_(account, account):
            return _wait(request, wait)
        try:
            kind = factors.check_code(request.user, request.POST.get("code", "")[:100])
        except factors.WrongFactor as error:
            problem = str(error)
            logger.warning(
                "second factor of %r from %s failed", _name(request), audit.address_of(request)
            )
        else:
            throttle.was_right(account, account)
            return _passed(request, kind)
    asked = factors.ask_key(request)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Second factor",
        "problem": problem,
        "next": after(request),
        "has_key": asked is not None,
        "hub": settings.HUB_NAME,
    }
    return TemplateResponse(request, "console/factor_check.html", context)


def _name(request: HttpRequest) -> str:
    return str(request.user.get_username())


def _passed(request: HttpRequest, kind: str) -> HttpResponse:
    gate.verified(request)
    audit.note(request, "second factor", detail=kind)
    return HttpResponseRedirect(after(request))


def _wait(request: HttpRequest, wait: float) -> HttpResponse:
    seconds = math.ceil(wait)
    logger.warning("second factor of %r failed: too many tries", _name(request))
    return HttpResponse(
        f"Too many wrong codes were tried for your account. Try again in {seconds} s.\n",
        status=HTTPStatus.TOO_MANY_REQUESTS,
        content_type="text/plain",
        headers={"Retry-After": str(seconds)},
    )


def answer_of(request: HttpRequest) -> Any:
    """The JSON that the browser's key has given; None when it is no object."""
    try:
        told = json.loads(request.body or b"null")
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


@csrf_protect
@never_cache
def key(request: HttpRequest) -> HttpResponse:
    """POST without a body: what to ask the key; with the key's answer: whether it is right."""
    if request.method != "POST" or not request.user.is_authenticated:
        return JsonResponse({"problem": "Log in first."}, status=HTTPStatus.FORBIDDEN)
    answer = answer_of(request)
    if answer is None:
        asked = factors.ask_key(request)
        if asked is None:
            return JsonResponse({"problem": "There is no key."}, status=HTTPStatus.CONFLICT)
        options, request.session[_STATE] = asked
        return JsonResponse(options)
    state = request.session.pop(_STATE, None)
    if state is None:
        return JsonResponse({"problem": "Begin anew."}, status=HTTPStatus.CONFLICT)
    try:
        used = factors.check_key(request, state, answer)
    except factors.WrongFactor as error:
        logger.warning(
            "second factor of %r from %s failed: %s",
            _name(request),
            audit.address_of(request),
            error,
        )
        return JsonResponse({"problem": str(error)}, status=HTTPStatus.FORBIDDEN)
    _passed(request, f"key {used.name}")
    return JsonResponse({"next": after(request)})
