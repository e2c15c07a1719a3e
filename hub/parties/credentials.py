"""Credentials: registration, update and unregistration of a platform (credentials)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpResponse

from hub.db import secret_box
from hub.deviations import noting
from hub.models import Platform, TokenForm, handshake_turns
from hub.ocpi import headers, strange_credentials
from hub.ocpi.authorization import REPLACED
from hub.ocpi.errors import NotAuthenticated
from hub.outbound import addresses
from hub.outbound.hang_up import HangUp, HungUp
from hub.parties import admission, handshake, onboarding
from hub.parties.onboarding import Presented
from hub.routing.directory import wait_until_confirmed
from hub.routing.request import OcpiRequest
from hub.views import OcpiView, answer

# Time for two calls in each form of the token, and for the database.
_SECONDS = 5 * handshake.SECONDS


class CredentialsView(OcpiView):
    """GET, POST, PUT and DELETE, for both sides of the handshake the same URL."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """The credentials that the request itself carries: the hub keeps only their hash."""
        token, _ = _presented(request)
        return answer(onboarding.own_credentials(token))

    def post(self, request: OcpiRequest) -> HttpResponse:
        """Register. 405 when registered; 3001, 3002, 3003 when the call back fails."""
        return self._register(request, is_new=True)

    def put(self, request: OcpiRequest) -> HttpResponse:
        """Update and rotate. When this is answered, no web process takes the old token."""
        return self._register(request, is_new=False)

    def delete(self, request: OcpiRequest) -> HttpResponse:
        """Unregister. When this is answered, no web process takes the token any more."""
        token, _ = _presented(request)
        onboarding.unregister(request.platform.id, secret_box.token_hash(token))
        wait_until_confirmed()
        return answer()

    def _register(self, request: OcpiRequest, *, is_new: bool) -> HttpResponse:
        platform_id = request.platform.id
        token, form = _presented(request)
        is_registered = Platform.objects.get(pk=platform_id).is_registered
        if is_registered == is_new:
            raise onboarding.not_allowed(is_registered=is_registered)
        read = strange_credentials.read(request.body)
        admission.judge(platform_id, read.credentials.roles)
        addresses.check_url(read.credentials.url, "url")
        with _turn(platform_id) as (turn, hang_up):
            _presented(request)  # The token may have been replaced before the turn began.
            forms = Platform.objects.get(pk=platform_id).forms(first=form)
            offer, taken = handshake.fetch_offer(
                read.credentials.url,
                read.credentials.token,
                forms,
                hang_up,
                related_id=request.correlation_id,
            )
            if taken not in {form, forms[0]}:
                offer.remarks.append(
                    f"Your platform refused the hub's token in the form in which it writes its own "
                    f"({form}), and took it in the other ({taken}): the hub writes it so."
                )
            presented = Presented(secret_box.token_hash(token), turn)
            registered = onboarding.register(
                platform_id, read, offer, taken, presented, is_new=is_new
            )
        noting.note(platform_id, [*read.deviations, *offer.deviations])
        wait_until_confirmed()
        return answer(
            onboarding.own_credentials(registered.token),
            message=" ".join(registered.remarks) or None,
        )


# The calls of the newest handshake of each platform in this process.
_open: dict[int, HangUp] = {}
_lock = threading.Lock()


@contextmanager
def _turn(platform_id: int) -> Iterator[tuple[str, HangUp]]:
    """The newest handshake of this platform; it ends the one before, wherever its call hangs.

    NotAuthenticated (401) while the hub is in one of its own, and when a newer one has begun.
    """
    mine = HangUp()
    try:
        # Under one lock, since otherwise the older of two might end the newer one's call.
        with _lock:
            turn = handshake_turns.begin(platform_id, _SECONDS)
            former, _open[platform_id] = _open.get(platform_id), mine
    except handshake_turns.TurnTaken as error:
        raise NotAuthenticated(
            "This hub is renewing the credentials with your platform itself at this moment: use "
            "the token of its request to you. If that has failed, your token stays valid: try "
            "again in a minute."
        ) from error
    if former is not None:
        former.now()
    try:
        yield turn, mine
    except HungUp as error:
        raise NotAuthenticated(onboarding.OVERTAKEN) from error
    finally:
        with _lock:
            if _open.get(platform_id) is mine:
                del _open[platform_id]
        handshake_turns.end(platform_id, turn)


def _presented(request: OcpiRequest) -> tuple[str, TokenForm]:
    """The token of this request, and how it was written; 401 when it was replaced meanwhile."""
    platform = Platform.objects.get(pk=request.platform.id)
    kept = {bytes(digest) for digest in (platform.token_a_hash, platform.token_c_hash) if digest}
    for token, was_base64 in headers.presented_tokens(request.text("authorization")):
        if secret_box.token_hash(token) in kept:
            return token, TokenForm.BASE64 if was_base64 else TokenForm.PLAIN
    raise NotAuthenticated(REPLACED)
