"""What the hub does with a forwarded message, and what routing may ask: module by module.

The one table where the gateway meets the modules (beside hub/urls.py).
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import unquote

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse

from cdrs import at_once as cdrs_at_once
from cdrs.models import Bill, Cdr, Posting, identity
from cdrs.objects import CDR
from charging_profiles import active_profile
from charging_profiles import receiver as profile_receiver
from charging_profiles import results as profile_results
from commands import lookups as command_lookups
from commands.reservations import command_posted
from commands.reservations import result_posted as result_posted
from hub.db.batch_writer import Writer
from hub.db.django_threads import DjangoThreads
from hub.db.leases import Lease
from hub.models import ForwardedUrl, quotas
from hub.ocpi import envelope, heads, own_paths
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import HeldBack, OcpiError, ServerError
from hub.ocpi.lenient import Deviation
from hub.ocpi.modules import OBJECTS
from hub.ocpi.party import PartyId
from hub.ocpi.reading import deviations_of
from hub.outbound import rewritten_urls
from hub.outbound.forwarded import Forwarded
from hub.outbound.platform_calls import Response
from hub.routing.decisions import Forward, Found, LookupKind
from hub.routing.directory import holder
from hub.routing.owners import in_url
from hub.routing.request import OcpiRequest
from hub.store import broadcast_at_once, broadcast_push, leaving_out, who_pushes
from hub.store.broadcast_at_once import KeepAtOnce
from hub.store.kinds import broadcast_kinds
from hub.store.pushed import Pushed
from hub.store.store import StoredObject
from hub.views import answer_document
from hub.workers import wake
from locations import at_once as location_at_once
from locations.lookups import location_owner
from locations.models import Location
from sessions import at_once as sessions_at_once
from sessions import lookups as session_lookups
from sessions import underway
from sessions.preferences import preferences_put
from sessions.pushes import (
    patch_lost,
    session_held_back,
    session_leaves,
    session_lost,
    session_pushed,
)
from tariffs.models import Tariff
from tokens.lookups import token_issuer
from tokens.models import Token

logger = logging.getLogger(__name__)
RECEIVER: Final = InterfaceRole.RECEIVER

AfterAnswer = Callable[[Forwarded], None]
AfterAnswerAtOnce = Callable[[Writer, Forwarded], Awaitable[bool]]
BeforeForwarding = Callable[[OcpiRequest], Response | Lease | None]
NoAnswer = Callable[[OcpiRequest, Lease | None], None]


def _for_its_receiver(kind: type[StoredObject]) -> AfterAnswer:
    """Keep what an owner told one party alone, once that party has taken it (ocpi/ocpi#511)."""

    def keep(forwarded: Forwarded) -> None:
        request, response = forwarded.request, forwarded.response
        if not envelope.is_accepted(response.status, response.body):
            return
        pushed = Pushed.to_one(request)
        if pushed.owner != request.sender:
            return  # A party that passes on another's object tells nothing new of it.
        receiver = holder.snapshot.parties.get(request.receiver)
        place = request.place

        def keep_it() -> None:
            # Together: what is broadcast at this moment comes after both.
            with transaction.atomic():
                kept = kind.push(pushed).kept
                broadcast_push.taken(place.module, pushed, place.ids.values(), receiver, kept)

        _kept_or_logged(request, keep_it)
        leaving_out.took(kind, pushed, receiver)
        who_pushes.note(request.sender, place.module)
        forwarded.note(pushed.deviations)

    return keep


def _kept_or_logged(request: OcpiRequest, keep: Callable[[], object]) -> None:
    """Keep what the receiver has taken; an object that is not valid can only be logged."""
    try:
        keep()
    except OcpiError as error:
        logger.warning(
            "%s of %s from %s to %s is not kept: %s, correlation %s",
            request.method,
            request.place.module,
            request.sender,
            request.receiver,
            error.message,
            request.correlation_id,
        )


def _cdr_posted(forwarded: Forwarded) -> None:
    request = forwarded.request
    Posting.answered(
        request.sender, request.receiver, request.body, forwarded.response, forwarded.lease
    )
    documents = heads.objects_of(request.body)
    if len(documents) > 1:
        forwarded.note([Deviation("several-objects", "CDR", f"{len(documents)} CDRs in a list")])
        for document in documents:
            forwarded.note(deviations_of(document, CDR))
    else:
        forwarded.note(deviations_of(request.body, CDR))


def _begin_cdr(request: OcpiRequest) -> Response | Lease | None:
    return Posting.begin(request.sender, request.receiver, request.body)


def _end_cdr(_request: OcpiRequest, lease: Lease | None) -> None:
    Posting.end(lease)


def _check_quota(kind: type[StoredObject]) -> BeforeForwarding:
    """Refuse an object beyond the quota; those that the hub has can be changed."""

    def check(request: OcpiRequest) -> None:
        place, sender = request.place, request.sender
        if quotas.room(str(sender), kind.MODULE):
            return
        owner, object_id = in_url(place), unquote(list(place.ids.values())[2])
        named = kind._default_manager.filter(owner=str(owner), object_id=object_id.upper())
        if owner == sender and not named.exists():
            quotas.refuse(str(sender), kind.MODULE)

    return check


def _has_room(kind: type[StoredObject]) -> Callable[[OcpiRequest], bool]:
    def has_room(request: OcpiRequest) -> bool:
        return not quotas.seems_full(str(in_url(request.place)), kind.MODULE)

    return has_room


def _is_known_session(request: OcpiRequest) -> bool:
    session_id = unquote(request.place.ids["session_id"])
    return underway.is_known(in_url(request.place), session_id, request.receiver)


def cdr_location(
    location: str, asked: str, caller: int, forward: Forward, body: bytes, response: Response
) -> str | None:
    """The hub's URL for the one that an eMSP told of a CDR; or where the hub itself shows it.

    None when it has none. What the eMSP has refused is nowhere.
    """
    if not envelope.is_accepted(response.status, response.body):
        return None
    bills = Bill.all_in(body)
    cdr_id = bills[0].id if bills else ""
    own = rewritten_urls.rewrite_location(location, asked, caller, forward, (Cdr.MODULE, cdr_id))
    if own is not None:
        return own
    known = Cdr.at(forward.sender, forward.receiver.identity, cdr_id) if bills else None
    if known is None:
        return None
    return settings.BASE_URL + own_paths.CDR.path(known.owner, known.object_id)


def copy_at(url: ForwardedUrl, status: int) -> HttpResponse | None:
    """The hub's copy of the CDR of a Location, at which its eMSP has nothing; None without one."""
    named = identity(url.caller_identity, url.object_id)
    known = Cdr.named(named).filter(audience=str(url.owner_identity)).first()
    if known is None:
        return None
    return answer_document(
        bytes(known.document),
        f"{known.audience} answers HTTP {status} at the Location that it told; this is the hub's "
        "copy of the CDR that it has accepted.",
    )


def _own_teller(request: OcpiRequest, sender: PartyId) -> Found:
    """Find the owner of what an aggregator pushes to one party, if it tells that itself."""
    kind = broadcast_kinds()[request.place.module]
    owner, object_id = in_url(request.place), unquote(list(request.place.ids.values())[2])
    is_told = kind.is_told_by_owner({"owner": str(owner), "object_id": object_id.upper()})
    return Found((owner,) if is_told else (), f"{OBJECTS[request.place.module]} {object_id!r}")


_location, _tariff, _token = map(_for_its_receiver, (Location, Tariff, Token))
_AFTER_ANSWER: Final[dict[tuple[str, InterfaceRole, str], AfterAnswer]] = {
    ("locations", RECEIVER, "PUT"): _location,
    ("locations", RECEIVER, "PATCH"): _location,
    ("tariffs", RECEIVER, "PUT"): _tariff,
    ("tariffs", RECEIVER, "DELETE"): _tariff,
    ("tokens", RECEIVER, "PUT"): _token,
    ("tokens", RECEIVER, "PATCH"): _token,
    ("sessions", RECEIVER, "PUT"): session_pushed,
    ("sessions", RECEIVER, "PATCH"): session_pushed,
    ("sessions", InterfaceRole.SENDER, "PUT"): preferences_put,
    ("chargingprofiles", InterfaceRole.SENDER, "PUT"): active_profile.profile_updated,
    ("cdrs", RECEIVER, "POST"): _cdr_posted,
    ("commands", RECEIVER, "POST"): command_posted,
}
# The same from the event loop: False where nothing was done, and a thread has to do it.
_AT_ONCE: Final[dict[tuple[str, InterfaceRole, str], AfterAnswerAtOnce]] = {
    ("sessions", RECEIVER, "PUT"): sessions_at_once.session_pushed,
    ("sessions", RECEIVER, "PATCH"): sessions_at_once.session_pushed,
    ("chargingprofiles", InterfaceRole.SENDER, "PUT"): active_profile.profile_updated_at_once,
    ("cdrs", RECEIVER, "POST"): cdrs_at_once.posted,
    ("locations", RECEIVER, "PUT"): location_at_once.location_pushed,
    ("locations", RECEIVER, "PATCH"): location_at_once.location_pushed,
}
# The same for what an owner pushes to the hub for all.
_BROADCASTS: Final[dict[tuple[str, InterfaceRole, str], KeepAtOnce]] = {
    ("locations", RECEIVER, "PUT"): location_at_once.location_broadcast,
    ("locations", RECEIVER, "PATCH"): location_at_once.location_broadcast,
}
STATEMENTS: Final = (
    *cdrs_at_once.STATEMENTS,
    *sessions_at_once.STATEMENTS,
    *location_at_once.STATEMENTS,
    *profile_receiver.STATEMENTS,
    *profile_results.STATEMENTS,
    wake.NUDGE,
)
# Asked before a message is forwarded: raises what refuses it, or gives the answer known already;
# InOneMoment to be asked again. A lease is what it may leave under, and nothing later.
_BEFORE_FORWARDING: Final[dict[tuple[str, InterfaceRole, str], BeforeForwarding]] = {
    ("sessions", InterfaceRole.SENDER, "PUT"): session_lookups.check_preferences_sender,
    ("cdrs", RECEIVER, "POST"): _begin_cdr,
    ("sessions", RECEIVER, "PUT"): session_leaves,
    ("locations", RECEIVER, "PUT"): _check_quota(Location),
    ("tariffs", RECEIVER, "PUT"): _check_quota(Tariff),
    ("tokens", RECEIVER, "PUT"): _check_quota(Token),
}
# When the check, which costs a thread and a look into the database, can be left out.
_NEEDLESS: Final[dict[tuple[str, InterfaceRole, str], Callable[[OcpiRequest], bool]]] = {
    ("sessions", RECEIVER, "PUT"): _is_known_session,
    ("locations", RECEIVER, "PUT"): _has_room(Location),
    ("tariffs", RECEIVER, "PUT"): _has_room(Tariff),
    ("tokens", RECEIVER, "PUT"): _has_room(Token),
}
# Run when a message that was let through by its check has got no answer.
_NO_ANSWER: Final[dict[tuple[str, InterfaceRole, str], NoAnswer]] = {
    ("cdrs", RECEIVER, "POST"): _end_cdr,
    ("sessions", RECEIVER, "PUT"): session_lost,
    ("sessions", RECEIVER, "PATCH"): patch_lost,
}
# Where not even an attempt was made: only the sender is told, and may repeat the message.
_HELD_BACK: Final[dict[tuple[str, InterfaceRole, str], NoAnswer | None]] = {
    ("sessions", RECEIVER, "PUT"): session_held_back,
    ("sessions", RECEIVER, "PATCH"): None,
}
LOOKUPS: Final[dict[LookupKind, Callable[[OcpiRequest, PartyId], Found]]] = {
    LookupKind.SESSION: session_lookups.session_parties,
    LookupKind.SESSION_FSP: active_profile.session_fsp,
    LookupKind.LOCATION: location_owner,
    LookupKind.TOKEN: token_issuer,
    LookupKind.COMMAND: command_lookups.command_receiver,
    LookupKind.SESSION_EMSP: session_lookups.session_emsp,
    LookupKind.OWN_TELLER: _own_teller,
}


def before_forwarding(request: OcpiRequest) -> BeforeForwarding | None:
    """The check before the message leaves; None for most."""
    key = _key(request)
    needless = _NEEDLESS.get(key)
    if needless is not None and needless(request):
        return None
    return _BEFORE_FORWARDING.get(key)


def no_answer(request: OcpiRequest, error: OcpiError) -> NoAnswer | None:
    """The step to run when no answer came; it gets the request, and the lease of the check."""
    key = _key(request)
    if isinstance(error, HeldBack) and key in _HELD_BACK:
        return _HELD_BACK[key]
    return _NO_ANSWER.get(key)


def told(request: OcpiRequest, error: OcpiError) -> OcpiError:
    """The error for the sender: it may repeat what the hub itself has held back."""
    if isinstance(error, HeldBack) and _key(request) in _HELD_BACK:
        return ServerError(error.message, headers={"Retry-After": "1"})
    return error


def after_answer(request: OcpiRequest) -> AfterAnswer | None:
    """The step to run after the receiver's answer and before ours; None for most messages."""
    return _AFTER_ANSWER.get(_key(request))


async def checked(
    writer: Writer, django: DjangoThreads, ask: BeforeForwarding, request: OcpiRequest
) -> Response | Lease | None:
    """The result of a check; from the event loop, where it is simple."""
    if ask is _begin_cdr:
        lease = await cdrs_at_once.begin(
            writer, django, request.sender, request.receiver, request.body
        )
        if lease is not None:
            return lease
    elif ask is session_leaves and await sessions_at_once.session_leaves(writer, request):
        return None
    return await django.run(ask, request)


async def at_once(writer: Writer, forwarded: Forwarded) -> bool:
    """Keep it without a thread, where it is simple; False where its keeper has to run."""
    keep = _AT_ONCE.get(_key(forwarded.request))
    return keep is not None and await keep(writer, forwarded)


async def answered_at_once(
    writer: Writer, django: DjangoThreads, request: OcpiRequest
) -> HttpResponse | None:
    """The hub's own answer without a thread, where it is simple; None where a view has to give it.

    Of profile commands, their results, and broadcasts.
    """
    if request.match is None:
        own, key = own_paths.at(request.path)
        is_result = own is own_paths.PROFILE_RESULT and key and "/" not in key
        if request.method == "POST" and is_result:
            return await profile_results.posted(writer, request, key)
        return None
    if keep := _BROADCASTS.get(_key(request)):
        return await broadcast_at_once.push(writer, django, request, keep)
    if (request.match.module, request.match.role) == ("chargingprofiles", RECEIVER):
        return await profile_receiver.received(writer, django, request)
    return None


def _key(request: OcpiRequest) -> tuple[str, InterfaceRole, str]:
    """The key of a message in the tables, which name no custom module."""
    match = request.place
    return match.module, match.role, request.method
