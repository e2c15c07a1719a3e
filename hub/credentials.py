"""Credentials: registration, update and unregistration of a platform (credentials)."""

from django.http import HttpResponse
from rest_framework.request import Request

from hub import addresses, handshake, onboarding, secret_box
from hub.directory import wait_until_confirmed
from hub.models import Platform, TokenForm
from hub.ocpi import headers
from hub.ocpi.configuration import Credentials
from hub.ocpi.datatypes import decode
from hub.views import Exchange, OcpiView, answer, exchange_of


class CredentialsView(OcpiView):
    """GET, POST, PUT and DELETE, for both sides of the handshake the same URL."""

    def get(self, request: Request) -> HttpResponse:
        """The credentials that the request itself carries: the hub keeps only their hash."""
        token, _ = _presented(exchange_of(request))
        return answer(onboarding.own_credentials(token))

    def post(self, request: Request) -> HttpResponse:
        """Register. 405 when registered; 3001, 3002, 3003 when the call back fails."""
        return self._register(exchange_of(request), is_new=True)

    def put(self, request: Request) -> HttpResponse:
        """Update and rotate. When this is answered, no web process takes the old token."""
        return self._register(exchange_of(request), is_new=False)

    def delete(self, request: Request) -> HttpResponse:
        """Unregister. When this is answered, no web process takes the token any more."""
        onboarding.unregister(exchange_of(request).platform.id)
        wait_until_confirmed()
        return answer()

    def _register(self, exchange: Exchange, *, is_new: bool) -> HttpResponse:
        is_registered = Platform.objects.get(pk=exchange.platform.id).is_registered
        if is_registered == is_new:
            raise onboarding.not_allowed(is_registered=is_registered)
        credentials = decode(exchange.body, Credentials)
        onboarding.check_roles(credentials, exchange.platform.id)
        addresses.check_url(credentials.url, "url")
        _, form = _presented(exchange)
        offer = handshake.fetch_offer(
            credentials.url,
            headers.authorization(credentials.token, base64_encoded=form == TokenForm.BASE64),
        )
        token = onboarding.register(exchange.platform.id, credentials, offer, form, is_new=is_new)
        wait_until_confirmed()
        return answer(onboarding.own_credentials(token))


def _presented(exchange: Exchange) -> tuple[str, TokenForm]:
    """The token of this request, and how it was written."""
    platform = Platform.objects.get(pk=exchange.platform.id)
    kept = {bytes(digest) for digest in (platform.token_a_hash, platform.token_c_hash) if digest}
    for token, was_base64 in headers.presented_tokens(exchange.authorization):
        if secret_box.token_hash(token) in kept:
            return token, TokenForm.BASE64 if was_base64 else TokenForm.PLAIN
    return "", TokenForm.BASE64
