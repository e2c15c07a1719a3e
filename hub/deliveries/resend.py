"""Messages that were given up: their bodies are kept within a quota, and can be sent again.

A message is given up when its receiver is OFFLINE, refuses it, or is not there to take it
(hub/outbox/outbox.py, hub/deliveries). What it says may be old by then: it never follows something
newer.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from flex.models import FspAssignment
from hub.db import sql
from hub.models import GIVEN_UP, Delivery, DeliveryState
from hub.ocpi import heads, lenient
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.routing.directory import Directory, holder
from sessions.models import Session

logger = logging.getLogger(__name__)
# So many are put back in one transaction.
CHUNK: Final = 100
# What a row takes beside its body: of messages without one there is an end, too.
ROW_BYTES: Final = 1000
# So many bodies of one receiver are emptied in one statement.
MOST_AT_ONCE: Final = 10_000


@dataclass(slots=True)
class Resent:
    """How many messages wait once more; of the others, how many were left out and why."""

    number: int = 0
    left: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        left = "; ".join(f"{number} not: {why}" for why, number in self.left.items())
        return f"{self.number} wait once more" + (f"; {left}" if left else "")


GONE: Final = "it waits, has arrived, or its body is kept no more"
AWAY: Final = "the receiver is not CONNECTED at this platform"
CLOSED: Final = "the parties may not exchange it"
NEWER: Final = "something newer was sent since, or is on its way"
NO_SESSION: Final = "the hub has its Session no more"
NOT_ITS_FSP: Final = "the receiver is not its Session's flexibility provider"
FROM_CPO: Final = "the CPO itself has sent a newer one"


def kept() -> QuerySet[Delivery]:
    """What can be sent again, the oldest first."""
    return Delivery.objects.filter(state__in=GIVEN_UP, is_kept=True).order_by("id")


def again(ids: Iterable[int], by: str) -> Resent:
    """Let messages wait once more, in their order, as far as they still have something to say."""
    wanted, resent = sorted(set(ids)), Resent()
    for start in range(0, len(wanted), CHUNK):
        with transaction.atomic():
            put_back = _chunk(wanted[start : start + CHUNK], resent)
            if put_back:
                outbox.wake_at_commit()
        resent.number += len(put_back)
    logger.info("messages that were given up, sent again by %s: %s", by, resent)
    return resent


# A Session and the driver's preferences share a key. A message is overtaken by a newer one that
# waits, or that was delivered to the same address.
_OVERTAKEN: Final = """
    SELECT old.id FROM hub_delivery AS old WHERE old.id = ANY(%s::bigint[]) AND EXISTS (
        SELECT FROM hub_delivery AS newer
        WHERE newer.ordering_key = old.ordering_key AND newer.id > old.id
          AND newer.receiver_id = old.receiver_id
          AND (newer.state = 'WAITING' OR newer.state = 'DELIVERED'
               AND newer.interface_role = old.interface_role AND newer.path = old.path)
    )
"""


def _chunk(ids: Sequence[int], resent: Resent) -> list[int]:
    directory = holder.refresh()
    # Sessions first, as all do that relay one: nothing newer is written before this is.
    sessions = _lock_sessions(ids)
    rows = list(kept().filter(pk__in=ids).select_for_update())
    resent.left[GONE] += len(ids) - len(rows)
    overtaken = {pk for (pk,) in sql.run(_OVERTAKEN, [[row.pk for row in rows]])}
    put_back = []
    for row in rows:
        why = NEWER if row.pk in overtaken else _why_not(row, sessions, directory)
        if why:
            resent.left[why] += 1
        else:
            put_back.append(row.pk)
    Delivery.objects.filter(pk__in=put_back).update(
        state=DeliveryState.WAITING, ended_at=None, resent_at=timezone.now()
    )
    resent.left = +resent.left
    return put_back


def _session_of(ordering_key: str) -> int | None:
    """Whose messages these are: `session:7 NL-CPO`; a role stood behind the number once."""
    kind, _, rest = ordering_key.partition(":")
    number = rest.partition(" ")[0].partition(":")[0]
    return int(number) if kind == "session" and number.isdecimal() else None


def _lock_sessions(ids: Sequence[int]) -> dict[int | None, tuple[Session, FspAssignment | None]]:
    """By primary key, each with who is its flexibility provider."""
    keys = Delivery.objects.filter(pk__in=ids).values_list("ordering_key", flat=True)
    pks = {pk for pk in map(_session_of, keys) if pk is not None}
    rows = Session.objects.filter(pk__in=pks).only("country_code", "party_id")
    locked = list(rows.order_by("pk").select_for_update())
    opened = FspAssignment.objects.filter(session__in=locked, ended_at__isnull=True)
    by_session = {one.session_id: one for one in opened}
    return {session.pk: (session, by_session.get(session.pk)) for session in locked}


def _why_not(
    row: Delivery,
    sessions: dict[int | None, tuple[Session, FspAssignment | None]],
    directory: Directory,
) -> str:
    """What keeps a message from being sent; empty: nothing."""
    receiver = PartyId.of(row.to_country_code, row.to_party_id)
    entry = directory.parties.get(receiver)
    if (
        entry is None
        or entry.platform.id != row.receiver_id
        or entry.status != ConnectionStatus.CONNECTED
    ):
        return AWAY
    parties = {PartyId.of(row.from_country_code, row.from_party_id)}
    pk = _session_of(row.ordering_key)
    if pk is not None:
        session, assignment = sessions.get(pk, (None, None))
        if session is None:
            return NO_SESSION
        if assignment is None or assignment.fsp != receiver:
            return NOT_ITS_FSP
        if row.interface_role == InterfaceRole.RECEIVER and _is_older(row, assignment):
            return FROM_CPO
        parties.add(session.owner)
    if any(directory.closed_because(one, receiver, row.module) for one in parties):
        return CLOSED
    return ""


class _Dated(msgspec.Struct):
    last_updated: Any = None


_dated: Final = heads.reader(_Dated)


def _is_older(row: Delivery, assignment: FspAssignment) -> bool:
    """Whether the CPO has sent the receiver something newer of this Session."""
    said = lenient.moment(_dated(bytes(row.body)).last_updated)
    sent = assignment.sent_last_updated
    return sent is not None and (said is None or said <= sent)


# --- The quota ------------------------------------------------------------------------------------

_KEPT: Final = "is_kept AND state IN ('REFUSED', 'FAILED', 'DROPPED')"
_RECEIVERS: Final = f"""
    WITH RECURSIVE receiver AS (
        (SELECT receiver_id FROM hub_delivery WHERE {_KEPT} ORDER BY receiver_id LIMIT 1)
        UNION ALL
        SELECT following.* FROM receiver CROSS JOIN LATERAL (
            SELECT receiver_id FROM hub_delivery
            WHERE {_KEPT} AND receiver_id > receiver.receiver_id ORDER BY receiver_id LIMIT 1
        ) AS following
    ) SELECT receiver_id FROM receiver
"""  # noqa: S608 - conditions of ours
_BEYOND: Final = f"""
    UPDATE hub_delivery SET body = '', is_kept = false
    WHERE id IN (
        SELECT id FROM (
            SELECT id, sum(octet_length(body) + {ROW_BYTES}) OVER (ORDER BY id DESC) AS bytes
            FROM hub_delivery WHERE receiver_id = %s AND {_KEPT}
        ) AS newest WHERE bytes > %s ORDER BY id LIMIT {MOST_AT_ONCE}
    ) AND {_KEPT}
    RETURNING id
"""  # noqa: S608 - conditions of ours


def keep_within_quota() -> int:
    """Empty the oldest bodies of each receiver beyond its quota; how many. Safe to run twice."""
    emptied = 0
    for (receiver,) in sql.run(_RECEIVERS):
        gone = sum(map(len, _beyond(receiver)))
        if gone:
            logger.warning(
                "platform %s: %s messages that were given up cannot be sent again any more "
                "(RESEND_BYTES_PER_RECEIVER)",
                receiver,
                gone,
            )
        emptied += gone
    return emptied


def _beyond(receiver: int) -> Iterator[Sequence[object]]:
    while True:
        gone = sql.run(_BEYOND, [receiver, settings.RESEND_BYTES_PER_RECEIVER])
        yield gone
        if len(gone) < MOST_AT_ONCE:
            return
