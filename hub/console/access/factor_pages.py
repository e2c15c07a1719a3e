"""A person's own second factors: an app with one-time codes, security keys, recovery codes."""

from http import HTTPStatus
from typing import Any

import segno
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from hub.console.access import audit, factors, gate
from hub.console.access.factor_check import answer_of
from hub.console.access.models import RecoveryCode, SecurityKey, TotpSecret
from hub.db import secret_box

_SECRET = "secret of a new app"  # noqa: S105 - a name in the session
_STATE = "new key"


@never_cache
def page(request: HttpRequest) -> HttpResponse:
    """What there is, and what can be added."""
    return _shown(request)


def _shown(request: HttpRequest, **more: Any) -> HttpResponse:
    user = request.user.pk
    context = {
        **admin.site.each_context(request),
        "title": "Your second factor",
        "app": TotpSecret.objects.filter(user=user).first(),
        "keys": SecurityKey.objects.filter(user=user).order_by("created_at"),
        "codes_left": RecoveryCode.objects.filter(user=user).count(),
        "is_required": settings.SECOND_FACTOR_REQUIRED,
        **more,
    }
    response = TemplateResponse(request, "console/factors.html", context)
    response["Cache-Control"] = "no-store"
    return response


@sensitive_post_parameters()
@never_cache
def app(request: HttpRequest) -> HttpResponse:
    """GET: a QR code; POST: its first code, which shows that the app has it."""
    kept = request.session.get(_SECRET)
    secret = secret_box.decrypt(kept.encode()) if kept else factors.new_secret()
    problem = ""
    if request.method == "POST" and kept:
        try:
            factors.keep_secret(request.user, secret, request.POST.get("code", "").strip()[:10])
        except factors.WrongFactor as error:
            problem = str(error)
        else:
            del request.session[_SECRET]
            return _added(request, "one-time codes")
    request.session[_SECRET] = secret_box.encrypt(secret).decode()
    code = segno.make(factors.uri_of(request.user, secret), error="m", micro=False)
    drawn = code.svg_inline(scale=5, border=3, light="#fff", svgclass="console-qr", omitsize=True)
    context = {
        **admin.site.each_context(request),
        "title": "An app with one-time codes",
        "qr": mark_safe(drawn),  # noqa: S308 - drawn by segno
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "problem": problem,
    }
    return TemplateResponse(request, "console/factor_app.html", context)


def _added(request: HttpRequest, what: str) -> HttpResponse:
    """The first factor brings recovery codes with it, which are shown once."""
    audit.note(request, "add second factor", detail=what)
    gate.verified(request)
    if RecoveryCode.objects.filter(user=request.user.pk).exists():
        messages.success(request, "It is added.")
        return HttpResponseRedirect(reverse("second-factor"))
    return _shown(request, codes=factors.new_codes(request.user))


@never_cache
def codes(request: HttpRequest) -> HttpResponse:
    """POST: recovery codes in place of the earlier ones."""
    if request.method != "POST" or not factors.has_one(request.user):
        return HttpResponseRedirect(reverse("second-factor"))
    audit.note(request, "new recovery codes")
    return _shown(request, codes=factors.new_codes(request.user))


@never_cache
def new_key(request: HttpRequest) -> HttpResponse:
    """POST without a body: what to ask the browser; with its answer, `?name=`: keep the key."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("second-factor"))
    answer = answer_of(request)
    if answer is None:
        options, request.session[_STATE] = factors.begin_key(request)
        return JsonResponse(options)
    state = request.session.pop(_STATE, None)
    if state is None:
        return JsonResponse({"problem": "Begin anew."}, status=HTTPStatus.CONFLICT)
    try:
        made = factors.keep_key(request, state, answer, request.GET.get("name", ""))
    except factors.WrongFactor as error:
        return JsonResponse({"problem": str(error)}, status=HTTPStatus.BAD_REQUEST)
    audit.note(request, "add second factor", detail=f"key {made.name}")
    gate.verified(request)
    if not RecoveryCode.objects.filter(user=request.user.pk).exists():
        return JsonResponse({"codes": factors.new_codes(request.user)})
    messages.success(request, f"The key {made.name} is added.")
    return JsonResponse({"next": reverse("second-factor")})


@never_cache
def remove(request: HttpRequest) -> HttpResponse:
    """POST `app` or `key`; the last one stays where the hub asks for one."""
    user, led = request.user, HttpResponseRedirect(reverse("second-factor"))
    if request.method != "POST":
        return led
    keys = SecurityKey.objects.filter(user=user.pk)
    number = request.POST.get("key", "")
    chosen = keys.filter(pk=int(number)) if number.isdecimal() and len(number) < 19 else keys.none()
    apps = TotpSecret.objects.filter(user=user.pk)
    is_app = "app" in request.POST
    left = apps.count() + keys.count() - (apps.count() if is_app else chosen.count())
    if settings.SECOND_FACTOR_REQUIRED and not left:
        messages.error(request, "This hub asks for a second factor: add another one first.")
        return led
    what = "one-time codes" if is_app else ", ".join(f"key {one.name}" for one in chosen)
    if (apps if is_app else chosen).delete()[0]:
        audit.note(request, "remove second factor", detail=what)
        messages.success(request, f"Removed: {what}.")
    if not left:
        RecoveryCode.objects.filter(user=user.pk).delete()
    return led
