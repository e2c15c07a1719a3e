"""What the flexibility provider gets: Sessions, the driver's preferences, profile updates.

SCALE D2.3, 8.4 and 11.4: full PUTs FROM the CPO for the FSP's sessions, unless the CPO sends them
itself, and preferences FROM the eMSP on the FSP's Sessions Sender interface.
"""

import logging
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec
from django.db import transaction
from django.utils import timezone

from flex.models import FspAssignment, PreferenceCopy
from hub.db import sql
from hub.db.leases import Lease
from hub.models import Delivery, DeliveryState, locking
from hub.ocpi import envelope, headers, heads, lenient
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.errors import NotFound
from hub.ocpi.modules import Match, leads_astray
from hub.ocpi.party import PartyId
from hub.ocpi.patches import partial
from hub.ocpi.reading import deviations_of
from hub.outbound.forwarded import Forwarded
from hub.outbox import outbox
from hub.routing.decisions import Found
from hub.routing.directory import PartyEntry, holder
from hub.routing.request import OcpiRequest
from sessions import underway
from sessions.handed_on import HandedOn
from sessions.models import Session, SessionTold
from sessions.objects import ChargingPreferences
from sessions.objects import Session as SessionObject
from sessions.visibility import MODULE

logger = logging.getLogger(__name__)
# Nobody has answered, but something before the receiver.
_NOBODY: Final = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)
_MOST_KWH = Decimal(999_999)
SHAPES: Final[dict[str, type[msgspec.Struct]]] = {
    "PUT": SessionObject,
    "PATCH": partial(SessionObject),
}


# --- Sessions -----------------------------------------------------------------------------------


def session_leaves(sender: PartyId, receiver: PartyId, match: Match, body: bytes) -> None:
    """A CPO's Session is about to be sent to a receiver for the first time."""
    owner, session_id = session_named(match)
    if owner == sender:
        Session.leaves(owner, session_id, body, receiver, emsp=as_emsp(receiver))


def session_lost(
    sender: PartyId, receiver: PartyId, match: Match, body: bytes, _lease: Lease | None
) -> None:
    """Nobody knows whether its receiver has got it: nobody has accepted it, but for its FSP."""
    owner, session_id = session_named(match)
    if owner == sender and not _unanswered(owner, session_id, receiver, "PUT", body):
        _forget(owner, session_id, receiver)


def session_held_back(
    sender: PartyId, receiver: PartyId, match: Match, body: bytes, _lease: Lease | None
) -> None:
    """The hub has not sent it, and says so: that is no word of its eMSP's, nor its silence."""
    owner, session_id = session_named(match)
    if owner == sender:
        _forget(owner, session_id, receiver)


def patch_lost(
    sender: PartyId, receiver: PartyId, match: Match, body: bytes, _lease: Lease | None
) -> None:
    """The same of a PATCH, which its receiver may lack: its FSP is not to lack it."""
    owner, session_id = session_named(match)
    if owner == sender:
        _unanswered(owner, session_id, receiver, "PATCH", body)


@locking.whole
def _unanswered(
    owner: PartyId, session_id: str, receiver: PartyId, method: str, body: bytes
) -> bool:
    """Keep what an eMSP did not answer, and give it to the FSP; whether there is one."""
    keep = Session.put_unanswered if method == "PUT" else Session.patch_unanswered
    known = Session.find(owner, session_id, for_update=True)
    if known is None or receiver != known.emsp:
        return False
    assignment = FspAssignment.of(known)
    if (
        assignment is None
        or assignment.fsp in {None, receiver}
        or _open_entry(assignment.fsp, InterfaceRole.RECEIVER, known, owner) is None
    ):
        return False
    session = keep(owner, session_id, body, receiver)
    if session is not None:
        _relay(session, assignment, headers.new_id())
        _give_waiting(session)
    return True


def session_pushed(forwarded: Forwarded) -> None:
    """A CPO's Session that its receiver has accepted: keep it, and give it to the FSP."""
    owner, session_id = session_named(forwarded.match)
    is_accepted = envelope.is_accepted(forwarded.response.status, forwarded.response.body)
    if owner != forwarded.sender:
        # An eMSP hands a CPO's Session on to its SCSP: what it says of it is nothing to the hub.
        if forwarded.method == "PUT" and is_accepted:
            HandedOn.keep(owner, session_id, forwarded.sender, forwarded.receiver)
        return
    if not is_accepted:
        if forwarded.response.status in _NOBODY and _unanswered(
            owner, session_id, forwarded.receiver, forwarded.method, forwarded.body
        ):
            return
        if forwarded.method == "PUT" and not underway.is_known(
            owner, session_id, forwarded.receiver
        ):
            _forget(owner, session_id, forwarded.receiver)
        return
    told = _keep_and_give(forwarded, owner, session_id)
    shape = SHAPES[forwarded.method]
    forwarded.note([*told.deviations, *deviations_of(forwarded.body, shape)])


@locking.whole
def _keep_and_give(forwarded: Forwarded, owner: PartyId, session_id: str) -> SessionTold:
    told = _keep(forwarded, owner, session_id)
    _give_session(told, owner, session_id, forwarded)
    if told.session is not None:
        _give_waiting(told.session)
    return told


def _keep(forwarded: Forwarded, owner: PartyId, session_id: str) -> SessionTold:
    receiver = forwarded.receiver
    if forwarded.method == "PUT":
        emsp = as_emsp(receiver)
        return Session.put(owner, session_id, forwarded.body, receiver, emsp=emsp)
    return Session.patch(owner, session_id, forwarded.body, receiver)


def session_named(match: Match) -> tuple[PartyId, str]:
    """Whose Session a URL names, and which."""
    country_code, party_id, session_id = map(unquote, match.ids.values())
    return PartyId(country_code.upper(), party_id.upper()), session_id


def as_emsp(receiver: PartyId) -> PartyId | None:
    """Whose driver it must be when the Session does not say."""
    entry = holder.snapshot.parties.get(receiver)
    return receiver if entry is not None and Role.EMSP in entry.roles else None


@locking.whole
def _forget(owner: PartyId, session_id: str, receiver: PartyId) -> None:
    """A Session that its receiver has not accepted, with what hangs on it.

    But for preferences that the CPO has accepted meanwhile: then both sides do have the session.
    """
    session = Session.refused(owner, session_id, receiver)
    if session is not None:
        _end(session)


def _end(session: Session) -> None:
    """Of a Session on its way to nobody any more, which nobody has accepted; locked."""
    if session.has_waiting and any(one.is_accepted for one in _waiting(session)):
        session.underway_to, session.underway_until = [], None
        session.save(update_fields=["underway_to", "underway_until"])
        _give_waiting(session)
    else:
        session.delete()


def end_left_behind() -> int:
    """Forget the Sessions on their way whose process has died; how many."""
    ended = 0
    for pk in Session.left_behind().values_list("pk", flat=True)[:1000]:
        with transaction.atomic():
            session = (
                Session.left_behind().select_for_update(skip_locked=True).filter(pk=pk).first()
            )
            if session is not None:
                _end(session)
                ended += 1
    return ended


def _give_session(told: SessionTold, owner: PartyId, session_id: str, forwarded: Forwarded) -> None:
    """Give it to its FSP, if what the CPO itself sent that one last is older."""
    session = told.session
    if session is None and not told.deviations:
        session = Session.find(owner, session_id)
    assignment = None if session is None else FspAssignment.of(session)
    if session is None or assignment is None or assignment.fsp is None:
        return
    if assignment.fsp == forwarded.receiver:
        if _is_up_to_date(told, assignment, forwarded):
            if assignment.is_relayed:
                _end_waiting(session, assignment.fsp)
            assignment.sent(session.last_updated, is_whole=forwarded.method == "PUT")
            return
    elif told.session is None or (
        assignment.sent_last_updated is not None
        and assignment.sent_last_updated >= session.last_updated
    ):
        return
    _relay(session, assignment, forwarded.correlation_id)


def _is_up_to_date(told: SessionTold, assignment: FspAssignment, forwarded: Forwarded) -> bool:
    """Whether the FSP has what the hub has, after what the CPO itself has just sent it.

    Not after a PUT that is older than what the hub has; nor after a PATCH, where the hub has sent
    the whole Session before: its charging_periods may have been in there, and stand in it twice.
    """
    if forwarded.method == "PUT":
        return told.session is not None
    return not assignment.is_relayed


def _relay(session: Session, assignment: FspAssignment, correlation_id: str) -> None:
    path = "/".join((session.country_code, session.party_id, quote(session.session_id, safe="")))
    given = _give(
        assignment.fsp,
        InterfaceRole.RECEIVER,
        path,
        bytes(session.document),
        session,
        session.owner,
        correlation_id,
    )
    if given:
        assignment.relayed()


def _end_waiting(session: Session, fsp: PartyId) -> None:
    """The CPO itself has sent the FSP a newer one than those that still wait."""
    entry = holder.current().parties.get(fsp)
    if entry is not None:
        Delivery.objects.filter(
            receiver=entry.platform.id,
            module=MODULE,
            state=DeliveryState.WAITING,
            ordering_key=_ordering_key(session),
            interface_role=InterfaceRole.RECEIVER,
        ).update(
            state=DeliveryState.DROPPED,
            outcome="the CPO itself has sent a newer one",
            ended_at=timezone.now(),
        )


# --- Preferences --------------------------------------------------------------------------------


class _Wishes(msgspec.Struct):
    """ChargingPreferences, field by field: one that cannot be read does not hide the others."""

    profile_type: Any = None
    departure_time: Any = None
    energy_need: Any = None
    discharge_allowed: Any = None

    def columns(self) -> dict[str, Any]:
        """As PreferenceCopy keeps them."""
        allowed = self.discharge_allowed
        return {
            "profile_type": heads.word(self.profile_type),
            "departure_time": lenient.moment(self.departure_time),
            "energy_need": _column_kwh(lenient.number(self.energy_need)),
            "discharge_allowed": allowed if isinstance(allowed, bool) else None,
        }


_read_wishes = heads.reader(_Wishes)


def preferences_put(forwarded: Forwarded) -> None:
    """A driver's ChargingPreferences: keep them with the CPO's answer, give them to the FSP.

    Also when the CPO says that its EVSE cannot (404, 2001): the FSP can still use them, unless
    something in them is what the CPO may have meant.
    """
    session_id = unquote(forwarded.match.ids["session_id"])
    session = Session.find(forwarded.receiver, session_id)
    if session is None or session.emsp != forwarded.sender:
        return
    deviations = deviations_of(forwarded.body, ChargingPreferences)
    forwarded.note(deviations)
    is_accepted = envelope.is_accepted(forwarded.response.status, forwarded.response.body)
    if not is_accepted and any(one.rule not in _SPELLINGS for one in deviations):
        return
    _keep_preferences(forwarded, session)


@locking.whole
def _keep_preferences(forwarded: Forwarded, session: Session) -> None:
    if not session.is_accepted:
        # Whoever answers the Session's PUT just now waits, or has just ended it.
        found = Session.find(forwarded.receiver, session.session_id, for_update=True)
        if found is None:
            return
        session = found
    copy = _copy_of(forwarded, session)
    sql.insert(copy)
    if copy.is_waiting:
        session.has_waiting = True
        session.save(update_fields=["has_waiting"])
    else:
        _give_preferences(copy, session)


# Differences from the text that leave no doubt about what is meant.
_SPELLINGS = frozenset({"date-time", "number-as-text"})


def _copy_of(forwarded: Forwarded, session: Session) -> PreferenceCopy:
    answer = envelope.read_answer(forwarded.response.body)
    wishes = _read_wishes(heads.object_of(forwarded.body) or b"{}")
    return PreferenceCopy(
        session=session,
        document=forwarded.body,
        kwh_at_receipt=_column_kwh(session.kwh),
        cpo_http_status=forwarded.response.status,
        cpo_status_code=_column_code(answer.status_code),
        cpo_answer=_answer_text(answer),
        correlation_id=forwarded.correlation_id,
        is_waiting=session.is_underway,
        **wishes.columns(),
    )


def _give_preferences(copy: PreferenceCopy, session: Session) -> None:
    assignment = FspAssignment.of(session)
    if assignment is not None and assignment.fsp not in {None, session.emsp}:
        _give(
            assignment.fsp,
            InterfaceRole.SENDER,
            f"{quote(session.session_id, safe='')}/charging_preferences",
            bytes(copy.document),
            session,
            session.emsp,
            copy.correlation_id,
        )


def _waiting(session: Session) -> list[PreferenceCopy]:
    return list(PreferenceCopy.objects.filter(session=session, is_waiting=True).order_by("pk"))


def _give_waiting(session: Session) -> None:
    """The preferences that came while the Session was on its way; after it, in their order."""
    if not session.has_waiting:
        return
    for copy in _waiting(session):
        _give_preferences(copy, session)
    PreferenceCopy.objects.filter(session=session, is_waiting=True).update(is_waiting=False)
    session.has_waiting = False
    session.save(update_fields=["has_waiting"])


def session_fsp(request: OcpiRequest, sender: PartyId) -> Found:
    """The FSP of the CPO's session, for its update of the active profile."""
    fsps: set[PartyId] = set()
    session_id = unquote(request.place.ids["session_id"])
    sessions = list(Session.objects.owned(sender, session_id))
    if not sessions:
        # Or it is the eMSP, which passes on what the CPO told it.
        scsps = HandedOn.scsps(session_id, sender)
        if not scsps and leads_astray(session_id):
            raise NotFound(f"The hub knows no session {session_id!r}, and passes on no such id.")
        if request.to_address is None:
            fsps.update(scsps)
    for session in sessions:
        assignment = FspAssignment.of(session)
        if assignment is not None and assignment.fsp is not None:
            fsps.add(assignment.fsp)
    return Found(tuple(fsps), f"session {session_id!r}")


def _give(
    fsp: PartyId | None,
    role: InterfaceRole,
    path: str,
    body: bytes,
    session: Session,
    sender: PartyId,
    correlation_id: str,
) -> bool:
    """Queue one message to the FSP, in order with the others of this session; whether it may go."""
    entry = _open_entry(fsp, role, session, sender)
    if entry is None:
        return False
    outbox.enqueue(
        [
            Delivery(
                receiver_id=entry.platform.id,
                # Both interfaces: preferences of a Session that it does not know are of no use.
                ordering_key=_ordering_key(session),
                module=MODULE,
                method="PUT",
                interface_role=role,
                path=path,
                body=body,
                from_country_code=sender.country_code,
                from_party_id=sender.party_id,
                to_country_code=entry.country_code,
                to_party_id=entry.party_id,
                correlation_id=correlation_id,
                unanswered_by=session.unanswered_by if role == InterfaceRole.RECEIVER else "",
            )
        ]
    )
    return True


def _ordering_key(session: Session) -> str:
    """With the Session's owner, whose agreement with the FSP counts (hub/deliveries/calls.py)."""
    return f"session:{session.pk} {session.owner}"


def _open_entry(
    fsp: PartyId | None, role: InterfaceRole, session: Session, sender: PartyId
) -> PartyEntry | None:
    """The FSP, where it offers the interface and may get what this sender says of the Session."""
    directory = holder.current()
    entry = directory.parties.get(fsp) if fsp is not None else None
    if (
        entry is None
        or not entry.is_agreed
        or entry.platform.endpoint(MODULE, role) is None
        or any(
            directory.closed_because(party, entry.identity, MODULE) is not None
            for party in {session.owner, sender}
        )
    ):
        return None
    return entry


def _column_kwh(value: Decimal | None) -> Decimal | None:
    """As the columns hold it; what no car takes stands in the document alone."""
    if value is None or abs(value) > _MOST_KWH:
        return None
    return value.quantize(Decimal("0.0001"))


def _column_code(code: int | None) -> int | None:
    """As the column holds it; what is no status code of OCPI's is none at all."""
    return code if code is not None and 0 <= code <= 9999 else None


def _answer_text(answer: envelope.Answer) -> str:
    """The ChargingPreferencesResponse; some send it inside an object or a list."""
    try:
        value = msgspec.json.decode(bytes(answer.data)) if bytes(answer.data) else ""
    except msgspec.DecodeError:
        return ""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("result")
    return heads.word(value) if isinstance(value, str) else ""
