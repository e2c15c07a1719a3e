"""The routing core: who gets this message? Pure: a message and a directory give a decision.

transport_and_format, Message Routing. Where the text lets the hub decide by content (Open Routing
Request), the decision may be Lookup: one indexed row answers it, and routing is asked again.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from typing import Final

import msgspec

from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.errors import (
    ClientError,
    ConnectionProblem,
    HubError,
    InvalidParameters,
    NotFound,
    UnknownReceiver,
    UnknownToken,
)
from hub.ocpi.lenient import Deviation
from hub.ocpi.modules import (
    AGGREGATED,
    BROADCAST,
    CARRIED,
    FOR_ONE_EMSP,
    LISTED,
    OBJECTS,
    POSTED,
    Match,
)
from hub.ocpi.party import PartyId
from hub.routing import owners
from hub.routing.directory import Directory, PartyEntry, PlatformEntry
from hub.routing.receivers import EMSP_LIKE
from hub.routing.request import Address, OcpiRequest


@dataclass(frozen=True, slots=True)
class Forward:
    """Send it to one party: at the endpoint of its platform for this module and interface."""

    sender: PartyId
    receiver: PartyEntry
    endpoint_url: str
    noted: tuple[Deviation, ...] = ()


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub answers itself; `receiver` is the party named in TO, when it was one."""

    sender: PartyId
    receiver: PartyId | None
    noted: tuple[Deviation, ...] = ()


class LookupKind(StrEnum):
    """The kinds of question to the database: whose is this?"""

    SESSION = "session"
    SESSION_FSP = "fsp of session"
    LOCATION = "location"
    TOKEN = "issuer of token"  # noqa: S105 - a kind of question
    COMMAND = "command"
    # Questions about another party's object:
    SESSION_EMSP = "eMSP of session"
    OWN_TELLER = "owner that tells its object itself"


@dataclass(frozen=True, slots=True)
class Lookup:
    """Ask for the party that the message's content belongs to, then decide again with `Found`."""

    kind: LookupKind
    sender: PartyId


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a Lookup: all parties that fit, in any order, and of what ("session 'S1'")."""

    parties: tuple[PartyId, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Nobody knows whose token this is: ask each of these eMSPs for authorization."""

    sender: PartyId
    forwards: tuple[Forward, ...]
    noted: tuple[Deviation, ...] = ()


Decision = Forward | Hub | Lookup | Ask
# How many ways a snapshot of the directory remembers.
_MOST_KNOWN: Final = 10_000
_SENDER: Final = InterfaceRole.SENDER
_RECEIVER: Final = InterfaceRole.RECEIVER


class _TokenOf(msgspec.Struct):
    country_code: str
    party_id: str


class _WithCdrToken(msgspec.Struct):
    cdr_token: _TokenOf


def decide(
    request: OcpiRequest,
    directory: Directory,
    found: Found | None = None,
    *,
    sender: PartyId | None = None,
) -> Decision:
    """Route a message of a Functional Module, or raise the OcpiError that refuses it.

    A decision's `sender` is in whose name it goes: who FROM names, or the owner of the object where
    that is another party of the same platform. `sender`: who FROM names, as `sending_party` says.
    """
    if sender is None:
        sender = sending_party(request, directory)
    place = request.place
    own = request.platform.parties
    owner = owners.owner_of(place, request.method, request.body, sender, own)
    if owner is None or owner == sender:
        return _route(request, directory, sender, found)
    if owner not in own:
        return _of_somebody_else(request, directory, sender, owner, found)
    decision = _route(request, directory, _sister(directory, owner), found)
    return _noted(decision, "sister-party", f"{OBJECTS[place.module]}.party_id", sender)


def _is_list(request: OcpiRequest) -> bool:
    place = request.place
    return place.role == _SENDER and place.module in LISTED and not place.ids


def _sister(directory: Directory, owner: PartyId) -> PartyId:
    check_may_send(directory, owner)
    return owner


def _noted(decision: Decision, rule: str, path: str, example: object) -> Decision:
    if isinstance(decision, Lookup):
        return decision
    return replace(decision, noted=(*decision.noted, Deviation(rule, path, f"{example}")))


def _of_somebody_else(
    request: OcpiRequest,
    directory: Directory,
    sender: PartyId,
    owner: PartyId,
    found: Found | None,
) -> Decision:
    """Refuse it as for nothing there (404, GET) or as not the sender's (2001), except in two cases.

    An aggregator tells what its owner does not; an eMSP hands Sessions on to an SCSP.
    """
    module, to = request.place.module, _to_party(request)
    if request.platform.is_aggregator and module in AGGREGATED:
        return _told_by_aggregator(request, directory, sender, owner, found)
    if "session_id" in request.place.ids and to in directory.parties:
        entry = directory.parties[to]
        if Role.SCSP in entry.roles and entry.platform.id != request.platform.id:
            return _handed_on(request, directory, sender, entry, found)
    raise _not_yours(request, owner)


def _not_yours(request: OcpiRequest, owner: PartyId) -> ClientError:
    if request.method == "GET":
        return NotFound("There is no such object that you may see here.")
    module, own = request.place.module, ", ".join(map(str, request.platform.parties))
    where = "its country_code and party_id" if module in POSTED else "its URL"
    return InvalidParameters(
        f"By {where} this is a {OBJECTS[module]} of {owner}, which is not a party of your "
        f"platform; it has {own}. Only its owner may push an object."
    )


def _told_by_aggregator(
    request: OcpiRequest,
    directory: Directory,
    sender: PartyId,
    owner: PartyId,
    found: Found | None,
) -> Decision:
    to = _to_party(request)
    if to is None or to == directory.hub:
        return _route(request, directory, sender, found)
    if request.method == "GET":
        raise _not_yours(request, owner)
    if found is None:
        return Lookup(LookupKind.OWN_TELLER, sender)
    if found.parties:
        raise InvalidParameters(f"{owner} tells {found.what} itself, and takes precedence.")
    if owner in directory.parties:
        reachable(directory, owner, to, request.place.module)
    return _forward(request, directory, sender, to)


def _handed_on(
    request: OcpiRequest,
    directory: Directory,
    sender: PartyId,
    scsp: PartyEntry,
    found: Found | None,
) -> Decision:
    """ "The eMSP can forward OCPI Session Objects to the SCSP" (mod_charging_profiles, Topologies).

    Its own drivers' alone: as the CPO says, or a PUT that it handed on before, or else this PUT.
    """
    if found is None:
        return Lookup(LookupKind.SESSION_EMSP, sender)
    own, named = request.platform.parties, _emsp_in_body(request)
    emsps = set(found.parties)
    if named is not None and (request.method == "PUT" or emsps):
        emsps.add(named)
    emsp = emsps.pop() if len(emsps) == 1 else None
    if emsp not in own or not directory.parties[emsp].roles & EMSP_LIKE:
        raise _not_yours(request, owners.in_url(request.place))
    decision = _forward(request, directory, _sister(directory, emsp), scsp.identity)
    if emsp == sender:
        return decision
    return _noted(decision, "sister-party", "Session.cdr_token.party_id", sender)


def _route(
    request: OcpiRequest, directory: Directory, sender: PartyId, found: Found | None
) -> Decision:
    place = request.place
    if place.module in CARRIED and place.role == _RECEIVER:
        # Carried by a job, and answered when the CPO has answered (charging_profiles/receiver.py).
        return Hub(sender, _named_receiver(request, directory, sender))
    if place.module in CARRIED and place.role == _SENDER and found is None:
        # An update of the active profile goes to the FSP of now, whatever party the CPO addresses.
        return Lookup(LookupKind.SESSION_FSP, sender)
    if place.module in CARRIED and found is not None and found.parties:
        return _forward(request, directory, sender, _only(found))
    to = _to_party(request)
    if to == directory.hub:
        return _for_the_hub(request, sender)
    if to is not None:
        return _forward(request, directory, sender, to)
    if place.role == _RECEIVER and place.module in BROADCAST:
        # "or that it needs to be broadcasted if the destination cannot be determined".
        return Hub(sender, None)
    if _is_list(request):
        # Libraries without routing headers ask in this way; only the hub can answer.
        return _noted(Hub(sender, None), "list-without-to", "OCPI-to", f"GET {place.module}")
    if found is not None and not found.parties and _lookup_kind(place) is LookupKind.TOKEN:
        return _ask_issuers(request, directory, sender)
    receiver = _receiver_by_content(request, sender, found)
    return (
        receiver if isinstance(receiver, Lookup) else _forward(request, directory, sender, receiver)
    )


def sending_party(request: OcpiRequest, directory: Directory) -> PartyId:
    """The sending party: FROM, else the platform's only one, else the owner that the URL names.

    Refuses a FROM that is not a party of the sending platform (2001) and a suspended sender (403).
    """
    sender = _sending_party(request)
    check_may_send(directory, sender)
    return sender


def check_may_send(directory: Directory, sender: PartyId) -> None:
    """Refuse (HTTP 403) a party that the operator has suspended, or has not agreed to."""
    entry = directory.parties.get(sender)
    if entry is not None and entry.status == ConnectionStatus.SUSPENDED:
        raise ClientError(
            f"{sender} is suspended by the operator of this hub.", http_status=HTTPStatus.FORBIDDEN
        )
    if entry is not None and entry.status == ConnectionStatus.PLANNED:
        raise _planned(sender)


def _planned(sender: PartyId) -> ClientError:
    return ClientError(
        f"{sender} is PLANNED: your credentials name it in no role that the operator of this hub "
        "has agreed to.",
        http_status=HTTPStatus.FORBIDDEN,
    )


def named_sender(address: Address, platform: PlatformEntry) -> PartyId:
    """The party in FROM; InvalidParameters (2001) when it is not one of the sending platform."""
    sender = _identity(address, "OCPI-from")
    if sender in platform.claims:
        raise _planned(sender)
    if sender not in platform.parties:
        raise InvalidParameters(
            f"OCPI-from names {sender}, which is not a party of your platform; it has "
            f"{', '.join(map(str, platform.parties))}."
        )
    return sender


def _sending_party(request: OcpiRequest) -> PartyId:
    own = request.platform.parties
    if request.from_address is not None:
        return named_sender(request.from_address, request.platform)
    if len(own) == 1:
        return own[0]
    if not own:
        raise ClientError(
            "No party of your platform is agreed to by the operator of this hub.",
            http_status=HTTPStatus.FORBIDDEN,
        )
    if "country_code" in request.place.ids and (owner := owners.in_url(request.place)) in own:
        return owner
    raise InvalidParameters(
        "OCPI-from-country-code and OCPI-from-party-id are missing, and your platform has several "
        f"parties: {', '.join(map(str, own))}."
    )


def _identity(address: Address, what: str) -> PartyId:
    try:
        return PartyId.of(address.country_code, address.party_id)
    except ValueError as error:
        raise InvalidParameters(f"{what}: {error}.") from error


def _to_party(request: OcpiRequest) -> PartyId | None:
    if request.to_address is None:
        return None
    return _identity(request.to_address, "OCPI-to")


def _named_receiver(request: OcpiRequest, directory: Directory, sender: PartyId) -> PartyId | None:
    """The receiver of a profile command as TO names it; the hub itself names nobody."""
    to = _to_party(request)
    if to is None or to == directory.hub:
        return None
    return reachable(directory, sender, to, request.place.module).identity


def _for_the_hub(request: OcpiRequest, sender: PartyId) -> Decision:
    place = request.place
    if place.role == _RECEIVER and request.method == "GET":
        raise HubError(
            "GET SHALL NOT be used in combination with Broadcast Push; leave OCPI-to out to read "
            "what the hub has, or name the receiver."
        )
    if place.role == _RECEIVER and place.module in BROADCAST:
        return Hub(sender, None)
    if place.role == _RECEIVER and place.module in FOR_ONE_EMSP:
        # "specific to only one party and possibly even protected by GDPR": never spread.
        if (owner := _emsp_in_body(request)) is not None:
            raise HubError(
                f"{place.module} are never broadcast; send this to {owner}, or leave OCPI-to out."
            )
        raise HubError(f"{place.module} are never broadcast; name the eMSP of the cdr_token.")
    if place.module in CARRIED:
        raise UnknownReceiver("This session has no flexibility provider that could be told.")
    if place.route is None:
        raise HubError(f"The hub has no {place.module} of its own; name the receiver in OCPI-to.")
    if place.role == _SENDER and request.method == "GET" and place.module in LISTED:
        return Hub(sender, None)
    raise HubError(
        f"The hub itself takes no {request.method} of {place.module}; name the receiver in "
        "OCPI-to, or leave OCPI-to out and the hub finds it by the content."
    )


def _ask_issuers(request: OcpiRequest, directory: Directory, sender: PartyId) -> Ask:
    """Everybody who may have issued a token that the hub does not know."""
    own, module = directory.parties.get(sender), request.place.module
    if own is not None and Role.CPO not in own.roles:
        raise UnknownReceiver(
            f"OCPI-to is missing, and {sender} is not a CPO: only CPOs have all eMSPs asked. "
            "Name the eMSP in OCPI-to."
        )
    forwards = tuple(
        Forward(sender, entry, endpoint)
        for identity, entry in directory.parties.items()
        if entry.status == ConnectionStatus.CONNECTED
        and entry.is_agreed
        and entry.roles & EMSP_LIKE
        and (own is None or entry.platform.id != own.platform.id)
        and (endpoint := entry.platform.endpoint(module, _SENDER)) is not None
        and directory.closed_because(sender, identity, module) is None
    )
    if not forwards:
        raise UnknownToken(
            "The hub does not know this Token, and no eMSP is connected that could be asked.",
            http_status=HTTPStatus.NOT_FOUND,
        )
    return Ask(sender, forwards)


def _receiver_by_content(
    request: OcpiRequest, sender: PartyId, found: Found | None
) -> PartyId | Lookup:
    """Open Routing Request: the one party that the content names."""
    place = request.place
    if found is not None:
        return _only(found)
    if (
        place.module in FOR_ONE_EMSP
        and place.role == _RECEIVER
        and (emsp := _emsp_in_body(request)) is not None
    ):
        return emsp
    if (kind := _lookup_kind(place)) is not None:
        return Lookup(kind, sender)
    if place.module in FOR_ONE_EMSP and place.role == _RECEIVER:
        raise UnknownReceiver(
            "OCPI-to is missing, and the body has no cdr_token with the country_code and party_id "
            "of an eMSP that would say whom it is for."
        )
    raise UnknownReceiver(
        f"OCPI-to is missing, and this {request.method} on {place.module} does not say whom it is "
        "for. Name the receiver in OCPI-to-country-code and OCPI-to-party-id."
    )


def _lookup_kind(place: Match) -> LookupKind | None:
    """The question to the database that the message's content leads to."""
    if "session_id" in place.ids:
        return LookupKind.SESSION
    if place.role == _SENDER and "location_id" in place.ids:
        return LookupKind.LOCATION
    if place.role == _SENDER and "token_uid" in place.ids:
        return LookupKind.TOKEN
    if place.role == _RECEIVER and "command" in place.ids:
        return LookupKind.COMMAND
    return None


def _emsp_in_body(request: OcpiRequest) -> PartyId | None:
    try:
        token = msgspec.json.decode(request.body, type=_WithCdrToken).cdr_token
        return PartyId.of(token.country_code, token.party_id)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _only(found: Found) -> PartyId:
    if not found.parties:
        raise UnknownReceiver(
            f"OCPI-to is missing, and you may see no {found.what} here. Name the receiver in "
            "OCPI-to."
        )
    if len(found.parties) > 1:
        raise UnknownReceiver(
            f"OCPI-to is missing, and {found.what} exists at "
            f"{' and '.join(map(str, found.parties))}. Name the receiver in OCPI-to."
        )
    return found.parties[0]


def _forward(
    request: OcpiRequest, directory: Directory, sender: PartyId, receiver: PartyId
) -> Forward:
    place = request.place
    known: dict[tuple[str, ...], Forward] = directory.memo.setdefault(Forward, {})
    key = (*sender, *receiver, place.module, place.role)
    forward = known.get(key)
    if forward is None:
        entry = reachable(directory, sender, receiver, place.module)
        endpoint = entry.platform.endpoint(place.module, place.role)
        if endpoint is None:
            raise HubError(f"{receiver} does not offer {place.module} as {place.role}.")
        if len(known) >= _MOST_KNOWN:
            known.clear()
        forward = known[key] = Forward(sender, entry, endpoint)
    return forward


def reachable(directory: Directory, sender: PartyId, receiver: PartyId, module: str) -> PartyEntry:
    """The receiver's entry, or the hub error that says why nothing can be sent to it.

    An OFFLINE party is tried: the message itself may be the one that finds it back.
    """
    entry = directory.parties.get(receiver)
    if entry is None:
        raise UnknownReceiver(f"{receiver} is not a party of this hub.")
    if entry.status == ConnectionStatus.SUSPENDED:
        raise ConnectionProblem(f"{receiver} is SUSPENDED.")
    if not entry.platform.is_registered or entry.status == ConnectionStatus.PLANNED:
        raise ConnectionProblem(f"{receiver} is PLANNED: it has not connected yet.")
    if (reason := directory.closed_because(sender, receiver, module)) is not None:
        raise ConnectionProblem(f"{receiver} is PLANNED for {sender}: {reason}.")
    return entry
