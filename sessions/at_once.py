"""Sessions that are kept from the event loop (decision 0030; mod_sessions, PUT and PATCH Method).

Those that are given to somebody are kept by the flexibility layer. Whatever is not as simple,
pushes.py does on a thread.
"""

from datetime import UTC, datetime
from typing import Any, Final

from django.utils import timezone

from hub.db import sql
from hub.db.batch_writer import Statement, Writer
from hub.models import quotas
from hub.ocpi.reading import deviations_of
from hub.outbound.forwarded import Forwarded
from hub.routing.request import OcpiRequest
from sessions import flexibility, storing, underway
from sessions.head import Push
from sessions.models import LONGEST_ID, Session, SessionTold
from sessions.pushes import SHAPES, push_of

# Reading or merging a longer body would hold up the event loop.
_LONGEST: Final = 50_000
_FLEX: Final = flexibility.current()
_KEEP: Final = storing.keep_known(_FLEX.IS_GIVEN)
_CHANGE: Final = storing.change_known(_FLEX.IS_GIVEN)
_PUT: Final = Statement("session_put", _KEEP, binary={"document"})
_FIND: Final = Statement("session_find", storing.FIND)
_PATCH: Final = Statement("session_patch", _CHANGE, binary={"document"})
# Nothing is promised by it yet.
_LEAVES: Final = Statement(
    "session_leaves", f"{storing.LEAVES}, {sql.SOON}", binary={"document"}, may_wait=True
)
STATEMENTS: Final = (_LEAVES, _PUT, _FIND, _PATCH, *_FLEX.statements)


async def session_leaves(writer: Writer, request: OcpiRequest) -> bool:
    """Do as pushes.session_leaves; False where a thread has to do it."""
    push = push_of(request)
    if (
        push.owner != request.sender
        or len(push.session_id) > LONGEST_ID
        or "\0" in push.session_id
        or len(push.body) > _LONGEST
        or quotas.seems_full(str(push.owner), Session.MODULE)
    ):
        return False
    values = Session.as_leaving(push)
    if values is None:
        return True
    found = await writer.run(_LEAVES, values)
    if found is None:
        return False
    if Session.has_left(push, is_new=found[0][0] == b"\1" if found else None):
        flexibility.current().session_on_its_way(push)
    return True


async def session_pushed(writer: Writer, forwarded: Forwarded) -> bool:
    """Do as pushes.session_pushed; False where a thread has to do it."""
    request = forwarded.request
    push = push_of(request)
    if (
        push.owner != request.sender
        or not forwarded.response.is_accepted
        or len(request.body) > _LONGEST
    ):
        return False
    keep = _put if request.method == "PUT" else _patch
    return await keep(writer, forwarded, push)


async def _put(writer: Writer, forwarded: Forwarded, push: Push) -> bool:
    values = Session.as_kept(push)
    if isinstance(values, SessionTold) or (asked := writer.ask(_PUT, values)) is None:
        return False
    # While the database works.
    deviations = deviations_of(forwarded.request.body, SHAPES["PUT"])
    if not await asked and not await _FLEX.keep_and_give(writer, forwarded, values):
        return False
    underway.remember(push.owner, push.session_id, push.receiver)
    forwarded.note(deviations)
    return True


async def _patch(writer: Writer, forwarded: Forwarded, push: Push) -> bool:
    patch = Session.as_patch(push)
    if isinstance(patch, SessionTold):
        return False
    names: dict[str, Any] = {**push.owner._asdict(), "session_id": push.session_id}
    found = await writer.run(_FIND, names)
    if not found:
        return False
    version, document, last_updated, put_last_updated = found[0]
    if document is None or len(document) > _LONGEST or version is None or last_updated is None:
        return False
    put_at = None if put_last_updated is None else _moment(put_last_updated)
    change = patch.into(document, _moment(last_updated), put_at)
    values = names | change.columns
    values |= {
        "version": version.decode(),
        "document": change.document,
        "last_updated": change.last_updated,
        "received_at": timezone.now(),
        "sent_to": [str(push.receiver)],
    }
    if not await writer.run(_PATCH, values) and (
        change.document == document  # It is not news.
        or not await _FLEX.keep_and_give(writer, forwarded, values)
    ):
        return False  # What another one has changed meanwhile is merged on a thread.
    deviations = deviations_of(forwarded.request.body, SHAPES["PATCH"])
    forwarded.note([*change.deviations, *deviations])
    return True


def _moment(text: bytes) -> datetime:
    """A time as the database tells it."""
    return datetime.fromisoformat(text.decode()).astimezone(UTC)
