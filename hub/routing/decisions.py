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
from hub.routing.directory import Directory, PartyEntry
from hub.routing.receivers import EMSP_LIKE
from hub.routing.request import OcpiRequest
from hub.routing.senders import check_may_send, sending_party


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
    own, place = request.platform.parties, request.place
    owner = owners.owner_of(place, request.method, request.body, sender, own)
    question = _Question(request, directory, sender, found)
    if owner is None or owner == sender:
        return question.decision()
    if owner not in own:
        return question.of_somebody_else(owner)
    decision = question.in_the_name_of(owner).decision()
    return _noted(decision, "sister-party", f"{OBJECTS[place.module]}.party_id", sender)


def _noted(decision: Decision, rule: str, path: str, example: object) -> Decision:
    if isinstance(decision, Lookup):
        return decision
    return replace(decision, noted=(*decision.noted, Deviation(rule, path, f"{example}")))


class _Question(msgspec.Struct, frozen=True):
    """A request, in whose name it goes, and what a Lookup has found; each method answers it."""

    request: OcpiRequest
    directory: Directory
    sender: PartyId
    found: Found | None

    @property
    def place(self) -> Match:
        """The request's route."""
        return self.request.place

    @property
    def to(self) -> PartyId | None:
        """The party in TO."""
        address = self.request.to_address
        return None if address is None else address.party("OCPI-to")

    def in_the_name_of(self, owner: PartyId) -> "_Question":
        """The same of another party of the platform."""
        check_may_send(self.directory, owner)
        return msgspec.structs.replace(self, sender=owner)

    def decision(self) -> Decision:
        """The decision about an object of the sender's, or of nobody's."""
        carried = self._carried() if self.place.module in CARRIED else None
        if carried is not None:
            return carried
        to = self.to
        if to == self.directory.hub:
            return self._for_the_hub()
        return self._without_to() if to is None else self._forward(to)

    # --- A module that the hub carries itself: charging profiles ---------------------------------

    def _carried(self) -> Decision | None:
        """None where it goes to whom it names."""
        if self.place.role == _RECEIVER:
            # Carried by a job, and answered when the CPO has (charging_profiles/receiver.py).
            to = self.to
            if to is None or to == self.directory.hub:
                return Hub(self.sender, None)
            return Hub(self.sender, self._reachable(to).identity)
        if self.found is None:
            # An update of the active profile goes to the FSP of now, whatever party is addressed.
            return Lookup(LookupKind.SESSION_FSP, self.sender)
        return self._forward(_only(self.found)) if self.found.parties else None

    # --- TO is the hub ---------------------------------------------------------------------------

    def _for_the_hub(self) -> Decision:
        place, method = self.place, self.request.method
        if place.role == _RECEIVER and method == "GET":
            raise HubError(
                "GET SHALL NOT be used in combination with Broadcast Push; leave OCPI-to out to "
                "read what the hub has, or name the receiver."
            )
        if place.role == _RECEIVER and place.module in BROADCAST:
            return Hub(self.sender, None)
        if place.role == _RECEIVER and place.module in FOR_ONE_EMSP:
            raise self._never_broadcast()
        if place.module in CARRIED:
            raise UnknownReceiver("This session has no flexibility provider that could be told.")
        if place.route is None:
            raise HubError(
                f"The hub has no {place.module} of its own; name the receiver in OCPI-to."
            )
        if place.role == _SENDER and method == "GET" and place.module in LISTED:
            return Hub(self.sender, None)
        raise HubError(
            f"The hub itself takes no {method} of {place.module}; name the receiver in OCPI-to, or "
            "leave OCPI-to out and the hub finds it by the content."
        )

    def _never_broadcast(self) -> HubError:
        """ "specific to only one party and possibly even protected by GDPR"."""
        module, emsp = self.place.module, self._emsp_in_body()
        if emsp is None:
            return HubError(f"{module} are never broadcast; name the eMSP of the cdr_token.")
        return HubError(f"{module} are never broadcast; send this to {emsp}, or leave OCPI-to out.")

    # --- No TO: Open Routing Request -------------------------------------------------------------

    def _without_to(self) -> Decision:
        place, found = self.place, self.found
        if place.role == _RECEIVER and place.module in BROADCAST:
            # "or that it needs to be broadcasted if the destination cannot be determined".
            return Hub(self.sender, None)
        if place.role == _SENDER and place.module in LISTED and not place.ids:
            # Libraries without routing headers ask in this way; only the hub can answer.
            own = Hub(self.sender, None)
            return _noted(own, "list-without-to", "OCPI-to", f"GET {place.module}")
        if found is not None and not found.parties and _lookup_kind(place) is LookupKind.TOKEN:
            return self._ask_issuers()
        receiver = self._receiver_by_content()
        return receiver if isinstance(receiver, Lookup) else self._forward(receiver)

    def _ask_issuers(self) -> Ask:
        """Ask every eMSP that may have issued a token that the hub does not know."""
        directory, module = self.directory, self.place.module
        own = directory.parties.get(self.sender)
        if own is not None and Role.CPO not in own.roles:
            raise UnknownReceiver(
                f"OCPI-to is missing, and {self.sender} is not a CPO: only CPOs have all eMSPs "
                "asked. Name the eMSP in OCPI-to."
            )
        forwards = tuple(
            Forward(self.sender, entry, endpoint)
            for identity, entry in directory.parties.items()
            if entry.status == ConnectionStatus.CONNECTED
            and entry.is_agreed
            and entry.roles & EMSP_LIKE
            and (own is None or entry.platform.id != own.platform.id)
            and (endpoint := entry.platform.endpoint(module, _SENDER)) is not None
            and directory.closed_because(self.sender, identity, module) is None
        )
        if not forwards:
            raise UnknownToken(
                "The hub does not know this Token, and no eMSP is connected that could be asked.",
                http_status=HTTPStatus.NOT_FOUND,
            )
        return Ask(self.sender, forwards)

    def _receiver_by_content(self) -> PartyId | Lookup:
        """The one party that the content names."""
        place = self.place
        if self.found is not None:
            return _only(self.found)
        is_for_emsp = place.module in FOR_ONE_EMSP and place.role == _RECEIVER
        if is_for_emsp and (emsp := self._emsp_in_body()) is not None:
            return emsp
        if (kind := _lookup_kind(place)) is not None:
            return Lookup(kind, self.sender)
        if is_for_emsp:
            raise UnknownReceiver(
                "OCPI-to is missing, and the body has no cdr_token with the country_code and "
                "party_id of an eMSP that would say whom it is for."
            )
        raise UnknownReceiver(
            f"OCPI-to is missing, and this {self.request.method} on {place.module} does not say "
            "whom it is for. Name the receiver in OCPI-to-country-code and OCPI-to-party-id."
        )

    def _emsp_in_body(self) -> PartyId | None:
        try:
            token = msgspec.json.decode(self.request.body, type=_WithCdrToken).cdr_token
            return PartyId.of(token.country_code, token.party_id)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None

    # --- Another party's object ------------------------------------------------------------------

    def of_somebody_else(self, owner: PartyId) -> Decision:
        """Refuse it as absent (404, GET) or as not the sender's (2001), except in two cases.

        An aggregator tells what its owner does not; an eMSP hands Sessions on to an SCSP.
        """
        own, to = self.request.platform, self.to
        if own.is_aggregator and self.place.module in AGGREGATED:
            return self._told_by_aggregator(owner, to)
        if "session_id" in self.place.ids and to in self.directory.parties:
            entry = self.directory.parties[to]
            if Role.SCSP in entry.roles and entry.platform.id != own.id:
                return self._handed_on(owner, entry)
        raise self._not_yours(owner)

    def _not_yours(self, owner: PartyId) -> ClientError:
        if self.request.method == "GET":
            return NotFound("There is no such object that you may see here.")
        module, own = self.place.module, ", ".join(map(str, self.request.platform.parties))
        where = "its country_code and party_id" if module in POSTED else "its URL"
        return InvalidParameters(
            f"By {where} this is a {OBJECTS[module]} of {owner}, which is not a party of your "
            f"platform; it has {own}. Only its owner may push an object."
        )

    def _told_by_aggregator(self, owner: PartyId, to: PartyId | None) -> Decision:
        if to is None or to == self.directory.hub:
            return self.decision()
        if self.request.method == "GET":
            raise self._not_yours(owner)
        if self.found is None:
            return Lookup(LookupKind.OWN_TELLER, self.sender)
        if self.found.parties:
            raise InvalidParameters(
                f"{owner} tells {self.found.what} itself, and takes precedence."
            )
        if owner in self.directory.parties:
            reachable(self.directory, owner, to, self.place.module)
        return self._forward(to)

    def _handed_on(self, owner: PartyId, scsp: PartyEntry) -> Decision:
        """ "The eMSP can forward OCPI Session Objects to the SCSP" (mod_charging_profiles).

        Its own drivers' alone: as the CPO says, or a PUT that it handed on before, or else this
        PUT (Smart Charging Topologies).
        """
        if self.found is None:
            return Lookup(LookupKind.SESSION_EMSP, self.sender)
        own, named = self.request.platform.parties, self._emsp_in_body()
        emsps = set(self.found.parties)
        if named is not None and (self.request.method == "PUT" or emsps):
            emsps.add(named)
        emsp = emsps.pop() if len(emsps) == 1 else None
        if emsp not in own or not self.directory.parties[emsp].roles & EMSP_LIKE:
            raise self._not_yours(owner)
        decision = self.in_the_name_of(emsp)._forward(scsp.identity)
        if emsp == self.sender:
            return decision
        return _noted(decision, "sister-party", "Session.cdr_token.party_id", self.sender)

    # --- To one party ----------------------------------------------------------------------------

    def _forward(self, receiver: PartyId) -> Forward:
        place = self.place
        known: dict[tuple[str, ...], Forward] = self.directory.memo.setdefault(Forward, {})
        key = (*self.sender, *receiver, place.module, place.role)
        forward = known.get(key)
        if forward is None:
            entry = self._reachable(receiver)
            endpoint = entry.platform.endpoint(place.module, place.role)
            if endpoint is None:
                raise HubError(f"{receiver} does not offer {place.module} as {place.role}.")
            if len(known) >= _MOST_KNOWN:
                known.clear()
            forward = known[key] = Forward(self.sender, entry, endpoint)
        return forward

    def _reachable(self, receiver: PartyId) -> PartyEntry:
        return reachable(self.directory, self.sender, receiver, self.place.module)


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
