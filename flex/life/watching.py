"""What the clock brings to steered sessions: silence of the FSP, departure, FAST (decision 0037).

A session has a row that says when it is to be looked at: new preferences and each change that left
make it now, and looking says when the clock alone may bring something. So a turn reads what is due.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings

from charging_profiles.models import ProfileCommand
from flex.full_rate import FullRate, FullRates, of_connector
from flex.journal import Topic, note
from flex.knowledge.profiles import Profile
from flex.life import releasing, silence
from flex.life.locking import lock
from flex.life.models import SteeredSession
from flex.life.silence import Facts, Release, Silence
from flex.sites.keeping import AT
from hub.db import leases, sql
from hub.db.leases import NOW
from hub.db.one_by_one import each
from hub.ocpi import lenient
from sessions.models import Session
from sessions.objects import OVER

_COMMANDS: Final = ProfileCommand._meta.db_table
_LOOK: Final = f"""
    INSERT INTO flex_life_steeredsession AS known
        (session_id, due_at, seen_command, released_for, silent_why)
    SELECT id, {NOW}, 0, '', '' FROM ocpi_sessions_session WHERE id = %s
    ON CONFLICT (session_id) DO UPDATE SET due_at = excluded.due_at
"""  # noqa: S608 - names of ours


def look_at(session: int) -> None:
    """Something has happened to a session: have it looked at by the next turn."""
    sql.run(_LOOK, (session,))


def patience() -> timedelta:
    """How long an FSP may take to answer (FSP_SILENCE)."""
    return timedelta(seconds=settings.FSP_SILENCE)


# --- What is asked of it --------------------------------------------------------------------------


def silent(session: Session) -> Silence | None:
    """The silence of the session's FSP now; None while there is none."""
    row = SteeredSession.objects.filter(session=session).first()
    facts = facts_of([session.pk], leases.now()).get(session.pk)
    if facts is None:
        return None
    return silence.silent(replace(facts, released_for=row.released_for if row else ""), patience())


# --- Changes that have left -----------------------------------------------------------------------

_LIMITS: Final = """
    FROM flex_api_sitelimit AS site_limit
    JOIN flex_api_site AS site ON site.id = site_limit.site_id
    JOIN flex_api_sitemember AS member ON member.site_id = site.id
"""
# Of parties' commands that came in a span: what has left. An insert may commit a moment after its
# time; one that has not ended yet is waited for.
_SPAN: Final = f"""
    SELECT coalesce((SELECT until FROM flex_life_lookeduntil WHERE what = 'changes'),
                    {NOW} - interval '10 minutes'),
           least({NOW} - interval '5 seconds', (
               SELECT min(created_at) FROM {_COMMANDS} WHERE state IN ('WAITING', 'SENDING')))
"""  # noqa: S608 - names of ours
_CHANGED: Final = f"""
    WITH changed AS (
        SELECT session_id, max(id) AS newest FROM {_COMMANDS}
        WHERE created_at >= %(since)s AND created_at < %(until)s
          AND method <> 'GET' AND session_id IS NOT NULL AND sent_at IS NOT NULL
        GROUP BY session_id
    ), looked AS (
        INSERT INTO flex_life_lookeduntil (what, until) VALUES ('changes', %(until)s)
        ON CONFLICT (what) DO UPDATE SET until = excluded.until
    )
    INSERT INTO flex_life_steeredsession AS known
        (session_id, due_at, seen_command, released_for, silent_why)
    SELECT session_id, {NOW}, newest, '', '' FROM changed
    ON CONFLICT (session_id) DO UPDATE
    SET due_at = excluded.due_at, seen_command = excluded.seen_command
    WHERE known.seen_command < excluded.seen_command
"""  # noqa: S608 - names of ours


_LIMITED: Final = f"""
    UPDATE flex_life_steeredsession AS known SET due_at = {NOW}
    FROM ocpi_sessions_session AS kept
    WHERE kept.id = known.session_id AND EXISTS (
        SELECT {_LIMITS} WHERE {AT} AND site_limit.is_current
          AND site_limit.told_at > %(since)s AND site_limit.told_at <= %(until)s)
"""  # noqa: S608 - names of ours
_IS_LIMITED: Final = """
    SELECT EXISTS (SELECT FROM flex_api_sitelimit
                   WHERE is_current AND told_at > %(since)s AND told_at <= %(until)s)
"""


def see_changes() -> None:
    """Have the sessions looked at whose PUTs and DELETEs have left since the last turn.

    Also those at a site whose limit was told anew.
    """
    [(since, until)] = sql.run(_SPAN)
    if until <= since:
        return
    span = {"since": since, "until": until}
    sql.run(_CHANGED, span)
    if sql.run(_IS_LIMITED, span)[0][0]:
        sql.run(_LIMITED, span)


# --- The turn -------------------------------------------------------------------------------------

_DUE: Final = f"""
    SELECT session_id, due_at, released_for, silent_since FROM flex_life_steeredsession
    WHERE due_at <= {NOW} ORDER BY due_at LIMIT 500
"""  # noqa: S608 - names of ours
# One that failed is tried again after so long: many of them must not fill the turn.
AGAIN: Final = timedelta(minutes=1)
# What somebody has asked for meanwhile stays.
_LATER: Final = """
    UPDATE flex_life_steeredsession AS known SET due_at = looked.later
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS looked (session, seen, later)
    WHERE known.session_id = looked.session AND known.due_at = looked.seen
"""


def take() -> int:
    """Look at what is due; how many sessions. Safe to run twice at once.

    Of most there is nothing to do but to look again later: that is one statement for all.
    """
    see_changes()
    found = sql.run(_DUE)
    if not found:
        return 0
    now = leases.now()
    rates = FullRates(now)
    rows, kept = _read([pk for pk, *_ in found])
    due = {pk: _Due(*more) for pk, *more in found if pk in rows}  # Or it was deleted just now.
    later: dict[int, datetime | None] = {}
    acting = []

    def look(pk: int) -> None:
        facts = _facts(rows[pk], kept.get(pk), now, rates)
        facts = replace(facts, released_for=due[pk].released_for)
        silence_now = silence.silent(facts, patience())
        if _due_releases(facts) or (silence_now and silence_now.since) != due[pk].silent_since:
            acting.append(pk)
        else:
            later[pk] = silence.next_look(facts, patience())

    later |= dict.fromkeys(each(due, look), now + AGAIN)
    later |= dict.fromkeys(each(acting, lambda pk: _act(pk, rates)), now + AGAIN)
    if later:
        looked = [(pk, due[pk].at, moment) for pk, moment in later.items()]
        sql.run(_LATER, [list(column) for column in zip(*looked, strict=True)])
    return len(found)


class _Due(NamedTuple):
    at: datetime
    released_for: str
    silent_since: datetime | None


def _act(session: int, rates: FullRates) -> None:
    """Look again, with nobody else at it, and do what there is to do."""
    lock(session)
    rows: Any = SteeredSession.objects.select_related("session").select_for_update(of=("self",))
    row = rows.get(pk=session)
    facts = facts_of([session], leases.now(), rates)[session]
    facts = replace(facts, released_for=row.released_for)
    _release(row, facts)
    _silence(row, silence.silent(facts, patience()))
    row.due_at = silence.next_look(facts, patience())
    row.save(update_fields=["due_at", "released_for", "silent_since", "silent_why"])


def _due_releases(facts: Facts) -> list[Release]:
    return [one for one in silence.releases(facts) if one.at <= facts.now]


def _release(row: SteeredSession, facts: Facts) -> None:
    if due := _due_releases(facts):
        row.released_for = due[-1].key
        releasing.release(row.session, due[-1].why)


def _silence(row: SteeredSession, found: Silence | None) -> None:
    if found is None:
        if row.silent_since is not None:
            row.silent_since, row.silent_why = None, ""
        return
    if row.silent_since == found.since:
        return
    row.silent_since, row.silent_why = found.since, found.why
    text = f"Its FSP is silent: {found.why}, and no profile came since."
    note(row.session_id, Topic.ASSIGNMENT, text, since=found.since, holds_back=found.holds_back)


_SILENT: Final = """
    SELECT known.session_id, known.silent_why FROM flex_life_steeredsession AS known
    JOIN ocpi_sessions_session AS kept ON kept.id = known.session_id
    WHERE known.silent_since IS NOT NULL AND kept.status <> ALL(%s) AND EXISTS (
        SELECT FROM flex_fspassignment AS one
        WHERE one.session_id = known.session_id AND one.ended_at IS NULL
          AND one.started_at <= known.silent_since AND one.fsp_party_id <> '')
    ORDER BY known.silent_since LIMIT 200
"""


def silent_sessions() -> Iterator[tuple[Session, str]]:
    """Sessions whose FSP is silent, and why; not where another has become FSP since."""
    silent = dict(sql.run(_SILENT, [list(OVER)]))
    found = Session.objects.in_bulk(list(silent)) if silent else {}
    yield from ((found[pk], why) for pk, why in silent.items() if pk in found)


def silence_has_ended(session: Session) -> None:
    """Another is FSP, or is to be: what the one of before owed counts no more."""
    rows = SteeredSession.objects.filter(session=session, silent_since__isnull=False)
    rows.update(silent_since=None, silent_why="")


# --- Facts ----------------------------------------------------------------------------------------

# In force is what left last, of whoever's, and had an effect or may have had one.
_FACTS: Final = f"""
    SELECT kept.id, kept.status, one.started_at,
           asked.id, asked.profile_type, asked.departure_time, asked.received_at,
           last.method, last.body, last.created_at, own.created_at, site_limit.told_at
    FROM ocpi_sessions_session AS kept
    LEFT JOIN flex_fspassignment AS one ON one.session_id = kept.id AND one.ended_at IS NULL
         AND one.fsp_party_id <> ''
    LEFT JOIN LATERAL (
        SELECT id, profile_type, departure_time, received_at FROM flex_preferencecopy
        WHERE session_id = kept.id ORDER BY received_at DESC LIMIT 1
    ) AS asked ON true
    LEFT JOIN LATERAL (
        SELECT method, body, created_at FROM {_COMMANDS} AS command
        WHERE command.session_id = kept.id AND method <> 'GET' AND sent_at IS NOT NULL
          AND state NOT IN ('SENDING', 'REFUSED', 'SUPERSEDED', 'RESULT_REJECTED')
        ORDER BY created_at DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN LATERAL (
        SELECT created_at FROM {_COMMANDS} AS command
        WHERE command.session_id = kept.id AND method <> 'GET' AND purpose = ''
          AND state <> 'SUPERSEDED'
          AND upper(command.fsp_country_code) = upper(one.fsp_country_code)
          AND upper(command.fsp_party_id) = upper(one.fsp_party_id)
          AND command.epoch IN (0, one.epoch)
        ORDER BY created_at DESC LIMIT 1
    ) AS own ON true
    LEFT JOIN LATERAL (
        SELECT max(site_limit.told_at) AS told_at {_LIMITS} WHERE {AT} AND site_limit.is_current
    ) AS site_limit ON true
    WHERE kept.id = ANY(%s)
"""  # noqa: S608 - names of ours


class _Row(NamedTuple):
    session: int
    status: str
    assigned_at: datetime | None
    preferences: int | None
    profile_type: str | None
    departure: datetime | None
    changed_at: datetime | None
    method: str | None
    body: bytes | None
    set_at: datetime | None
    sent_at: datetime | None
    limit_changed_at: datetime | None


def facts_of(
    sessions: list[int], now: datetime, rates: FullRates | None = None
) -> dict[int, Facts]:
    """What is known of them, by one statement; `rates` where those of this turn are known."""
    rows, kept = _read(sessions)
    rates = rates or FullRates(now)
    return {pk: _facts(row, kept.get(pk), now, rates) for pk, row in rows.items()}


def _read(sessions: list[int]) -> tuple[dict[int, _Row], dict[int, Any]]:
    """What is known of them, and those that a profile may limit."""
    rows = {row[0]: _Row(*row) for row in sql.run(_FACTS, (sessions,))}
    limiting = [pk for pk, row in rows.items() if row.method == "PUT"]
    return rows, Session.objects.in_bulk(limiting)


def _facts(row: _Row, session: Session | None, now: datetime, rates: FullRates) -> Facts:
    profile = None
    if row.method == "PUT" and row.body is not None and row.set_at is not None:
        profile = Profile.read(bytes(row.body), row.set_at)
    return Facts(
        now=now,
        is_over=row.status in OVER,
        assigned_at=row.assigned_at,
        preferences=row.preferences,
        profile_type=row.profile_type or "",
        departure=row.departure and lenient.clamped(row.departure),
        changed_at=row.changed_at,
        profile=profile,
        sent_at=row.sent_at,
        limit_changed_at=row.limit_changed_at,
        full=_full(row, session, rates),
    )


def _full(row: _Row, session: Session | None, rates: FullRates) -> FullRate:
    """Where no limit of a site is in force there is no share to work out."""
    if session is None:
        return FullRate()
    return of_connector(session) if row.limit_changed_at is None else rates.of(session)
