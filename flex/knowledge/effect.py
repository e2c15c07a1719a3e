"""What each accepted profile has done to its session: said when asked, and kept by a turn.

`of` judges at the moment at which it is asked. The turn (`judge_due`) writes the same into rows,
tells the journal what has changed, and counts. SCALE D2.3, 11.4; judging.py has the rules.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from charging_profiles.models import ProfileCommand, ProfileUpdate
from flex import hub_commands, journal
from flex.journal import Topic
from flex.knowledge import bounds, by_plan, facts, judging
from flex.knowledge.facts import ACCEPTED, Facts, SetProfile
from flex.knowledge.models import LABELS, ProfileEffect
from flex.knowledge.verdicts import Effect, Verdict
from flex.sites.keeping import limits_of
from flex.sites.models import Site
from hub.db import leases, sql
from hub.db.leases import NOW
from hub.db.one_by_one import each
from hub.ocpi.party import PartyId
from sessions.models import Session

# So many are looked at in one turn; and a process that dies gives its own back after so long.
_A_TURN: Final = 100
_LEASE: Final = timedelta(seconds=60)
_TURN_SECONDS: Final = 4.0
# What was told may be committed so long after its time.
_COMMITTED: Final = "interval '2 seconds'"
# Numbers of commands are given out before they are accepted: so far back one may still be.
_BEHIND: Final = 5_000
# While it is not known, while it is, and after it was replaced: what was metered comes later.
_SOON: Final = timedelta(seconds=15)
_LATER: Final = timedelta(minutes=1)
_SELDOM: Final = timedelta(minutes=15)
# What is known, and has not been replaced, changes when something is told.
_STEADY: Final = timedelta(hours=1)
# So long the hub leaves it to the FSP to ask what is active.
_FSP_ASKS: Final = timedelta(seconds=60)
_WHY_ASKED: Final = "what its profile has done is not known"
_YOUNG: Final = timedelta(minutes=2)
_SPANS: Final = {
    "lease": _LEASE,
    "soon": _SOON,
    "later": _LATER,
    "seldom": _SELDOM,
    "steady": _STEADY,
    "young": _YOUNG,
    "asks": _FSP_ASKS,
}
_COMMANDS: Final = ProfileCommand._meta.db_table
_UPDATES: Final = ProfileUpdate._meta.db_table
_ENOUGH_INTERVALS: Final = 2
# Shares are told of so many days.
SHARE_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Effected:
    """An accepted profile and what it has done. `accepted_at`, `until`: the hub's clock."""

    command: int
    fsp: str
    correlation_id: str
    accepted_at: datetime
    until: datetime | None
    verdict: Verdict

    @property
    def label(self) -> str:
        """The verdict in words."""
        return LABELS[self.verdict.effect]


@dataclass(frozen=True, slots=True)
class Share:
    """Of how many profiles of a CPO the effect is known, among those of which it could be."""

    known: int
    counted: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None where nothing is counted."""
        return self.known / self.counted if self.counted else None


def of(session: Session, known: Facts | None = None) -> list[Effected]:
    """The profiles of a session that its CPO has accepted, the last one first.

    `known` are its facts, where the caller has them already.
    """
    known = known or facts.of(session)
    found = [
        _effected(one, _where(session, known, verdict)) for one, verdict in judging.judged(known)
    ]
    return found[::-1]


def current(session: Session, known: Facts | None = None) -> Effected | None:
    """That of the profile that was accepted last and has not been replaced; None: none is set."""
    known = known or facts.of(session)
    last = known.set[-1] if known.set else None
    if last is None or last.until is not None:
        return None
    return _effected(last, _judged(session, known, last))


def known_share(cpo: PartyId, *, days: int = SHARE_DAYS) -> Share:
    """Profiles accepted in the last days whose effect is known, of those that are counted."""
    since = timezone.now() - timedelta(days=days)
    rows = ProfileEffect.objects.filter(cpo=str(cpo), accepted_at__gte=since, is_counted=True)
    return Share(rows.exclude(effect=Effect.UNKNOWN).count(), rows.count())


def _effected(one: SetProfile, verdict: Verdict) -> Effected:
    return Effected(one.command, one.fsp, one.correlation_id, one.accepted_at, one.until, verdict)


def _judged(session: Session, known: Facts, one: SetProfile) -> Verdict:
    return _where(session, known, judging.judge(known, one))


def _where(session: Session, known: Facts, verdict: Verdict) -> Verdict:
    """With the limit of the site, where the EVSE has one of which nothing more is known."""
    if not verdict.limited_by.endswith(by_plan.AT_THE_EVSE):
        return verdict
    told = [
        f"site {site.name} may take {limit.normalize():f} {limits.unit}"
        for site in Site.around(session)
        for limits in limits_of(site)
        if (limit := limits.at(known.now)) is not None
    ]
    return verdict._replace(limited_by="; ".join([verdict.limited_by, *told]))


# --- By the clock ---------------------------------------------------------------------------------


# The anti-join looks at the newest effects alone, not at all that there are.
_ADD: Final = f"""
    WITH newest AS MATERIALIZED (
        SELECT coalesce(max(command_id), 0) - {_BEHIND} AS id FROM flex_knowledge_profileeffect
    )
    INSERT INTO flex_knowledge_profileeffect
        (command_id, session_id, cpo, effect, because, limited_by, pause, accepted_at, is_counted,
         is_asked, noted, due_at)
    SELECT command.id, command.session_id,
           upper(command.cpo_country_code) || '-' || upper(command.cpo_party_id), 'UNKNOWN', '', '',
           '', command.answered_at, false, false, '[]'::jsonb, {NOW}
    FROM ocpi_charging_profiles_profilecommand AS command
    WHERE command.id > (SELECT id FROM newest)
      AND command.method = 'PUT' AND command.session_id IS NOT NULL
      AND command.state = ANY(%s) AND command.answered_at IS NOT NULL
      AND NOT EXISTS (SELECT FROM flex_knowledge_profileeffect AS effect
                      WHERE effect.command_id = command.id
                        AND effect.command_id > (SELECT id FROM newest))
    ON CONFLICT (command_id) DO NOTHING
"""  # noqa: S608 - names of ours
# What has been told of its session since it was looked at, or what the clock alone may change. With
# nothing new it is not judged: of most profiles nobody tells anything for minutes.
_CLAIM: Final = f"""
    WITH due AS MATERIALIZED (
        SELECT command_id, session_id, accepted_at, looked_at, is_asked,
               CASE WHEN effect = 'UNKNOWN' OR EXISTS (
                   SELECT FROM flex_knowledge_profileeffect AS later
                   WHERE later.session_id = one.session_id AND later.command_id > one.command_id)
               THEN %(seldom)s::interval ELSE %(steady)s::interval END AS by_the_clock
        FROM flex_knowledge_profileeffect AS one
        WHERE due_at <= {NOW} ORDER BY due_at LIMIT {_A_TURN} FOR UPDATE OF one SKIP LOCKED
    ), judged AS (
        SELECT due.command_id, looked_at IS NULL OR looked_at < {NOW} - by_the_clock
               OR NOT is_asked AND accepted_at + %(asks)s::interval <= {NOW}
                  AND looked_at < accepted_at + %(asks)s::interval
               OR (SELECT received_at FROM ocpi_sessions_session WHERE id = due.session_id)
                  > looked_at - {_COMMITTED}
               OR EXISTS (SELECT FROM {_COMMANDS} AS command
                          WHERE command.session_id = due.session_id
                            AND greatest(created_at, sent_at, answered_at, result_at)
                                > looked_at - {_COMMITTED})
               OR EXISTS (SELECT FROM {_UPDATES} AS told WHERE told.session_id = due.session_id
                            AND told.received_at > looked_at - {_COMMITTED}) AS has_news
        FROM due
    )
    UPDATE flex_knowledge_profileeffect AS one SET due_at = {NOW} + CASE
        WHEN has_news THEN %(lease)s::interval
        WHEN effect <> 'UNKNOWN' OR accepted_at < {NOW} - %(seldom)s::interval
            THEN %(seldom)s::interval
        WHEN accepted_at > {NOW} - %(young)s::interval THEN %(soon)s::interval
        ELSE %(later)s::interval END
    FROM judged WHERE judged.command_id = one.command_id
    RETURNING one.session_id, has_news
"""  # noqa: S608 - names of ours
# Of one session, while it is judged. By hand: the ORM took half of the CPU of judging.
_EFFECTS: Final = ProfileEffect._meta.db_table
_OPEN: Final = f"""
    SELECT {sql.columns(ProfileEffect)} FROM {_EFFECTS}
    WHERE session_id = %s AND due_at IS NOT NULL ORDER BY command_id FOR UPDATE
"""  # noqa: S608 - names of ours
_KEEP: Final = f"""
    UPDATE {_EFFECTS} SET
        effect = %(effect)s, because = %(because)s, limited_by = %(limited_by)s,
        pause = %(pause)s, accepted_at = %(accepted_at)s, known_at = %(known_at)s,
        is_counted = %(is_counted)s, is_asked = %(is_asked)s, noted = %(noted)s::text::jsonb,
        due_at = %(due_at)s, looked_at = %(looked_at)s
    WHERE command_id = %(command_id)s
"""  # noqa: S608 - names of ours


def add_new() -> None:
    """Make rows for profiles that were accepted since, which are due at once."""
    sql.run(_ADD, [[str(state) for state in ACCEPTED]])


def judge_due() -> int:
    """Judge the profiles that are due; of how many sessions. Two processes may run it at once.

    It goes on while there are more, for as long as a turn may take.
    """
    add_new()
    number, until = 0, leases.clock() + _TURN_SECONDS
    while found := sql.run(_CLAIM, _SPANS):
        sessions = {pk for pk, has_news in found if has_news}
        # One that cannot be judged comes again when its lease ends.
        each(Session.objects.filter(pk__in=sessions), judge_session, is_atomic=False)
        number += len(sessions)
        if len(found) < _A_TURN or leases.clock() > until:
            break
    return number


@transaction.atomic
def judge_session(session: Session, now: datetime | None = None) -> None:
    """Write what is known of its open profiles, and tell what has changed."""
    looked_at = leases.now()
    known = facts.of(session, now)
    rows = {row.command_id: row for row in sql.rows(ProfileEffect, _OPEN, (session.pk,))}
    still_accepted = {one.command: (one, verdict) for one, verdict in judging.judged(known)}
    for command, row in rows.items():
        if command not in still_accepted:
            _end(row, "it did not come into force: the EVSE has refused it")
        else:
            one, verdict = still_accepted[command]
            _write(session, known, one, _where(session, known, verdict), row)
    if rows:
        _note_contradictions(session, known, list(rows.values()))
    for row in rows.values():
        row.looked_at = looked_at
        sql.run(_KEEP, sql.by_column(row) | {"noted": json.dumps(row.noted)})


def _write(
    session: Session, known: Facts, one: SetProfile, verdict: Verdict, row: ProfileEffect
) -> None:
    row.accepted_at = one.accepted_at
    before, row.effect = row.effect, verdict.effect
    row.because, row.limited_by = verdict.because[:200], verdict.limited_by[:100]
    row.pause = verdict.pause
    is_known = verdict.effect is not Effect.UNKNOWN
    if is_known and row.known_at is None:
        row.known_at = known.now
    intervals = intervals_since(known, one)
    could_be_known = intervals >= _ENOUGH_INTERVALS and verdict.because != by_plan.ASKS_NOTHING
    row.is_counted = is_known or could_be_known
    row.due_at = _due(known, one, is_known=is_known)
    if _is_to_be_asked(known, one, verdict, row):
        row.is_asked = True
        hub_commands.ask_active(session, _WHY_ASKED, since=one.accepted_at)
    if row.effect != before:
        limited = f" ({row.limited_by})" if row.limited_by else ""
        journal.note(
            session.pk,
            Topic.EFFECT,
            f"The profile of {one.fsp} is {LABELS[verdict.effect]}{limited}: {row.because}.",
            command=one.command,
            effect=verdict.effect,
            correlation_id=one.correlation_id,
            seen=None if verdict.seen is None else verdict.seen.correlation_id,
        )


def _is_to_be_asked(known: Facts, one: SetProfile, verdict: Verdict, row: ProfileEffect) -> bool:
    """Once for a profile, where neither its FSP has asked nor the CPO told what is active."""
    is_running = one.until is None and not known.is_over and not row.is_asked
    return is_running and verdict.seen is None and known.now >= one.accepted_at + _FSP_ASKS


def intervals_since(known: Facts, one: SetProfile) -> int:
    """How many metering intervals have ended that began while the profile held."""
    since = known.by_cpo(one.accepted_at)
    until = None if one.until is None else known.by_cpo(one.until)
    return sum(
        period.begin >= since
        and period.end is not None
        and (until is None or period.end <= until)
        and period.power is not None
        for period in known.metered
    )


def _due(known: Facts, one: SetProfile, *, is_known: bool) -> datetime | None:
    """When to look again. Of what has ended, the metered values may still come."""
    if known.is_over or (one.until is not None and known.now > one.until + _SELDOM):
        return None
    if is_known or one.until is not None:
        return known.now + _SELDOM
    age = known.now - one.accepted_at
    return known.now + (_SOON if age < _YOUNG else _LATER if age < _SELDOM else _SELDOM)


def _end(row: ProfileEffect, because: str) -> None:
    row.effect, row.because, row.is_counted, row.due_at = Effect.UNKNOWN, because, False, None


def _note_contradictions(session: Session, known: Facts, rows: Sequence[ProfileEffect]) -> None:
    """Each once, as long as it is the same one."""
    noted = {key for row in rows for key in row.noted}
    for anomaly in bounds.derive(known).anomalies:
        if anomaly.key not in noted:
            journal.note(
                session.pk,
                Topic.BOUND,
                f"Contradiction: {anomaly.sentence}",
                key=anomaly.key,
                observed_at=anomaly.observed_at.isoformat(),
            )
            rows[-1].noted = [*rows[-1].noted, anomaly.key]
