"""Inviting, registering, suspending and unregistering parties (credentials, Registration)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from secrets import token_urlsafe

import msgspec
from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from hub.db import secret_box
from hub.db.leases import lock_name
from hub.models import (
    Admission,
    Delivery,
    DeliveryState,
    Endpoint,
    Party,
    Platform,
    TokenForm,
    handshake_turns,
    locking,
    party_news,
)
from hub.models.parties import BEYOND_INVITATION, rows_of
from hub.ocpi import own_paths
from hub.ocpi.authorization import IF_LOST, REPLACED
from hub.ocpi.configuration import Credentials, CredentialsRole
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.errors import MethodNotAllowed, NotAuthenticated
from hub.ocpi.party import PartyId
from hub.ocpi.strange_credentials import Read
from hub.outbox import outbox
from hub.parties import admission, party_status
from hub.parties.admission import hub_identity as hub_identity
from hub.parties.handshake import Offer
from hub.record import counters
from hub.routing.directory import load

OVERTAKEN = (
    "A newer handshake of your platform has begun, and is the one that counts: use the token of "
    f"its answer. {IF_LOST}"
)


class CannotInvite(ValueError):
    """The party is there already, or cannot be a party of this hub."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the operator hands over "in a secure way outside the scope of this protocol"."""

    token: str
    versions_url: str


@dataclass(frozen=True, slots=True)
class Presented:
    """The token and the turn with which a handshake began; both must still hold when it ends."""

    token_hash: bytes
    turn: str


@dataclass(frozen=True, slots=True)
class Registered:
    """The result of a handshake: the platform's new token, and what it is told."""

    token: str
    remarks: list[str]


def versions_url() -> str:
    """The versions URL, where every party starts."""
    return settings.BASE_URL + own_paths.VERSIONS


def _one_at_a_time() -> None:
    """Lock the question which platform a party belongs to, since it concerns two platforms."""
    lock_name("parties of platforms")


def _locked(platform_id: int) -> tuple[Platform, list[Party]]:
    """A platform and its parties; Platform.DoesNotExist when it is gone."""
    if (found := locking.lock_platform(platform_id)) is None:
        raise Platform.DoesNotExist
    return found


def _locked_party(identity: PartyId) -> list[Party]:
    """A party in all its roles, locked with its platform; empty when there is none of this name."""
    if (found := rows_of(identity).first()) is None:
        return []
    _, parties = _locked(found.platform_id)
    return [party for party in parties if party.identity == identity]


# --- Inviting -------------------------------------------------------------------------------------


@locking.whole
def invite(identity: PartyId, roles: list[Role], name: str) -> Invitation:
    """Make a TOKEN_A for a party; one that was invited before and did not come gets a new one.

    The invitation is for this party in these roles, and no others. A party that some platform has
    brought along unasked yields to it.
    """
    _one_at_a_time()
    platform = _platform_for(identity, name)
    token = platform.invite()
    platform.invited_at = timezone.now()
    platform.save()
    enter(platform, identity, roles, name)
    return Invitation(token, versions_url())


def _platform_for(identity: PartyId, name: str) -> Platform:
    """Where the party is to come: the platform that it had, or a new one."""
    if identity == hub_identity():
        raise CannotInvite(f"{identity} is this hub itself.")
    if (existing := rows_of(identity).exclude(admission__in=BEYOND_INVITATION).first()) is None:
        return Platform(name=name or str(identity))
    platform, _ = _locked(existing.platform_id)
    if platform.is_registered:
        raise CannotInvite(
            f"{identity} is registered already (platform {platform.name}); it can rotate its "
            f"credentials by PUT, or be suspended. {lost_token(identity)}"
        )
    platform.name = name or platform.name
    return platform


def lost_token(identity: PartyId) -> str:
    """What an operator can do for a party that has lost its token."""
    return (
        f"Has it lost its token, end the registration (manage.py end_registration "
        f"{identity.country_code} {identity.party_id}) and invite it again."
    )


def enter(platform: Platform, identity: PartyId, roles: Iterable[Role], name: str) -> None:
    """The operator says that this party comes here in these roles. In a transaction, one at a time.

    Other roles that never came are deleted; one that left has to be agreed to anew.
    InvalidParameters (2001) when the operator has said so of another platform before.
    """
    elsewhere = list(rows_of(identity).exclude(platform=platform))
    if any(party.admission not in BEYOND_INVITATION for party in elsewhere):
        raise admission.of_another_platform(identity)
    is_suspended = any(party.is_suspended for party in elsewhere)
    _remove(elsewhere)
    wanted = set(roles)
    kept = {}
    gone = []
    for party in rows_of(identity).select_for_update().order_by("pk"):
        if party.role not in wanted and not party.is_withdrawn:
            gone.append(party)
            continue
        kept[party.role] = party
        party.admission = Admission.INVITED if party.role in wanted else Admission.TAKEN
        if party.role in wanted:
            party.is_withdrawn = party.is_named = False
        is_suspended = is_suspended or party.is_suspended
    _remove(gone)
    for role in dict.fromkeys(roles):
        kept[role] = kept.get(role) or Party(
            platform=platform,
            country_code=identity.country_code,
            party_id=identity.party_id,
            role=role,
            name=name,
            is_named=False,
            admission=Admission.INVITED,
        )
    for party in kept.values():
        party.is_suspended = is_suspended
    _settle(kept.values(), is_registered=platform.is_registered, is_away=False)


def _settle(
    parties: Iterable[Party], *, is_registered: bool, is_away: bool, is_news: bool = False
) -> None:
    """Save with the status that is due, and tell the others if it has changed or is new."""
    changed, came = [], []
    for party in parties:
        status = party.due_status(is_registered=is_registered, is_away=is_away)
        if is_news or party.pk is None or status != party.status:
            if status == ConnectionStatus.CONNECTED != party.status:
                came.append(party)
            party.status, party.last_updated = status, timezone.now()
            changed.append(party)
        party.save()
    party_status.push(changed, is_news=is_news)
    party_status.came(came)
    for platform_id in {party.platform_id for party in came}:
        here = Party.objects.filter(platform=platform_id, status=ConnectionStatus.CONNECTED)
        if not here.exclude(pk__in=[party.pk for party in came]).exists():
            party_news.begin(platform_id)


def _remove(parties: list[Party]) -> None:
    """Their rows go. Who was told of them is told that they are SUSPENDED: there is no "gone"."""
    for party in parties:
        party.status, party.last_updated = ConnectionStatus.SUSPENDED, timezone.now()
    party_status.push(parties)
    for platform_id, identity in {(party.platform_id, party.identity) for party in parties}:
        _drop_deliveries(platform_id, identity, "the receiver has left this platform")
    Party.objects.filter(pk__in=[party.pk for party in parties]).delete()


def _drop_deliveries(platform_id: int, identity: PartyId, why: str) -> None:
    messages = Delivery.objects.filter(
        receiver=platform_id,
        to_country_code__iexact=identity.country_code,
        to_party_id__iexact=identity.party_id,
    )
    _drop(platform_id, messages, str(identity), why)


def _drop(
    platform_id: int, messages: "models.QuerySet[Delivery]", party: str | None, why: str
) -> None:
    marks, _ = outbox.forget(platform_id, party)
    dropped = marks + messages.filter(state=DeliveryState.WAITING).update(
        state=DeliveryState.DROPPED, outcome=why, ended_at=timezone.now()
    )
    transaction.on_commit(partial(counters.delivery_ended, platform_id, "DROPPED", dropped))


# --- Registering ----------------------------------------------------------------------------------


@locking.whole
def register(
    platform_id: int,
    read: Read,
    offer: Offer,
    form: TokenForm,
    presented: Presented,
    *,
    is_new: bool,
    token: str = "",
    entered: Mapping[PartyId, Sequence[Role]] | None = None,
) -> Registered:
    """Take over credentials and endpoints; tells the token that the platform uses from now on.

    That is a new TOKEN_C, or `token`: the TOKEN_B that the hub has sent as initiator. `entered` are
    the parties that the operator expects there, beside those that were invited.

    NotAuthenticated (401) when the presented token was replaced meanwhile or a newer handshake has
    begun; MethodNotAllowed (405) when a POST comes to a registered platform or a PUT to an
    unregistered one; InvalidParameters (2001) when its parties cannot be. Then nothing changes.
    """
    _one_at_a_time()
    platform, parties = _locked(platform_id)
    check_presented(platform, presented)
    if platform.is_registered == is_new:
        raise not_allowed(is_registered=platform.is_registered)
    for identity, roles in (entered or {}).items():
        enter(platform, identity, roles, platform.name)
    credentials = read.credentials
    verdicts = admission.judge(platform.pk, credentials.roles)
    remarks = [
        *read.remarks,
        *offer.remarks,
        *admission.remarks(credentials.roles, verdicts),
    ]
    token = token or token_urlsafe(32)
    platform.remarks = "\n".join(remarks)
    party_status.heard(platform_id)
    party_status.told_on(platform, parties)
    _take_tokens(platform, credentials, offer, form, token)
    _take_parties(platform, credentials.roles, verdicts)
    return Registered(token, remarks)


@locking.whole
def rotate(
    platform_id: int,
    credentials: Credentials,
    offer: Offer,
    form: TokenForm,
    presented: Presented,
    token: str,
) -> None:
    """Take over tokens and endpoints alone: the platform's parties stay as they are."""
    platform, _ = _locked(platform_id)
    check_presented(platform, presented)
    _take_tokens(platform, credentials, offer, form, token)


def check_presented(platform: Platform, presented: Presented) -> None:
    """Refuse (401) an overtaken handshake; `platform` is locked, so nothing changes meanwhile."""
    held = {bytes(h) for h in (platform.token_a_hash, platform.token_c_hash) if h is not None}
    if presented.token_hash not in held:
        raise NotAuthenticated(REPLACED)
    if not handshake_turns.end(platform.pk, presented.turn):
        raise NotAuthenticated(OVERTAKEN)


def _take_tokens(
    platform: Platform, credentials: Credentials, offer: Offer, form: TokenForm, token: str
) -> None:
    platform.token_a_hash = None
    platform.token_c_hash = secret_box.token_hash(token)
    platform.token_b_encrypted = secret_box.encrypt(credentials.token)
    platform.token_form, platform.other_form_not_before = form, None
    platform.versions_url, platform.ocpi_version = credentials.url, offer.version
    platform.registered_at = platform.registered_at or timezone.now()
    platform.save()
    of_parties = {"identifier": party_status.MODULE, "role": InterfaceRole.RECEIVER}
    if not Endpoint.objects.filter(platform=platform, **of_parties).exists():
        party_news.begin(platform.pk)
    Endpoint.objects.filter(platform=platform).delete()
    Endpoint.objects.bulk_create(
        Endpoint(platform=platform, identifier=identifier, role=role, url=url)
        for (identifier, role), url in offer.endpoints.items()
    )


def not_allowed(*, is_registered: bool) -> MethodNotAllowed:
    """The 405 of the credentials chapter, and what to do instead."""
    if is_registered:
        return MethodNotAllowed(
            f"You are registered already: PUT updates your credentials. {IF_LOST}"
        )
    return MethodNotAllowed("You are not registered yet: POST your credentials first.")


def _take_parties(
    platform: Platform, roles: Sequence[CredentialsRole], verdicts: Sequence[Admission]
) -> None:
    """Make the platform's parties what its credentials say."""
    # Read anew: what the operator entered a moment ago is among them.
    before = {(party.identity, party.role): party for party in platform.parties.order_by("pk")}
    # Otherwise a suspended party would come back under another name.
    suspends_new = any(party.is_suspended for party in before.values())
    now = timezone.now()
    named = []
    for role, verdict in zip(roles, verdicts, strict=True):
        party = before.pop((role.identity, role.role), None) or Party(
            platform=platform, role=role.role, is_suspended=suspends_new
        )
        party.admission = verdict
        party.country_code, party.party_id = role.country_code, role.party_id
        party.name = role.business_details.name
        party.business_details = msgspec.to_builtins(role.business_details)
        party.is_named, party.is_withdrawn = True, False
        party.status = party.due_status(is_registered=True, is_away=False)
        party.last_updated = now
        named.append(party)
    # judge() has let nothing through that others have, except what they only claim.
    claims = Party.objects.filter(admission=Admission.CLAIMED).exclude(platform=platform)
    yielding = {party.identity for party in named}
    Party.objects.filter(pk__in=[p.pk for p in claims if p.identity in yielding]).delete()
    for party in named:
        party.save()
    party_status.push(named)
    _withdraw(before.values())


def _withdraw(parties: Iterable[Party]) -> None:
    """Note that they left the credentials. A party that was only claimed leaves nothing behind."""
    parties = list(parties)
    claims = [p.pk for p in parties if not (p.is_agreed or p.is_suspended)]
    Party.objects.filter(pk__in=claims).delete()
    left = [party for party in parties if party.pk not in claims and party.is_named]
    for party in left:
        party.is_named, party.is_withdrawn = False, True
    _settle(left, is_registered=True, is_away=False)


@locking.whole
def unregister(platform_id: int, token_hash: bytes | None = None) -> None:
    """End a registration: after it, neither side can call the other.

    `token_hash` is that of the token with which the platform itself sent DELETE of credentials:
    NotAuthenticated (401) when it was replaced meanwhile; MethodNotAllowed (405) when there is no
    registration.
    """
    _one_at_a_time()
    platform, parties = _locked(platform_id)
    if not platform.is_registered:
        raise not_allowed(is_registered=False)
    held = {bytes(h) for h in (platform.token_a_hash, platform.token_c_hash) if h is not None}
    if token_hash is not None and token_hash not in held:
        raise NotAuthenticated(REPLACED)
    platform.token_a_hash, platform.token_c_hash, platform.token_b_encrypted = None, None, b""
    platform.registered_at = None
    platform.ocpi_version = platform.remarks = ""
    platform.save()
    platform.endpoints.all().delete()
    _withdraw(parties)
    _drop(platform_id, platform.deliveries.all(), None, "the receiver has unregistered")


# --- Suspending, resuming, agreeing ---------------------------------------------------------------


@locking.whole
def suspend(identity: PartyId) -> bool:
    """Cut a party off; False when there is none of this name. Others are told SUSPENDED."""
    _one_at_a_time()
    parties = _locked_party(identity)
    if not parties:
        return False
    for party in parties:
        party.is_suspended = True
    _settle(parties, is_registered=True, is_away=False)
    platform_id = parties[0].platform_id
    _drop_deliveries(platform_id, identity, "the receiver is SUSPENDED")
    return True


@locking.whole
def resume(identity: PartyId) -> bool:
    """Take a suspension back; False when the party is not suspended."""
    _one_at_a_time()
    parties = [party for party in _locked_party(identity) if party.is_suspended]
    for party in parties:
        party.is_suspended = False
    _settle_here(parties)
    return bool(parties)


def status_of(identity: PartyId) -> ConnectionStatus:
    """The status of a party over all its roles; PLANNED if it is only claimed."""
    entry = load().parties.get(identity)
    return ConnectionStatus.PLANNED if entry is None else entry.status


@locking.whole
def agree(identity: PartyId, role: str = "") -> bool:
    """The operator agrees to a party that came uninvited, in this role or in all that it named.

    False when it waits for nothing.
    """
    _one_at_a_time()
    parties = [
        party
        for party in _locked_party(identity)
        if party.admission in BEYOND_INVITATION
        and not party.is_withdrawn
        and role in {"", party.role}
    ]
    for party in parties:
        party.admission = Admission.AGREED
    _settle_here(parties, is_news=True)
    return bool(parties)


def _settle_here(parties: list[Party], *, is_news: bool = False) -> None:
    """Save them with the status that is due as their platform is now."""
    if parties:
        platform = Platform.objects.select_related("health").get(pk=parties[0].platform_id)
        is_away = hasattr(platform, "health") and bool(platform.health.problem)
        _settle(parties, is_registered=platform.is_registered, is_away=is_away, is_news=is_news)


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
