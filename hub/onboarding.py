"""Inviting, registering, suspending and unregistering parties (credentials, Registration)."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from secrets import token_urlsafe

import msgspec
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from hub import party_status, secret_box
from hub.handshake import Offer
from hub.models import (
    Delivery,
    DeliveryState,
    Endpoint,
    Party,
    Platform,
    PlatformHealth,
    TokenForm,
)
from hub.ocpi.configuration import Credentials, CredentialsRole
from hub.ocpi.datatypes import ConnectionStatus, Role
from hub.ocpi.errors import InvalidParameters, MethodNotAllowed
from hub.ocpi.party import PartyId
from hub.record import counters


class CannotInvite(ValueError):
    """The party is there already, or cannot be a party of this hub."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the operator hands over "in a secure way outside the scope of this protocol"."""

    token: str
    versions_url: str


def versions_url() -> str:
    """Where every party starts."""
    return f"{settings.BASE_URL}/ocpi/versions"


def hub_identity() -> PartyId:
    """Who the hub is."""
    return PartyId.of(settings.HUB_COUNTRY_CODE, settings.HUB_PARTY_ID)


@transaction.atomic
def invite(identity: PartyId, roles: list[Role], name: str) -> Invitation:
    """Make a TOKEN_A for a party; one that was invited before and did not come gets a new one."""
    if identity == hub_identity():
        raise CannotInvite(f"{identity} is this hub itself.")
    existing = list(
        Party.objects.select_for_update().filter(
            country_code__iexact=identity.country_code, party_id__iexact=identity.party_id
        )
    )
    if existing:
        platform = Platform.objects.select_for_update().get(pk=existing[0].platform_id)
        if platform.is_registered:
            raise CannotInvite(
                f"{identity} is registered already (platform {platform.name}); it can rotate its "
                "credentials by PUT, or be suspended."
            )
        if name:
            platform.name = name
    else:
        platform = Platform(name=name or str(identity))
    token = platform.invite()
    platform.invited_at = timezone.now()
    platform.save()
    known = {party.role for party in existing}
    party_status.push(
        Party.objects.create(
            platform=platform,
            country_code=identity.country_code,
            party_id=identity.party_id,
            role=role,
            name=name,
        )
        for role in roles
        if role not in known
    )
    party_status.change(
        Party.objects.filter(platform=platform, is_withdrawn=True), ConnectionStatus.PLANNED
    )
    Party.objects.filter(platform=platform).update(is_withdrawn=False, is_agreed=True)
    return Invitation(token, versions_url())


@transaction.atomic
def register(
    platform_id: int,
    credentials: Credentials,
    offer: Offer,
    form: TokenForm,
    *,
    is_new: bool,
    token: str = "",
) -> str:
    """Take over credentials and endpoints; returns the token that the platform uses from now on.

    That is a new TOKEN_C, or `token`: the TOKEN_B that the hub has sent as initiator.
    MethodNotAllowed (405) when a POST comes to a registered platform or a PUT to an unregistered
    one; InvalidParameters (2001) when a party belongs to another platform. Then nothing changes.
    """
    # Before the platform is locked: still_alive.write_heard takes the two in this order as well.
    PlatformHealth.objects.update_or_create(
        platform_id=platform_id, defaults={"last_heard_at": timezone.now(), "problem": ""}
    )
    platform = Platform.objects.select_for_update().get(pk=platform_id)
    if platform.is_registered == is_new:
        raise not_allowed(is_registered=platform.is_registered)
    token = token or token_urlsafe(32)
    _take_tokens(platform, credentials, offer, form, token)
    _take_parties(platform, credentials.roles, is_new=is_new)
    return token


@transaction.atomic
def rotate(
    platform_id: int, credentials: Credentials, offer: Offer, form: TokenForm, token: str
) -> None:
    """Take over tokens and endpoints alone: the platform's parties stay as they are."""
    platform = Platform.objects.select_for_update().get(pk=platform_id)
    _take_tokens(platform, credentials, offer, form, token)


def _take_tokens(
    platform: Platform, credentials: Credentials, offer: Offer, form: TokenForm, token: str
) -> None:
    platform.token_a_hash = None
    platform.token_c_hash = secret_box.token_hash(token)
    platform.token_b_encrypted = secret_box.encrypt(credentials.token)
    platform.token_form = form
    platform.versions_url = credentials.url
    platform.registered_at = platform.registered_at or timezone.now()
    platform.save()
    Endpoint.objects.filter(platform=platform).delete()
    Endpoint.objects.bulk_create(
        Endpoint(platform=platform, identifier=identifier, role=role, url=url)
        for (identifier, role), url in offer.endpoints.items()
    )


def not_allowed(*, is_registered: bool) -> MethodNotAllowed:
    """The 405 of the credentials chapter."""
    if is_registered:
        return MethodNotAllowed("You are registered already: PUT updates your credentials.")
    return MethodNotAllowed("You are not registered yet: POST your credentials first.")


def check_roles(credentials: Credentials, platform_id: int) -> None:
    """Refuse (2001) parties that cannot be, before anybody is called back."""
    seen = set()
    for role in credentials.roles:
        identity = _identity(role)
        if identity == hub_identity():
            raise InvalidParameters(f"{identity} is this hub itself.")
        if (identity, role.role) in seen:
            raise InvalidParameters(f"{identity} {role.role} is in roles twice.")
        seen.add((identity, role.role))
        if (
            Party.objects.filter(
                country_code__iexact=identity.country_code, party_id__iexact=identity.party_id
            )
            .exclude(platform_id=platform_id)
            .exists()
        ):
            raise InvalidParameters(
                f"{identity} belongs to another platform of this hub. The combination of "
                "country_code and party_id must be unique; ask the hub's operator."
            )


def _identity(role: CredentialsRole) -> PartyId:
    try:
        return PartyId.of(role.country_code, role.party_id)
    except ValueError as error:
        raise InvalidParameters(f"roles: {error}.") from error


def _take_parties(platform: Platform, roles: list[CredentialsRole], *, is_new: bool) -> None:
    """Make the platform's parties what its credentials say."""
    before = {(party.identity, party.role): party for party in platform.parties.select_for_update()}
    is_agreed = {identity: party.is_agreed for (identity, _), party in before.items()}
    now = timezone.now()
    named = []
    for role in roles:
        identity = _identity(role)
        party = before.pop((identity, role.role), None) or Party(platform=platform, role=role.role)
        if party.pk is None:
            party.is_agreed = is_agreed.get(identity, settings.ACCEPT_UNINVITED_PARTIES)
        party.country_code, party.party_id = role.country_code, role.party_id
        party.name = role.business_details.name
        party.business_details = msgspec.to_builtins(role.business_details)
        was_suspended = party.status == ConnectionStatus.SUSPENDED and not party.is_withdrawn
        party.is_withdrawn = False
        if not was_suspended:
            party.status = (
                ConnectionStatus.CONNECTED if party.is_agreed else ConnectionStatus.PLANNED
            )
        party.last_updated = now
        named.append(party)
    try:
        with transaction.atomic():
            for party in named:
                party.save()
    except IntegrityError as error:
        raise InvalidParameters(
            "A party in roles belongs to another platform of this hub."
        ) from error
    # An invited party that did not come stays PLANNED; one that was here has left.
    gone = [party for party in before.values() if not is_new]
    _withdraw(gone, now)
    party_status.push([*named, *gone])


def _withdraw(parties: list[Party], now: datetime) -> None:
    for party in parties:
        if party.status != ConnectionStatus.SUSPENDED:
            party.status, party.is_withdrawn, party.last_updated = (
                ConnectionStatus.SUSPENDED,
                True,
                now,
            )
            party.save()


@transaction.atomic
def unregister(platform_id: int) -> None:
    """Undo a registration (DELETE of credentials): no call in either direction any more."""
    platform = Platform.objects.select_for_update().get(pk=platform_id)
    if not platform.is_registered:
        raise not_allowed(is_registered=False)
    platform.token_c_hash, platform.token_b_encrypted = None, b""
    platform.registered_at = None
    platform.save()
    platform.endpoints.all().delete()
    parties = list(platform.parties.select_for_update())
    _withdraw(parties, timezone.now())
    dropped = Delivery.objects.filter(receiver=platform, state=DeliveryState.WAITING).update(
        state=DeliveryState.DROPPED,
        outcome="the receiver has unregistered",
        ended_at=timezone.now(),
    )
    transaction.on_commit(partial(counters.delivery_ended, platform_id, "DROPPED", dropped))
    party_status.push(parties)


@transaction.atomic
def suspend(identity: PartyId) -> bool:
    """Cut a party off; False when there is none of this name. Others are told SUSPENDED."""
    parties = Party.objects.filter(
        country_code__iexact=identity.country_code, party_id__iexact=identity.party_id
    )
    first = parties.first()
    if first is None:
        return False
    parties.update(is_withdrawn=False)
    party_status.change(parties, ConnectionStatus.SUSPENDED)
    dropped = Delivery.objects.filter(
        receiver=first.platform_id,
        state=DeliveryState.WAITING,
        to_country_code__iexact=identity.country_code,
        to_party_id__iexact=identity.party_id,
    ).update(
        state=DeliveryState.DROPPED, outcome="the receiver is SUSPENDED", ended_at=timezone.now()
    )
    transaction.on_commit(partial(counters.delivery_ended, first.platform_id, "DROPPED", dropped))
    return True


@transaction.atomic
def resume(identity: PartyId) -> bool:
    """Take a suspension back; False when the party is not suspended."""
    parties = Party.objects.filter(
        country_code__iexact=identity.country_code,
        party_id__iexact=identity.party_id,
        status=ConnectionStatus.SUSPENDED,
        is_withdrawn=False,
    )
    first = parties.first()
    if first is None:
        return False
    is_here = first.platform.is_registered and first.is_agreed
    party_status.change(
        parties, ConnectionStatus.CONNECTED if is_here else ConnectionStatus.PLANNED
    )
    return True


@transaction.atomic
def agree(parties_of: PartyId) -> None:
    """The operator agrees to a party that came uninvited: it is CONNECTED."""
    parties = Party.objects.filter(
        country_code__iexact=parties_of.country_code, party_id__iexact=parties_of.party_id
    )
    parties.update(is_agreed=True)
    party_status.change(
        parties.filter(status=ConnectionStatus.PLANNED, platform__registered_at__isnull=False),
        ConnectionStatus.CONNECTED,
    )


def own_role() -> CredentialsRole:
    """How the hub reports itself: "A Hub SHALL only reports itself as role: Hub"."""
    return msgspec.convert(
        {
            "role": Role.HUB,
            "business_details": {"name": settings.HUB_NAME},
            "party_id": settings.HUB_PARTY_ID,
            "country_code": settings.HUB_COUNTRY_CODE,
        },
        CredentialsRole,
    )


def own_credentials(token: str) -> Credentials:
    """The credentials object that a platform gets."""
    return Credentials(token=token, url=versions_url(), roles=[own_role()])
