"""Sessions that are kept from the event loop: those that are given to nobody (decision 0030).

mod_sessions, PUT and PATCH Method. Whatever is not as simple, flex/relay.py does on a thread.
"""

from datetime import UTC, datetime
from typing import Any, Final

from django.utils import timezone

from flex import given_at_once, relay
from hub.db.batch_writer import Statement, Writer
from hub.models import quotas
from hub.models.quotas import What
from hub.ocpi.modules import Match
from hub.ocpi.party import PartyId
from hub.ocpi.reading import deviations_of
from hub.outbound.forwarded import Forwarded
from sessions import storing, underway
from sessions.models import LONGEST_ID, Session, SessionTold

# To read or to merge a longer one would hold up the event loop.
_LONGEST: Final = 50_000
_OPEN: Final = (
    "SELECT FROM flex_fspassignment AS one WHERE one.session_id = kept.id AND one.ended_at IS NULL"
)


def _may_fit(name: str, *values: str) -> str:
    """Whether an agreement is for one of these, or for all."""
    fits = " OR ".join(f"upper(agreed.{name}) = upper({value})" for value in values)
    return f"(agreed.{name} = '' OR {fits})"


# An FSP, but for one that is the only party to which the CPO sends it; or an agreement that may
# make one its FSP: by what is kept or by what is told now, whichever of them counts.
_HAS_FSP: Final = f"""
    EXISTS ({_OPEN} AND one.kind = 'PARTY'
        AND (one.is_relayed OR NOT upper(one.fsp_country_code) || '-' || upper(one.fsp_party_id)
             = ALL (kept.sent_to || %(sent_to)s::varchar[])))
    OR EXISTS (SELECT FROM flex_flexagreement AS agreed WHERE agreed.is_active
        AND {_may_fit("cpo_country_code", "kept.country_code")}
        AND {_may_fit("cpo_party_id", "kept.party_id")}
        AND {_may_fit("emsp_country_code", "kept.emsp_country_code", "%(emsp_country_code)s::text")}
        AND {_may_fit("emsp_party_id", "kept.emsp_party_id", "%(emsp_party_id)s::text")}
        AND {_may_fit("token_uid", "kept.token_uid", "%(token_uid)s::text")}
        AND {_may_fit("location_id", "kept.location_id", "%(location_id)s::text")})
        AND NOT EXISTS ({_OPEN})
"""
_PUT: Final = Statement("session_put", storing.keep_known(_HAS_FSP), binary={"document"})
_FIND: Final = Statement("session_find", storing.FIND)
_PATCH: Final = Statement("session_patch", storing.change_known(_HAS_FSP), binary={"document"})
_LEAVES: Final = Statement("session_leaves", storing.LEAVES, binary={"document"}, may_wait=True)
STATEMENTS: Final = (_LEAVES, _PUT, _FIND, _PATCH, *given_at_once.STATEMENTS)


async def session_leaves(
    writer: Writer, sender: PartyId, receiver: PartyId, match: Match, body: bytes
) -> bool:
    """As relay.session_leaves; False where nothing was done, and a thread has to do it."""
    owner, session_id = relay.session_named(match)
    if (
        owner != sender
        or len(session_id) > LONGEST_ID
        or "\0" in session_id
        or len(body) > _LONGEST
        or quotas.seems_full(str(owner), What.SESSIONS)
    ):
        return False
    values = Session.as_leaving(owner, session_id, body, receiver, relay.as_emsp(receiver))
    if values is None:
        return True
    found = await writer.run(_LEAVES, values)
    if found is None:
        return False
    is_new = found[0][0] == b"\1" if found else None
    Session.has_left(owner, session_id, receiver, is_new=is_new)
    return True


async def session_pushed(writer: Writer, forwarded: Forwarded) -> bool:
    """As relay.session_pushed; False where nothing was done, and a thread has to do it."""
    owner, session_id = relay.session_named(forwarded.match)
    if (
        owner != forwarded.sender
        or not forwarded.response.is_accepted
        or len(forwarded.body) > _LONGEST
    ):
        return False
    keep = _put if forwarded.method == "PUT" else _patch
    return await keep(writer, forwarded, owner, session_id)


async def _put(writer: Writer, forwarded: Forwarded, owner: PartyId, session_id: str) -> bool:
    receiver = forwarded.receiver
    emsp = relay.as_emsp(receiver)
    values = Session.as_kept(owner, session_id, forwarded.body, receiver, emsp)
    if isinstance(values, SessionTold) or (asked := writer.ask(_PUT, values)) is None:
        return False
    # While the database works.
    deviations = deviations_of(forwarded.body, relay.SHAPES["PUT"])
    if not await asked and not await given_at_once.keep_and_give(
        writer, "PUT", values, receiver, forwarded.correlation_id
    ):
        return False
    underway.remember(owner, session_id, receiver)
    forwarded.note(deviations)
    return True


async def _patch(writer: Writer, forwarded: Forwarded, owner: PartyId, session_id: str) -> bool:
    patch = Session.as_patch(owner, session_id, forwarded.body)
    if isinstance(patch, SessionTold):
        return False
    names: dict[str, Any] = {**owner._asdict(), "session_id": session_id}
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
        "sent_to": [str(forwarded.receiver)],
    }
    # What another one has changed meanwhile is merged on a thread.
    if not await writer.run(_PATCH, values) and (
        change.document == document  # It is no news.
        or not await given_at_once.keep_and_give(
            writer, "PATCH", values, forwarded.receiver, forwarded.correlation_id
        )
    ):
        return False
    deviations = deviations_of(forwarded.body, relay.SHAPES["PATCH"])
    forwarded.note([*change.deviations, *deviations])
    return True


def _moment(text: bytes) -> datetime:
    """A time as the database tells it."""
    return datetime.fromisoformat(text.decode()).astimezone(UTC)
