"""One-time passwords: an operator whose password was printed must choose an own one first."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from hub.console.access import gate
from hub.models import OneTimePassword


class OneTimePasswordMiddleware:
    """Lets such an operator reach nothing but the page that changes the password."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Redirect until the password is changed; the mark goes with the old password."""
        if not request.path.startswith("/admin/") or not request.user.is_authenticated:
            return self._get_response(request)
        mark = OneTimePassword.objects.filter(user=request.user.pk).first()
        # Who came by single sign-on does not know the password, and needs none.
        if mark is None or gate.is_vouched_for(request):
            return self._get_response(request)
        change = reverse("admin:password_change")
        if request.path == change:
            return self._change(request, mark)
        open_ = {reverse("admin:logout"), reverse("admin:login"), reverse("admin:jsi18n")}
        if request.path in open_ or request.path.startswith(reverse("second-factor-check")):
            return self._get_response(request)
        messages.warning(request, "Your password was for one time: choose your own to go on.")
        return HttpResponseRedirect(change)

    def _change(self, request: HttpRequest, mark: OneTimePassword) -> HttpResponse:
        if request.method == "POST" and (
            request.POST.get("new_password1") == request.POST.get("old_password")
        ):
            messages.error(request, "Choose another password than the one you were given.")
            return HttpResponseRedirect(request.path)
        old = _password(mark)
        response = self._get_response(request)
        if _password(mark) == old:
            return response
        mark.delete()
        messages.success(request, "Your password is changed, and you are logged out elsewhere.")
        return HttpResponseRedirect(reverse("admin:index"))


def _password(mark: OneTimePassword) -> str:
    """Out of the database: the request's user may be another one afterwards."""
    return User.objects.values_list("password", flat=True).get(pk=mark.user_id)
