"""A CPO's pushes of a Session, before they leave and when they are answered (mod_sessions, PUT and
PATCH Method).

A Session goes to one party, through the gateway. The hub keeps what its receiver accepts, and tells
the flexibility layer (flexibility.py). What is simple is done on the event loop: at_once.py.
"""

from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

import msgspec
from django.db import transaction

from hub.db.leases import Lease
from hub.models import locking
from hub.ocpi import envelope, headers
from hub.ocpi.datatypes import Role
from hub.ocpi.patches import partial
from hub.ocpi.reading import deviations_of
from hub.outbound.forwarded import Forwarded
from hub.routing.directory import holder
from hub.routing.owners import in_url
from hub.routing.request import OcpiRequest
from sessions import flexibility, underway
from sessions.flexibility import SessionNews
from sessions.handed_on import HandedOn
from sessions.head import Push
from sessions.models import Session, SessionTold
from sessions.objects import Session as SessionObject

# The receiver has not answered, but something before it.
_NOBODY: Final = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)
SHAPES: Final[dict[str, type[msgspec.Struct]]] = {
    "PUT": SessionObject,
    "PATCH": partial(SessionObject),
}


def push_of(request: OcpiRequest) -> Push:
    """What the URL names, and what is told of it; whose driver it is if the body does not say."""
    receiver, session_id = request.receiver, unquote(request.place.ids["session_id"])
    entry = holder.snapshot.parties.get(receiver)
    emsp = receiver if entry is not None and Role.EMSP in entry.roles else None
    return Push(in_url(request.place), session_id, request.body, receiver, emsp)


# --- Before it leaves, and where no answer came ---------------------------------------------------


def session_leaves(request: OcpiRequest) -> None:
    """A CPO's Session is about to be sent to a receiver for the first time."""
    push = push_of(request)
    if push.owner == request.sender and Session.leaves(push):
        flexibility.current().session_on_its_way(push)


def session_lost(request: OcpiRequest, _lease: Lease | None) -> None:
    """Nobody knows whether its receiver has got it: it is kept if its FSP takes it."""
    push = push_of(request)
    if push.owner == request.sender and not _kept_unanswered(push, "PUT"):
        _forget(push)


def session_held_back(request: OcpiRequest, _lease: Lease | None) -> None:
    """The hub has not sent it, and says so: its eMSP has neither refused it nor been silent."""
    push = push_of(request)
    if push.owner == request.sender:
        _forget(push)


def patch_lost(request: OcpiRequest, _lease: Lease | None) -> None:
    """Nobody knows whether its receiver has got a PATCH: its FSP gets it all the same."""
    push = push_of(request)
    if push.owner == request.sender:
        _kept_unanswered(push, "PATCH")


@locking.whole
def _kept_unanswered(push: Push, method: str) -> bool:
    """Keep what an eMSP did not answer, where its FSP gets it all the same; whether one does."""
    known = Session.find(push.owner, push.session_id, for_update=True)
    if known is None or push.receiver != known.emsp:
        return False
    if not flexibility.current().takes_unanswered(known):
        return False
    keep = Session.put_unanswered if method == "PUT" else Session.patch_unanswered
    session = keep(push)
    if session is not None:
        flexibility.current().session_changed(
            SessionNews(
                session,
                is_news=True,
                method=method,
                receiver=push.receiver,
                is_answered=False,
                correlation_id=headers.new_id(),
            )
        )
    return True


# --- When its receiver has answered ---------------------------------------------------------------


def session_pushed(forwarded: Forwarded) -> None:
    """A CPO's Session that its receiver has answered: keep it if it is accepted."""
    request = forwarded.request
    push = push_of(request)
    is_accepted = envelope.is_accepted(forwarded.response.status, forwarded.response.body)
    if push.owner != request.sender:
        # An eMSP hands a CPO's Session on to its SCSP: the hub keeps nothing of what it says.
        if request.method == "PUT" and is_accepted:
            HandedOn.keep(push.owner, push.session_id, request.sender, request.receiver)
    elif is_accepted:
        told = _keep(push, forwarded)
        shape = SHAPES[request.method]
        forwarded.note([*told.deviations, *deviations_of(request.body, shape)])
    else:
        _not_accepted(push, forwarded)


@locking.whole
def _keep(push: Push, forwarded: Forwarded) -> SessionTold:
    request = forwarded.request
    told = Session.put(push) if request.method == "PUT" else Session.patch(push)
    session = told.session
    if session is None and not told.deviations:
        session = Session.find(push.owner, push.session_id)
    if session is not None:
        flexibility.current().session_changed(
            SessionNews(
                session,
                is_news=told.session is not None,
                method=request.method,
                receiver=push.receiver,
                is_answered=True,
                correlation_id=request.correlation_id,
            )
        )
    return told


def _not_accepted(push: Push, forwarded: Forwarded) -> None:
    is_unanswered = forwarded.response.status in _NOBODY
    if is_unanswered and _kept_unanswered(push, forwarded.request.method):
        return
    if forwarded.request.method == "PUT" and not underway.is_known(
        push.owner, push.session_id, push.receiver
    ):
        _forget(push)


# --- The end of what nobody has accepted ----------------------------------------------------------


@locking.whole
def _forget(push: Push) -> None:
    """End a Session that its receiver has not accepted, with what hangs on it."""
    session = Session.refused(push)
    if session is not None:
        _end(session)


def _end(session: Session) -> None:
    """End one that is on its way to nobody any more, and that nobody has accepted; locked.

    What the CPO has accepted of it meanwhile keeps it: then both sides do have the session.
    """
    if session.has_waiting and flexibility.current().session_refused(session):
        session.underway_to, session.underway_until = [], None
        session.save(update_fields=["underway_to", "underway_until"])
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
