"""What has changed for a flexibility provider, behind a cursor (SCALE D2.3, 8.4).

A change is a line of a session's journal while the caller was its FSP, or that the Session itself
was written again. A cursor is a horizon of transactions: what it has passed had ended when it was
given, so that nothing that commits later is skipped, and nothing is told twice.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from flex.api.objects import Change, Changes, Line
from flex.api.problems import invalid
from flex.journal import Topic
from hub.db import sql
from hub.ocpi.party import PartyId
from hub.views import Problem

MOST: Final = 500
# A transaction that ended later than this after its row's time is not one of ours.
_SETTLED: Final = "1 hour"
_BAD: Final = "This is not a cursor of this API: read your sessions, whose answer has a new one."


class Cursor(NamedTuple):
    """All transactions before `xid` have been told, at `moment`, of the database `system`."""

    xid: int
    moment: datetime
    system: int

    def text(self) -> str:
        """As it stands in a URL."""
        raw = f"{self.xid}.{int(self.moment.timestamp())}.{self.system:x}"
        return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """A Problem (400) for what is none."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            xid, moment, system = raw.split(".")
            return cls(int(xid), datetime.fromtimestamp(int(moment), UTC), int(system, 16))
        except (binascii.Error, UnicodeError, ValueError, OverflowError, OSError) as error:
            raise invalid(_BAD) from error


def now() -> Cursor:
    """The horizon of this moment: what commits from now on comes after it."""
    [(xid, moment, system)] = sql.run(_NOW)
    return Cursor(xid, moment, system)


_HORIZON: Final = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_SYSTEM: Final = "(SELECT system_identifier & 65535 FROM pg_control_system())"
_NOW: Final = f"SELECT {_HORIZON}, statement_timestamp(), {_SYSTEM}::bigint"
# The whole number of the transaction that wrote a row, of which the row itself keeps 32 bits. Of
# rows that are younger than the last two thousand million transactions there is no doubt.
_WROTE: Final = "(snapshot.now - (snapshot.now - {0}.xmin::text::bigint & 4294967295))"
_OF_MINE: Final = """
    FROM flex_fspassignment AS mine
    WHERE upper(mine.fsp_country_code) = %(country_code)s
      AND upper(mine.fsp_party_id) = %(party_id)s
"""
_FOUND: Final = f"""
    WITH snapshot AS MATERIALIZED (
        SELECT {_HORIZON} AS horizon,
               pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS now
    ), told AS (
        SELECT entry.xid, entry.session_id, entry.topic, entry.reason, entry.detail,
               entry.written_at
        FROM flex_journalentry AS entry, snapshot
        WHERE entry.xid >= %(xid)s AND entry.xid < horizon
          AND (%(topics)s::text[] IS NULL OR entry.topic = ANY(%(topics)s::text[]))
          AND EXISTS (
            SELECT {_OF_MINE} AND mine.session_id = entry.session_id
              AND mine.started_at <= entry.written_at
              AND (mine.ended_at IS NULL OR entry.written_at <= mine.ended_at
                   OR entry.topic = 'ASSIGNMENT'
                      AND entry.written_at <= mine.ended_at + interval '10 seconds'))
    ), written AS (
        SELECT {_WROTE.format("kept")} AS xid, kept.id, 'SESSION', '', NULL::jsonb,
               kept.received_at
        FROM snapshot, ocpi_sessions_session AS kept
        WHERE (%(topics)s::text[] IS NULL OR 'SESSION' = ANY(%(topics)s::text[]))
          AND kept.id IN (SELECT mine.session_id {_OF_MINE} AND mine.ended_at IS NULL)
          AND kept.received_at > %(moment)s - interval '{_SETTLED}'
          AND {_WROTE.format("kept")} >= %(xid)s AND {_WROTE.format("kept")} < horizon
    ), found AS (
        SELECT * FROM told UNION ALL SELECT * FROM written
        ORDER BY 1 FETCH FIRST %(most)s ROWS WITH TIES
    )
    SELECT horizon, found.*, session.country_code, session.party_id, session.session_id
    FROM snapshot LEFT JOIN (
        found JOIN ocpi_sessions_session AS session ON session.id = found.session_id) ON true
    ORDER BY found.xid, found.written_at
"""  # noqa: S608 - names of ours


def since(
    fsp: PartyId, cursor: Cursor, topics: frozenset[str] | None = None, *, most: int = MOST
) -> Changes:
    """What has changed for this party since, of these topics (None: of all), oldest first.

    Of more than `most` the first ones; with them all that the same transaction changed.
    """
    here = _checked(cursor)
    rows = sql.run(_FOUND, _parameters(fsp, cursor, topics) | {"most": most})
    horizon, found = rows[0][0], [row[1:] for row in rows if row[1] is not None]
    following = horizon if len(found) < most else found[-1][0] + 1
    return Changes(changes=_grouped(found), cursor=here._replace(xid=following).text())


def _checked(cursor: Cursor) -> Cursor:
    """The horizon of now; 410 for a cursor that is of another database, or of its future."""
    here = now()
    if cursor.system != here.system or cursor.xid > here.xid:
        raise Problem(
            HTTPStatus.GONE,
            "CURSOR_GONE",
            "This cursor is of another time of this hub's database: read your sessions anew.",
        )
    return here


def _parameters(fsp: PartyId, cursor: Cursor, topics: frozenset[str] | None) -> dict[str, Any]:
    return {
        "topics": None if topics is None else sorted(topics),
        "country_code": fsp.country_code,
        "party_id": fsp.party_id,
        "xid": cursor.xid,
        "moment": cursor.moment,
    }


def _grouped(found: Sequence[tuple[Any, ...]]) -> list[Change]:
    """One for each session, in the order of its first change."""
    by_session: dict[int, Change] = {}
    for _, pk, topic, reason, detail, at, country_code, party_id, session_id in found:
        change = by_session.get(pk)
        if change is None:
            change = by_session[pk] = Change(
                country_code=country_code.upper(),
                party_id=party_id.upper(),
                session_id=session_id,
                topics=[],
                lines=[],
            )
        if topic not in change.topics:
            change.topics.append(topic)
        if reason:
            change.lines.append(Line(topic=topic, reason=reason, detail=detail or {}, at=at))
    return list(by_session.values())


# --- For those who wait ---------------------------------------------------------------------------


class Watch(NamedTuple):
    """Who waits for changes since when, and of what."""

    fsp: PartyId
    cursor: Cursor
    topics: frozenset[str] | None


def news(watches: Sequence[Watch]) -> list[bool]:
    """Of each, whether something may have: one look for each party (hub/gateway/apis.py)."""
    earliest: dict[tuple[PartyId, frozenset[str] | None], Cursor] = {}
    for fsp, cursor, topics in watches:
        earliest[fsp, topics] = min(cursor, earliest.get((fsp, topics), cursor))
    has_news = {key: _has_news(key[0], cursor, key[1]) for key, cursor in earliest.items()}
    return [has_news[one.fsp, one.topics] for one in watches]


def _has_news(fsp: PartyId, cursor: Cursor, topics: frozenset[str] | None) -> bool:
    rows = sql.run(_FOUND, _parameters(fsp, cursor, topics) | {"most": 1})
    return rows[0][1] is not None


# --- What is asked for ----------------------------------------------------------------------------

SESSION: Final = "SESSION"
TOPICS: Final = frozenset({SESSION, *Topic.values})


def topics_of(text: str) -> frozenset[str] | None:
    """Names of topics with commas between them; "" for all. Problem (400) for another name."""
    if not text:
        return None
    found = frozenset(text.split(","))
    if not found <= TOPICS:
        raise invalid(f"topics are some of {', '.join(sorted(TOPICS))}.")
    return found
