"""What the flexibility provider gets: Sessions, the driver's preferences, profile updates.

SCALE D2.3, 8.4 and 11.4: full PUTs FROM the CPO for the FSP's sessions, unless the CPO sends them
itself, and preferences FROM the eMSP on the FSP's Sessions Sender interface.
"""

import logging
from decimal import Decimal
from urllib.parse import quote, unquote

import msgspec
from django.db import transaction

from flex.models import FspAssignment, PreferenceCopy
from hub import outbox, statements
from hub.directory import holder
from hub.forwarded import Forwarded
from hub.models import Delivery
from hub.ocpi import envelope
from hub.ocpi.datatypes import InterfaceRole, decode, utc
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.party import PartyId
from hub.routing import Found, Message
from sessions.models import Session
from sessions.objects import ChargingPreferences

logger = logging.getLogger(__name__)
_MOST_KWH = Decimal(999_999)


def session_pushed(forwarded: Forwarded) -> None:
    """A CPO's Session that its receiver has accepted: keep it, and give it to the FSP."""
    if not envelope.is_accepted(forwarded.response.status, forwarded.response.body):
        return
    ids = forwarded.match.ids
    owner = PartyId(unquote(ids["country_code"]).upper(), unquote(ids["party_id"]).upper())
    if owner != forwarded.sender:
        return  # An eMSP that passes a CPO's Session on to its SCSP tells nothing new.
    session_id = unquote(ids["session_id"])
    with transaction.atomic():
        try:
            if forwarded.method == "PUT":
                session = Session.put(forwarded.body, forwarded.receiver, url=(owner, session_id))
            else:
                session = Session.patch(owner, session_id, forwarded.body, forwarded.receiver)
        except InvalidParameters as error:
            # The receiver took it; the hub can only leave it out of its own store.
            logger.warning("session %s of %s not kept: %s", session_id, owner, error.message)
            return
        if session is not None:
            _give_session(session, forwarded.correlation_id)


def _give_session(session: Session, correlation_id: str) -> None:
    assignment = FspAssignment.of(session)
    if assignment is None or assignment.fsp is None or str(assignment.fsp) in session.sent_to:
        return
    path = "/".join((session.country_code, session.party_id, quote(session.session_id, safe="")))
    _give(
        assignment.fsp,
        InterfaceRole.RECEIVER,
        path,
        bytes(session.document),
        session,
        session.owner,
        correlation_id,
    )


def preferences_put(forwarded: Forwarded) -> None:
    """A driver's ChargingPreferences: keep them with the CPO's answer, give them to the FSP.

    Also when the CPO says that its EVSE cannot (404, 2001): the FSP can still use them.
    """
    session_id = unquote(forwarded.match.ids["session_id"])
    session = Session.find(forwarded.receiver, session_id)
    if session is None or session.emsp != forwarded.sender:
        return
    try:
        preferences = decode(forwarded.body, ChargingPreferences)
        departure_time = preferences.departure_time and utc(preferences.departure_time)
    except InvalidParameters as error:
        logger.warning("preferences of session %s not kept: %s", session_id, error.message)
        return
    answer = envelope.read_answer(forwarded.response.body)
    with transaction.atomic():
        statements.insert(
            PreferenceCopy(
                session=session,
                document=forwarded.body,
                profile_type=preferences.profile_type,
                departure_time=departure_time,
                energy_need=_column_kwh(preferences.energy_need),
                discharge_allowed=preferences.discharge_allowed,
                kwh_at_receipt=_column_kwh(session.object.kwh),
                cpo_http_status=forwarded.response.status,
                cpo_status_code=_column_code(answer.status_code),
                cpo_answer=_answer_text(answer),
                correlation_id=forwarded.correlation_id,
            )
        )
        assignment = FspAssignment.of(session)
        if assignment is not None and assignment.fsp not in {None, session.emsp}:
            _give(
                assignment.fsp,
                InterfaceRole.SENDER,
                f"{quote(session.session_id, safe='')}/charging_preferences",
                forwarded.body,
                session,
                session.emsp,
                forwarded.correlation_id,
            )


def session_fsp(message: Message, sender: PartyId) -> Found:
    """The FSP of the CPO's session, for its update of the active profile."""
    fsps = set()
    session_id = unquote(message.match.ids["session_id"])
    for session in Session.objects.owned(sender, session_id):
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
) -> None:
    """Queue one message to the FSP, in order with the others of this session and interface."""
    directory = holder.current()
    entry = directory.parties.get(fsp) if fsp is not None else None
    if (
        entry is None
        or not entry.is_agreed
        or entry.platform.endpoint("sessions", role) is None
        or directory.closed_because(session.owner, entry.identity, "sessions") is not None
    ):
        return
    outbox.enqueue(
        [
            Delivery(
                receiver_id=entry.platform.id,
                ordering_key=f"session:{session.pk}:{role}",
                module="sessions",
                method="PUT",
                interface_role=role,
                path=path,
                body=body,
                from_country_code=sender.country_code,
                from_party_id=sender.party_id,
                to_country_code=entry.country_code,
                to_party_id=entry.party_id,
                correlation_id=correlation_id,
            )
        ]
    )


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
    return value[:40].replace("\0", "") if isinstance(value, str) else ""
