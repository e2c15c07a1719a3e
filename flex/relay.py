"""What the hub sends to a session's flexibility provider: Sessions, and the driver's preferences.

SCALE D2.3, 8.4 and 11.4: full PUTs FROM the CPO for the FSP's sessions, unless the CPO sends them
itself, and preferences FROM the eMSP on the FSP's Sessions Sender interface.
"""

from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import quote

from django.utils import timezone

from flex import extensions
from flex.facts import acting
from flex.models import FspAssignment
from hub.models import Delivery, DeliveryState
from hub.ocpi import headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.routing.directory import Directory, PartyEntry, holder
from sessions.flexibility import SessionNews
from sessions.models import Session
from sessions.visibility import MODULE


def give_session(news: SessionNews) -> None:
    """Give it to its FSP, if what the CPO itself sent that one last is older."""
    session = news.session
    assignment = acting(session)
    if assignment is None or assignment.fsp is None:
        return
    if assignment.fsp == news.receiver:
        if _is_up_to_date(news, assignment):
            if assignment.is_relayed:
                outcome = "the CPO itself has sent a newer one"
                end_waiting(session, assignment.fsp, outcome, InterfaceRole.RECEIVER)
            assignment.sent(session.last_updated, is_whole=news.method == "PUT")
            return
    elif not news.is_news or (news.is_answered and _has_sent(assignment, session)):
        return
    owed = _owed(assignment.fsp, session, news.correlation_id)
    if give(assignment.fsp, session, session.owner, owed):
        assignment.relayed()


def _has_sent(assignment: FspAssignment, session: Session) -> bool:
    """Whether the CPO itself has sent the FSP what is told now, or something newer."""
    sent = assignment.sent_last_updated
    return sent is not None and sent >= session.last_updated


def _is_up_to_date(news: SessionNews, assignment: FspAssignment) -> bool:
    """Whether the FSP has what the hub has, after what the CPO itself has just sent it.

    Not after a PUT that is older than what the hub has; nor after a PATCH, where the hub has sent
    the whole Session before: its charging_periods may have been in there, and stand in it twice.
    """
    if news.method == "PUT":
        return news.is_news
    return not assignment.is_relayed


def give_whole(session: Session, assignment: FspAssignment) -> None:
    """Give it to one that has just become its FSP, as it is now; its eMSP has it."""
    if assignment.fsp in {None, session.emsp} or not session.is_accepted:
        return
    owed = _owed(assignment.fsp, session, headers.new_id())
    if give(assignment.fsp, session, session.owner, owed):
        assignment.relayed()


def end_waiting(
    session: Session, fsp: PartyId, outcome: str, role: InterfaceRole | None = None
) -> None:
    """Take back what still waits for an FSP: of one interface, or of both."""
    waiting = Delivery.objects.filter(
        module=MODULE,
        state=DeliveryState.WAITING,
        ordering_key=ordering_key(session),
        to_country_code__iexact=fsp.country_code,
        to_party_id__iexact=fsp.party_id,
    )
    if role is not None:
        waiting = waiting.filter(interface_role=role)
    waiting.update(state=DeliveryState.DROPPED, outcome=outcome, ended_at=timezone.now())


class Owed(NamedTuple):
    """A PUT that an FSP gets, on one of its Sessions interfaces."""

    role: InterfaceRole
    path: str
    body: bytes
    correlation_id: str


def _owed(fsp: PartyId, session: Session, correlation_id: str) -> Owed:
    path = "/".join((session.country_code, session.party_id, quote(session.session_id, safe="")))
    body = extensions.session_for(fsp, session)
    return Owed(InterfaceRole.RECEIVER, path, body, correlation_id)


def give(fsp: PartyId, session: Session, sender: PartyId, owed: Owed) -> bool:
    """Queue one message to the FSP, in order with the others of this session; whether it may go."""
    entry = open_entry(holder.current(), fsp, owed.role, {session.owner, sender})
    if entry is None:
        return False
    outbox.enqueue(
        [
            Delivery(
                receiver_id=entry.platform.id,
                # Both interfaces: preferences of a Session that it does not know are of no use.
                ordering_key=ordering_key(session),
                module=MODULE,
                method="PUT",
                interface_role=owed.role,
                path=owed.path,
                body=owed.body,
                from_country_code=sender.country_code,
                from_party_id=sender.party_id,
                to_country_code=entry.country_code,
                to_party_id=entry.party_id,
                correlation_id=owed.correlation_id,
                unanswered_by=session.unanswered_by if owed.role == InterfaceRole.RECEIVER else "",
            )
        ]
    )
    return True


def ordering_key(session: Session) -> str:
    """With the Session's owner, whose agreement with the FSP counts (hub/deliveries/calls.py)."""
    return f"session:{session.pk} {session.owner}"


def open_entry(
    directory: Directory,
    fsp: PartyId,
    role: InterfaceRole,
    parties: Collection[PartyId],
    module: str = MODULE,
) -> PartyEntry | None:
    """The FSP, where it offers the interface and may get what these say of a Session."""
    entry = directory.parties.get(fsp)
    if (
        entry is None
        or not entry.is_agreed
        or entry.platform.endpoint(module, role) is None
        or any(directory.closed_because(party, fsp, module) is not None for party in parties)
    ):
        return None
    return entry
