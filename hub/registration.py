"""Registration that the hub begins itself: it is the Sender of credentials (credentials).

The other platform has given out a CREDENTIALS_TOKEN_A. During the hub's POST it calls the hub's
versions with the TOKEN_B that the POST carries, so that token opens versions and credentials before
the POST is sent: it is kept where a TOKEN_A that the hub gives out is kept, and opens as much.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from secrets import token_urlsafe
from urllib.parse import urlsplit

import msgspec
from django.db import transaction
from django.utils import timezone

from hub import addresses, handshake, onboarding, outbound, secret_box
from hub.directory import wait_until_confirmed
from hub.handshake import Offer, TokenRefused
from hub.models import Party, Platform, TokenForm
from hub.ocpi import envelope, headers
from hub.ocpi.configuration import Credentials
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import ConnectionProblem, HubError, OcpiError
from hub.record.calls import noted
from hub.record.note import Kind

# A process that died in a handshake leaves its row; no handshake lasts as long as this.
_LEFT_BEHIND = timedelta(minutes=10)
_NOT_TOLD = "It could not be told so ({}): ask its operator to delete the hub's registration there."


class CannotConnect(Exception):
    """The handshake did not come about; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class _Side:
    """The other platform: where its credentials are, and how the hub writes its token to it."""

    versions_url: str
    offer: Offer
    form: TokenForm
    authorization: str

    @property
    def credentials_url(self) -> str:
        url = self.offer.endpoints.get(("credentials", InterfaceRole.SENDER))
        if url is None:
            raise CannotConnect("Its version details name no credentials endpoint.")
        return url


def connect(
    versions_url: str, token_a: str, name: str = "", invited: Platform | None = None
) -> Platform:
    """Register with a platform. CannotConnect leaves everything as it was.

    `invited` is a platform that was to register itself here: its parties come by this way instead.
    """
    known = Platform.objects.filter(versions_url=versions_url, registered_at__isnull=False).first()
    if known is not None:
        raise CannotConnect(
            f"The hub is registered with {known.name} at this URL already; update (PUT) renews the "
            "credentials."
        )
    side = _look_at(versions_url, token_a)
    credentials_url = side.credentials_url
    platform = invited or _one_that_left(versions_url) or _new_platform(versions_url, name)
    was_known = platform.parties.exists()
    try:
        with _token_b(platform) as token_b:
            theirs = _exchange("POST", credentials_url, side.authorization, token_b)
            try:
                _take(platform, theirs, side, token_b, is_new=True)
            except OcpiError as error:
                undone = _undo(credentials_url, theirs, side.form)
                raise CannotConnect(
                    f"{error.message} Nothing was changed here, and the other platform {undone}"
                ) from error
    except BaseException:
        if not was_known:
            _forget(platform)
        raise
    wait_until_confirmed()
    platform.refresh_from_db()
    platform.name = name or theirs.roles[0].business_details.name or platform.name
    platform.save(update_fields=["name"])
    return platform


def update(platform: Platform) -> Platform:
    """Renew tokens, endpoints and parties by PUT. CannotConnect leaves the old ones in force."""
    side = _look_at(platform.versions_url, _own_token(platform), TokenForm(platform.token_form))
    credentials_url = side.credentials_url
    with _token_b(platform) as token_b:
        theirs = _exchange("PUT", credentials_url, side.authorization, token_b)
        try:
            _take(platform, theirs, side, token_b, is_new=False)
        except OcpiError as error:
            # The tokens have changed over there: to keep the old ones would cut the connection.
            onboarding.rotate(platform.pk, _told_at(theirs, side), side.offer, side.form, token_b)
            wait_until_confirmed()
            raise CannotConnect(
                f"{error.message} The tokens were renewed; its parties stay as they were."
            ) from error
    wait_until_confirmed()
    platform.refresh_from_db()
    return platform


def end(platform: Platform) -> str:
    """Unregister by DELETE; returns what the other side said. CannotConnect changes nothing."""
    token = _own_token(platform)
    endpoint = platform.endpoints.filter(identifier="credentials").first()
    if endpoint is None:
        raise CannotConnect(f"{platform.name} has no credentials endpoint.")
    authorization = _authorization(token, TokenForm(platform.token_form))
    status, answer = _send("DELETE", endpoint.url, authorization)
    # It does not know the hub (any more): then there is nothing left to end over there.
    knows_nothing = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.METHOD_NOT_ALLOWED}
    if not (answer.is_success or knows_nothing):
        raise CannotConnect(
            f"DELETE of the credentials was answered with {_said(status, answer)}. Nothing was "
            "changed; suspend its parties to cut them off all the same."
        )
    onboarding.unregister(platform.pk)
    wait_until_confirmed()
    return _said(status, answer)


# --- Steps ----------------------------------------------------------------------------------------


def _look_at(versions_url: str, token: str, form: TokenForm | None = None) -> _Side:
    """GET versions and details: Base64 first, as OCPI 2.2.1 asks, plain where that is refused."""
    if not (token.isascii() and token.isprintable() and token.strip() == token != ""):
        raise CannotConnect("The token has to be printable ASCII without spaces around it.")
    if len(versions_url) > 255:
        raise CannotConnect("The versions URL has more than 255 characters.")
    refused = ""
    for written in (form,) if form else (TokenForm.BASE64, TokenForm.PLAIN):
        authorization = _authorization(token, written)
        try:
            addresses.check_url(versions_url, "The versions URL")
            offer = handshake.fetch_offer(versions_url, authorization)
        except TokenRefused as error:
            refused = error.message
            continue
        except OcpiError as error:
            raise CannotConnect(f"{error.message} Nothing was changed.") from error
        return _Side(versions_url, offer, written, authorization)
    raise CannotConnect(
        f"{refused} It does not take the token{'' if form else ', neither in Base64 nor plain'}. "
        "Nothing was changed."
    )


@transaction.atomic
def _forget(platform: Platform) -> None:
    """With its row locked: at this moment a web process may write down that it was heard."""
    Platform.objects.select_for_update().get(pk=platform.pk)
    platform.delete()


def _one_that_left(versions_url: str) -> Platform | None:
    """Its parties are still its own, and come back with it."""
    return Platform.objects.filter(
        versions_url=versions_url, registered_at__isnull=True, parties__isnull=False
    ).first()


def _new_platform(versions_url: str, name: str) -> Platform:
    Platform.objects.filter(
        versions_url=versions_url,
        registered_at__isnull=True,
        parties__isnull=True,
        invited_at__lt=timezone.now() - _LEFT_BEHIND,
    ).delete()
    return Platform.objects.create(
        name=(name or urlsplit(versions_url).netloc)[:100], versions_url=versions_url
    )


@contextmanager
def _token_b(platform: Platform) -> Iterator[str]:
    """A new token that opens versions and credentials within the block; dead when it fails.

    An invitation of a platform that had left is good again then.
    """
    token = token_urlsafe(32)
    former = platform.token_a_hash
    row = Platform.objects.filter(pk=platform.pk)
    row.update(token_a_hash=secret_box.token_hash(token))
    wait_until_confirmed()
    try:
        yield token
    except BaseException:
        row.update(token_a_hash=former)
        raise


def _exchange(method: str, url: str, authorization: str, token_b: str) -> Credentials:
    """POST or PUT our credentials, and read theirs."""
    ours = msgspec.json.encode(onboarding.own_credentials(token_b))
    status, answer = _send(method, url, authorization, ours)
    what = f"{method} of the hub's credentials at {url} was answered with {_said(status, answer)}"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        known = "has the hub registered already" if method == "POST" else "does not know the hub"
        raise CannotConnect(f"{what}: it {known}. Nothing was changed.")
    if status >= 400 or not answer.is_success:
        raise CannotConnect(f"{what}. Nothing was changed.")
    return handshake.lenient(
        bytes(answer.data),
        Credentials,
        lambda reason: CannotConnect(
            f"{what}, but {reason} Nothing was changed here; the other platform takes the hub for "
            f"registered. {_NOT_TOLD.format('it named no token')}"
        ),
    )


def _take(
    platform: Platform, theirs: Credentials, side: _Side, token_b: str, *, is_new: bool
) -> None:
    onboarding.check_roles(theirs, platform.pk)
    onboarding.register(
        platform.pk, _told_at(theirs, side), side.offer, side.form, is_new=is_new, token=token_b
    )


def _told_at(theirs: Credentials, side: _Side) -> Credentials:
    """Their credentials with the URL that has just been seen to work, whatever they call it."""
    return Credentials(token=theirs.token, url=side.versions_url, roles=theirs.roles)


def _undo(url: str, theirs: Credentials, form: TokenForm) -> str:
    """DELETE what the other side has accepted; returns what is now true of it."""
    try:
        status, answer = _send("DELETE", url, _authorization(theirs.token, form))
    except CannotConnect as error:
        return f"takes the hub for registered. {_NOT_TOLD.format(error)}"
    if answer.is_success:
        return "was told so by DELETE of the credentials."
    return f"takes the hub for registered. {_NOT_TOLD.format(_said(status, answer))}"


def _send(
    method: str, url: str, authorization: str, body: bytes = b""
) -> tuple[int, envelope.Answer]:
    sent = {
        "Authorization": authorization,
        headers.REQUEST_ID: headers.new_id(),
        headers.CORRELATION_ID: headers.new_id(),
    }
    if body:
        sent["Content-Type"] = "application/json"
    try:
        with noted(Kind.HANDSHAKE, method, sent, None, module="credentials", body=body) as call:
            response = call.answered(outbound.call(method, url, sent, body))
    except ConnectionProblem as error:
        raise CannotConnect(f"{method} credentials at {url}: {error.message}") from error
    except HubError as error:
        raise CannotConnect(
            f"{method} credentials at {url}: {error.message} Whether it was carried out is not "
            "known: ask the operator of the other platform."
        ) from error
    return response.status, envelope.read_answer(response.body)


def _said(status: int, answer: envelope.Answer) -> str:
    if answer.status_code is None:
        return f"HTTP {status} without an OCPI envelope"
    return f"HTTP {status}, OCPI {answer.status_code} ({answer.status_message or 'no message'})"


def _authorization(token: str, form: TokenForm) -> str:
    return headers.authorization(token, base64_encoded=form == TokenForm.BASE64)


def _own_token(platform: Platform) -> str:
    """What the hub writes to a platform that it is registered with."""
    if not platform.is_registered:
        raise CannotConnect(f"The hub is not registered with {platform.name}: connect first.")
    try:
        return platform.token_b
    except secret_box.WrongKey as error:
        raise CannotConnect(str(error)) from error


def parties_of(platform: Platform) -> list[str]:
    """The parties of a platform with their status, for people."""
    parties = Party.objects.filter(platform=platform, is_withdrawn=False)
    return [
        f"{party} {party.status}" for party in parties.order_by("country_code", "party_id", "role")
    ]
