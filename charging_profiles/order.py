"""The order of a session's commands (mod_charging_profiles, Receiver): in SQL, for all who ask.

A PUT or DELETE is on its way from its first byte (`sent_at`) until the CPO's own answer, its time
limit, or until it certainly did not arrive. One of a session is at a time, which the database sees
to; a newer one ends an older one that has not left (docs/decisions/0028). A GET blocks nothing.
A command whose assignment has ended neither leaves nor ends another (docs/decisions/0034).
One of the hub's own ends none of a party's, and ends itself by any of a party's that is not older
or leaves later (docs/decisions/0037).
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from hub.db import notify, sql
from hub.db.leases import NOW
from hub.ocpi.party import PartyId
from hub.record import counters
from sessions import flexibility
from sessions.flexibility import CommandNews

_TABLE: Final = "ocpi_charging_profiles_profilecommand"
_UNSENT: Final = (
    "{0}.method <> 'GET' AND {0}.state IN ('WAITING', 'SENDING') AND {0}.sent_at IS NULL"
)
# What a statement returns first of a command that it has changed, for `tell`.
NEWS: Final = (
    "{0}.id, {0}.session_id, {0}.method, {0}.fsp_country_code, {0}.fsp_party_id, {0}.epoch, "
    "{0}.state"
)

# The command of the session that left before `command`; of what nobody knows the outcome.
BEFORE: Final = f"""
    SELECT before.id, before.state IN ('TIMED_OUT', 'UNREACHABLE', 'NO_RESULT') AS is_doubtful
    FROM {_TABLE} AS before
    WHERE before.lane = command.lane AND before.method <> 'GET' AND before.id < command.id
      AND before.sent_at IS NOT NULL
    ORDER BY before.id DESC LIMIT 1
"""  # noqa: S608 - names of ours

# "result: REJECTED" by the hub itself, in the words of `said.why`: what waits for it is told.
_END: Final = f"""
    UPDATE {_TABLE} AS command SET
        state = 'SUPERSEDED', answered_at = {NOW}, answer_http_status = 200, lease_until = NULL,
        problem = said.why, answer_body = convert_to(said.body, 'UTF8')
    FROM (
        SELECT id, why, json_build_object(
            'status_code', 1000, 'status_message', why,
            'data', json_build_object('result', 'REJECTED', 'timeout', 0),
            'timestamp', to_char({NOW} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
        )::text AS body
        FROM ({{found}}) AS found
    ) AS said
    WHERE command.id = said.id AND {_UNSENT.format("command")}
    RETURNING {NEWS.format("command")}, pg_notify('{notify.CHANNEL}',
              'command:' || command.id || E'\\n200\\n' || said.body), {sql.DURABLE}
"""  # noqa: S608 - names of ours
OF_LANE: Final = "old.lane = %(lane)s"
OF_ALL: Final = "old.lane <> ''"


# Whether `newer` is to be carried out in place of `older`, by their order alone (SQL).
_REPLACES: Final = """
    ({newer}.id > {older}.id AND ({newer}.purpose = '' OR {older}.purpose <> '')
     OR {older}.purpose <> '' AND {newer}.purpose = '' AND (
         {newer}.state IN ('WAITING', 'SENDING') OR {newer}.sent_at > {older}.created_at))
"""


def replaces(newer: str, older: str) -> str:
    """Whether `newer`, another change of the same session, takes the place of `older` (SQL)."""
    return f"{_REPLACES.format(newer=newer, older=older)} AND {is_current(newer)}"


def is_current(row: str) -> str:
    """Whether a command's sender may still change its session (SQL)."""
    return flexibility.current().IS_CURRENT.format(row)


@cache
def may_leave() -> str:
    """Whether nothing else of the session of `command` is on its way, and nothing newer (SQL)."""
    return f"""
    (command.method = 'GET' OR command.sent_at IS NULL AND NOT EXISTS (
        SELECT FROM {_TABLE} AS other
        WHERE other.lane = command.lane AND other.method <> 'GET' AND other.id <> command.id AND (
            other.state = 'SENDING' AND other.sent_at IS NOT NULL
            OR {replaces("other", "command")})
    ))
    """


@cache
def replaced(which: str) -> str:
    """The statement that ends what has not left and was followed by another; its rows: `NEWS`."""
    found = f"""
    SELECT DISTINCT ON (old.id) old.id, left(
        'Replaced by the ' || newer.method || ' of ' || upper(newer.fsp_country_code) || '-'
        || upper(newer.fsp_party_id) || ' that followed it, correlation id '
        || newer.correlation_id || '.', 300) AS why
    FROM {_TABLE} AS old JOIN {_TABLE} AS newer ON newer.lane = old.lane
    WHERE {_UNSENT.format("old")} AND newer.method <> 'GET' AND newer.id <> old.id
      AND {replaces("newer", "old")} AND {which}
    ORDER BY old.id, newer.id DESC
    """  # noqa: S608 - names of ours
    return _END.format(found=found)


@cache
def _outdated() -> str:
    found = f"""
    SELECT id, %(why)s::text AS why FROM {_TABLE} AS old
    WHERE session_id = %(session)s AND {_UNSENT.format("old")} AND NOT {is_current("old")}
    """  # noqa: S608 - names of ours
    return _END.format(found=found)


def tell(changed: Iterable[tuple[Any, ...]]) -> None:
    """Tell what has become of commands: rows that begin with `NEWS`."""
    for command, session, method, country_code, party_id, epoch, state, *_ in changed:
        if state != "ACCEPTED":  # That is not an end yet.
            counters.command_ended(method, state)
        fsp = PartyId.of(country_code, party_id)
        news = CommandNews(command, session, method, fsp, epoch, state)
        flexibility.current().command_answered(news)


def lane_of(cpo: PartyId, session_id: str) -> str:
    """What the commands of one session have in common, however its id is spelled."""
    return f"{cpo}/{session_id}".upper()


def end_older(lane: str) -> None:
    """End what has not left and was followed by another."""
    tell(sql.run(replaced(OF_LANE), {"lane": lane}))


def end_outdated(session: int, why: str) -> None:
    """End what has not left of a session's commands, where their assignment has ended."""
    tell(sql.run(_outdated(), {"why": why, "session": session}))
