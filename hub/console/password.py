"""One-time passwords: an operator whose password was printed must choose an own one first."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from hub.models import OneTimePassword


class OneTimePasswordMiddleware:
    """Lets such an operator reach nothing but the page that changes the password."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Redirect until the password is changed; the mark goes with the old password."""
        if not request.path.startswith("/admin/") or not request.user.is_authenticated:
            return self._get_response(request)
        allowed = {
            reverse("admin:password_change"),
            reverse("admin:password_change_done"),
            reverse("admin:logout"),
            reverse("admin:login"),
        }
        mark = OneTimePassword.objects.filter(user=request.user.pk).first()
        if mark is None:
            return self._get_response(request)
        if request.path not in allowed:
            return HttpResponseRedirect(reverse("admin:password_change"))
        old = request.user.password
        response = self._get_response(request)
        request.user.refresh_from_db()
        if request.user.password != old:
            mark.delete()
        return response
