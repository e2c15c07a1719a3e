"""Registration that the hub begins itself: it is the Sender of credentials (credentials).

The other platform has given out a CREDENTIALS_TOKEN_A. During the hub's POST it calls the hub's
versions with the TOKEN_B that the POST carries, so that token opens versions and credentials before
the POST is sent: it is stored like a TOKEN_A that the hub gives out, and opens as much.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus
from secrets import token_urlsafe
from urllib.parse import urlsplit

import msgspec
from django.conf import settings
from django.utils import timezone

from hub.db import secret_box
from hub.deviations import noting
from hub.models import Party, Platform, TokenForm, handshake_turns, locking
from hub.ocpi import strange_credentials
from hub.ocpi.configuration import Credentials
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.errors import (
    ConnectionProblem,
    HubError,
    MethodNotAllowed,
    NotAuthenticated,
    OcpiError,
)
from hub.ocpi.party import PartyId
from hub.ocpi.strange_credentials import Read
from hub.outbound import addresses
from hub.outbound.message import Message
from hub.outbound.platform_calls import Response
from hub.parties import handshake, onboarding
from hub.parties.handshake import Offer
from hub.parties.onboarding import Presented
from hub.parties.token_forms import REFUSALS
from hub.record.note import Kind
from hub.routing.directory import wait_until_confirmed

# A process that died in a handshake leaves its row; no handshake lasts this long.
_LEFT_BEHIND = timedelta(minutes=10)
# Beside the one call that the turn is for.
_AFTERWARDS = 30.0  # seconds
_NOT_TOLD = "It could not be told so ({}): ask its operator to delete the hub's registration there."
_HERE_ALONE = (
    "To cut it off all the same, end the registration here alone (manage.py end_registration)."
)


class CannotConnect(Exception):
    """The handshake did not come about; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class _Side:
    """The other platform: where its credentials are, and how the hub writes its token to it."""

    versions_url: str
    credentials_url: str
    offer: Offer
    token: str = field(repr=False)
    # The form in which it took the token, and the forms in which it may be sent.
    form: TokenForm
    forms: Sequence[TokenForm]


def expected(words: Iterable[str]) -> dict[PartyId, list[Role]]:
    """Read parties as an operator enters them, NL-ABC:CPO; ValueError names what is not a party."""
    parties: dict[PartyId, list[Role]] = {}
    for word in words:
        name, _, role = word.partition(":")
        if role.upper() not in Role.__members__ or role.upper() == Role.HUB:
            raise ValueError(f"{word!r} is not of the form NL-ABC:CPO")
        parties.setdefault(PartyId.parse(name), []).append(Role(role.upper()))
    return parties


def connect(
    versions_url: str,
    token_a: str,
    name: str = "",
    invited: Platform | None = None,
    parties: Mapping[PartyId, Sequence[Role]] | None = None,
) -> Platform:
    """Register with a platform. CannotConnect leaves everything as it was.

    `parties` are those that the operator expects there, in these roles: they are the invited ones.
    `invited` is a platform that was invited to register here: its parties come this way instead.
    """
    known = Platform.objects.filter(versions_url=versions_url, registered_at__isnull=False).first()
    if known is not None:
        raise CannotConnect(
            f"The hub is registered with {known.name} at this URL already; update (PUT) renews the "
            "credentials."
        )
    # Base64 first, as OCPI asks, plain where that is refused.
    side = _look_at(versions_url, token_a, (invited or Platform()).forms(TokenForm.BASE64))
    platform = invited or _one_that_left(versions_url) or _new_platform(versions_url, name)
    was_known = platform.parties.exists()
    try:
        with _token_b(platform) as opened:
            theirs, side = _exchange("POST", side, opened.token)
            try:
                _take(platform, theirs, side, opened, is_new=True, parties=parties)
            except OcpiError as error:
                undone = _undo(side, theirs.credentials)
                raise CannotConnect(
                    f"{error.message} Nothing was changed here, and the other platform {undone}"
                ) from error
    except BaseException:
        if not was_known:
            _forget(platform)
        raise
    wait_until_confirmed()
    platform.refresh_from_db()
    platform.name = name or theirs.credentials.roles[0].business_details.name or platform.name
    platform.save(update_fields=["name"])
    return platform


def update(platform: Platform) -> Platform:
    """Renew tokens, endpoints and parties by PUT. CannotConnect leaves the old ones in force."""
    forms = platform.forms(first=platform.form_in_use)
    side = _look_at(platform.versions_url, _own_token(platform), forms)
    with _token_b(platform) as opened:
        theirs, side = _exchange("PUT", side, opened.token)
        try:
            _take(platform, theirs, side, opened, is_new=False)
        except OcpiError as error:
            # The other side has changed its tokens: keeping the old ones would cut the connection.
            _take_tokens(platform, theirs, side, opened)
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
        raise CannotConnect(f"{platform.name} has no credentials endpoint. {_HERE_ALONE}")
    forms = platform.forms(first=platform.form_in_use)
    try:
        response, _ = _send("DELETE", endpoint.url, token, forms)
    except CannotConnect as error:
        raise CannotConnect(f"{error} {_HERE_ALONE}") from error
    # It does not know the hub (any more), so there is nothing left to end on its side.
    knows_nothing = response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.METHOD_NOT_ALLOWED}
    if not (response.said.is_success or knows_nothing):
        raise CannotConnect(
            f"DELETE of the credentials was answered with {handshake.said(response)}. Nothing was "
            f"changed. {_HERE_ALONE}"
        )
    onboarding.unregister(platform.pk)
    wait_until_confirmed()
    return handshake.said(response)


def end_here(platform: Platform) -> str:
    """Unregister without a word to the other side, which may have lost its token, or be gone.

    Returns, for people, what holds then. CannotConnect when there is no registration.
    """
    try:
        onboarding.unregister(platform.pk)
    except MethodNotAllowed as error:
        raise CannotConnect(f"{platform.name} is not registered.") from error
    wait_until_confirmed()
    return "its token is dead; it was not told"


# --- Steps ----------------------------------------------------------------------------------------


def _look_at(versions_url: str, token: str, forms: Sequence[TokenForm]) -> _Side:
    """GET versions and details, with the token in the first of the forms that is not refused."""
    if not (token.isascii() and token.isprintable() and token.strip() == token != ""):
        raise CannotConnect("The token has to be printable ASCII without spaces around it.")
    if len(versions_url) > 255:
        raise CannotConnect("The versions URL has more than 255 characters.")
    try:
        addresses.check_url(versions_url, "The versions URL")
        offer, form = handshake.fetch_offer(versions_url, token, forms)
    except OcpiError as error:
        raise CannotConnect(f"{error.message} Nothing was changed.") from error
    url = offer.endpoints.get(("credentials", InterfaceRole.SENDER))
    if url is None:
        raise CannotConnect("Its version details name no credentials endpoint.")
    return _Side(versions_url, url, offer, token, form, forms)


@locking.whole
def _forget(platform: Platform) -> None:
    """Forget it with its row locked, since a web process may be noting that it was heard."""
    locking.lock_platform(platform.pk)
    platform.delete()


def _one_that_left(versions_url: str) -> Platform | None:
    """End the registration; the platform keeps its parties, which come back with it."""
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


@dataclass(frozen=True, slots=True)
class _Opened:
    """A TOKEN_B that the other platform may use from now on, and the turn of this handshake."""

    token: str = field(repr=False)
    turn: str

    @property
    def presented(self) -> Presented:
        return Presented(secret_box.token_hash(self.token), self.turn)


@contextmanager
def _token_b(platform: Platform) -> Iterator[_Opened]:
    """A new token that opens versions and credentials within the block; dead when it fails.

    An invitation of a platform that had left is good again then. Meanwhile a handshake that the
    platform begins is refused, and one that it has begun has lost its turn.
    """
    token = token_urlsafe(32)
    digest = secret_box.token_hash(token)
    row = Platform.objects.filter(pk=platform.pk)
    try:
        turn = handshake_turns.begin(
            platform.pk, settings.FORWARD_TIMEOUT + _AFTERWARDS, is_of_hub=True
        )
    except handshake_turns.TurnTaken as error:
        raise CannotConnect(
            f"The hub is in a handshake with {platform.name} already; try again in a minute."
        ) from error
    try:
        former = row.values_list("token_a_hash", flat=True).get()
        row.update(token_a_hash=digest)
        wait_until_confirmed()
        try:
            yield _Opened(token, turn)
        except BaseException:
            # Only what is still there: the operator may have invited the platform anew meanwhile.
            row.filter(token_a_hash=digest).update(token_a_hash=former)
            raise
    finally:
        handshake_turns.end(platform.pk, turn)


def _exchange(method: str, side: _Side, token_b: str) -> tuple[Read, _Side]:
    """POST or PUT our credentials, and read theirs; the side with the form that was taken."""
    url, ours = side.credentials_url, msgspec.json.encode(onboarding.own_credentials(token_b))
    # Its versions may be open to everybody, and say nothing about the form.
    response, form = _send(method, url, side.token, _first(side), ours)
    status = response.status
    what = (
        f"{method} of the hub's credentials at {url} was answered with {handshake.said(response)}"
    )
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        known = (
            "has the hub registered already (its operator can end that)"
            if method == "POST"
            else "does not know the hub"
        )
        raise CannotConnect(f"{what}: it {known}. Nothing was changed.")
    if status >= 400 or not response.said.is_success:
        raise CannotConnect(f"{what}. Nothing was changed.")
    try:
        return strange_credentials.read(bytes(response.said.data)), replace(side, form=form)
    except OcpiError as error:
        raise CannotConnect(
            f"{what}, but {error.message} Nothing was changed here; the other platform takes the "
            f"hub for registered. {_NOT_TOLD.format('it named no token')}"
        ) from error


def _take(
    platform: Platform,
    theirs: Read,
    side: _Side,
    opened: _Opened,
    *,
    is_new: bool,
    parties: Mapping[PartyId, Sequence[Role]] | None = None,
) -> None:
    onboarding.register(
        platform.pk,
        _told_at(theirs, side),
        side.offer,
        side.form,
        opened.presented,
        is_new=is_new,
        token=opened.token,
        entered=parties,
    )
    noting.note(platform.pk, [*theirs.deviations, *side.offer.deviations])


def _take_tokens(platform: Platform, theirs: Read, side: _Side, opened: _Opened) -> None:
    told = _told_at(theirs, side).credentials
    try:
        onboarding.rotate(platform.pk, told, side.offer, side.form, opened.presented, opened.token)
    except NotAuthenticated as error:
        raise CannotConnect(
            f"The registration of {platform.name} was changed while the other platform answered: "
            "the token that it has just been given opens nothing. Ask its operator to send its "
            f"credentials by PUT. {_HERE_ALONE}"
        ) from error


def _told_at(theirs: Read, side: _Side) -> Read:
    """Their credentials with the URL that has just been seen to work, whatever they call it."""
    said = theirs.credentials
    credentials = Credentials(token=said.token, url=side.versions_url, roles=said.roles)
    return replace(theirs, credentials=credentials)


def _undo(side: _Side, theirs: Credentials) -> str:
    """DELETE what the other side has accepted; returns what is now true of it."""
    try:
        response, _ = _send("DELETE", side.credentials_url, theirs.token, _first(side))
    except CannotConnect as error:
        return f"takes the hub for registered. {_NOT_TOLD.format(error)}"
    if response.said.is_success:
        return "was told so by DELETE of the credentials."
    return f"takes the hub for registered. {_NOT_TOLD.format(handshake.said(response))}"


def _first(side: _Side) -> Sequence[TokenForm]:
    """The forms of a token, the accepted one first."""
    return [side.form, *(form for form in side.forms if form is not side.form)]


def _send(
    method: str, url: str, token: str, forms: Sequence[TokenForm], body: bytes = b""
) -> tuple[Response, TokenForm]:
    """One call, and the form of the token that was not refused; refused in all, the first of it."""
    answers = []
    for form in forms:
        response = _send_once(method, url, form.authorization(token), body)
        if response.status not in REFUSALS:
            return response, form
        answers.append(response)
    return answers[0], forms[0]


def _send_once(method: str, url: str, authorization: str, body: bytes) -> Response:
    message = Message(
        kind=Kind.HANDSHAKE,
        method=method,
        url=url,
        platform=None,
        module="credentials",
        body=body,
    )
    try:
        return message.send_now(authorization)
    except ConnectionProblem as error:
        raise CannotConnect(f"{method} credentials at {url}: {error.message}") from error
    except HubError as error:
        raise CannotConnect(
            f"{method} credentials at {url}: {error.message} Whether it was carried out is not "
            "known: ask the operator of the other platform."
        ) from error


def _own_token(platform: Platform) -> str:
    """The token by which the hub calls a platform that it is registered with."""
    if not platform.is_registered:
        raise CannotConnect(f"The hub is not registered with {platform.name}: connect first.")
    try:
        return platform.token_b
    except secret_box.WrongKey as error:
        raise CannotConnect(str(error)) from error


def parties_of(platform: Platform, *, has_left: bool = False) -> list[str]:
    """The parties of a platform with their status, for people; `has_left`: those that were here."""
    parties = Party.objects.filter(platform=platform, is_withdrawn=has_left)
    return [
        f"{party} {party.status}" for party in parties.order_by("country_code", "party_id", "role")
    ]
