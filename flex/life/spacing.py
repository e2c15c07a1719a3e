"""Seconds between commands that a CPO wants, learned from its TOO_OFTEN (mod_charging_profiles).

OCPI has no field for it. Pure rules first; then what they read and write: a row per CPO, of GETs
and of changes, within one session and over all. Only the hub's own GETs obey it.
"""

from datetime import datetime, timedelta
from typing import Final

from charging_profiles.models import ProfileCommand
from flex.life.models import Spacing
from hub.db import leases, sql
from hub.db.leases import NOW
from hub.ocpi.party import PartyId
from sessions.models import Session

LEAST: Final = 1.0
# No CPO wants more than ten minutes: what was refused after longer was refused for something else.
MOST: Final = 600.0
# How far above a spacing that was refused the next guess is.
_UP: Final = 1.5
# What one accepted command takes off what it did not need to be shorter than.
_DOWN: Final = 0.95
# How far back commands are looked for, in seconds.
_BACK: Final = 3600


def after_refusal(learned: float, gap: float) -> float:
    """What is learned when a command came `gap` seconds after the one before, and was TOO_OFTEN."""
    return min(max(learned, gap * _UP, LEAST), MOST)


def after_acceptance(learned: float, gap: float) -> float:
    """The same when it was accepted: so much was not needed, or perhaps a little less is enough.

    One shorter spacing may have been luck (a CPO may count a number in some minutes): it takes off
    a half at most. 0 when nothing is left of it.
    """
    found = max(gap, learned / 2) if gap < learned else learned * _DOWN
    return found if found >= LEAST else 0.0


# --- Rows -----------------------------------------------------------------------------------------

_TABLE: Final = ProfileCommand._meta.db_table
_SENT: Final = f"""
    SELECT extract(epoch FROM %(sent_at)s - max(other.sent_at))::float8
    FROM {_TABLE} AS other
    WHERE other.id <> %(id)s AND (other.method = 'GET') = %(is_get)s
      AND other.sent_at < %(sent_at)s AND other.created_at > {NOW} - {_BACK} * interval '1 second'
      AND {{which}}
"""  # noqa: S608 - names of ours
_WITHIN: Final = {
    Spacing.Within.SESSION: "other.session_id = %(session)s",
    Spacing.Within.CPO: (
        "upper(other.cpo_country_code) = %(country_code)s AND upper(other.cpo_party_id) = "
        "%(party_id)s"
    ),
}
_LEARN: Final = f"""
    INSERT INTO flex_life_spacing AS known (country_code, party_id, of, within, seconds, refusals,
                                            refused_at, looked_at)
    VALUES (%s, %s, %s, %s, %s, 1, {NOW}, {NOW})
    ON CONFLICT (country_code, party_id, of, within) DO UPDATE
    SET seconds = excluded.seconds, refusals = known.refusals + 1, refused_at = excluded.refused_at,
        looked_at = excluded.looked_at
"""  # noqa: S608 - names of ours


def learn(command: ProfileCommand) -> Spacing | None:
    """Count in a command that was TOO_OFTEN; None where none before it could be the reason.

    What was sent for the same session within an hour is the reason; else what was sent to the CPO.
    """
    of = _of(command.method)
    for within, which in _WITHIN.items():
        if command.sent_at is None or (command.session_id is None and "session" in which):
            continue
        [(gap,)] = sql.run(
            _SENT.format(which=which),
            {
                "id": command.pk,
                "sent_at": command.sent_at,
                "is_get": command.method == "GET",
                "session": command.session_id,
                "country_code": command.cpo.country_code,
                "party_id": command.cpo.party_id,
            },
        )
        if gap is None:
            continue
        rows = Spacing.objects.filter(**_key(command.cpo), of=of, within=within)
        known = rows.first()
        seconds = after_refusal(known.seconds if known else 0.0, float(gap))
        sql.run(_LEARN, (*command.cpo, of, within, seconds))
        return rows.get()
    return None


def _of(method: str) -> Spacing.Of:
    return Spacing.Of.GET if method == "GET" else Spacing.Of.CHANGE


def _key(cpo: PartyId) -> dict[str, str]:
    return {"country_code": cpo.country_code, "party_id": cpo.party_id}


_LAST: Final = f"""
    SELECT extract(epoch FROM {NOW} - max(other.sent_at))::float8 FROM {_TABLE} AS other
    WHERE other.method = 'GET' AND other.created_at > {NOW} - {_BACK} * interval '1 second'
      AND {{which}}
"""  # noqa: S608 - names of ours


def seconds_until_get(session: Session) -> float:
    """How long the hub's own GET of a session has to wait; 0 where nothing is learned."""
    longest = 0.0
    for known in Spacing.objects.filter(**_key(session.owner), of=Spacing.Of.GET):
        values = {"session": session.pk, **_key(session.owner)}
        [(ago,)] = sql.run(_LAST.format(which=_WITHIN[Spacing.Within(known.within)]), values)
        if ago is not None:
            longest = max(longest, known.seconds - float(ago))
    return longest


def of_cpo(cpo: PartyId) -> list[Spacing]:
    """What is learned of a CPO, for the flex API and the console."""
    return list(Spacing.objects.filter(**_key(cpo)).order_by("of", "within"))


# --- What turned out not to be needed -------------------------------------------------------------

_LOOK_EVERY: Final = timedelta(seconds=10)
_ACCEPTED: Final = f"""
    SELECT min(gap)::float8 FROM (
        SELECT command.state, command.sent_at, extract(epoch FROM command.sent_at - lag(
            command.sent_at) OVER (PARTITION BY {{partition}} ORDER BY command.sent_at)) AS gap
        FROM {_TABLE} AS command
        WHERE command.created_at > %(since)s AND (command.method = 'GET') = %(is_get)s
          AND upper(command.cpo_country_code) = %(country_code)s
          AND upper(command.cpo_party_id) = %(party_id)s AND command.sent_at IS NOT NULL
    ) AS sent
    WHERE sent_at > %(looked_at)s
      AND state NOT IN ('WAITING', 'SENDING', 'REFUSED', 'UNREACHABLE', 'TIMED_OUT', 'NO_RESULT')
"""  # noqa: S608 - names of ours


def forget_what_was_not_needed() -> None:
    """Count in what CPOs have accepted since; the longer the spacing, the more seldom."""
    if not Spacing.objects.exists():
        return
    now = leases.now()
    for known in Spacing.objects.filter(looked_at__lt=now - _LOOK_EVERY):
        if now - known.looked_at < timedelta(seconds=known.seconds / 2):
            continue
        gap, known.looked_at = _shortest_accepted(known, now), now
        if gap is not None:
            known.seconds = after_acceptance(known.seconds, gap)
        if known.seconds:
            known.save(update_fields=["looked_at", "seconds"])
        else:
            known.delete()


def _shortest_accepted(known: Spacing, now: datetime) -> float | None:
    within_session = known.within == Spacing.Within.SESSION
    back = timedelta(seconds=min(2 * known.seconds, _BACK))
    [(gap,)] = sql.run(
        _ACCEPTED.format(partition="command.lane" if within_session else "true"),
        {
            "since": max(known.looked_at, now - back) - back,
            "looked_at": known.looked_at,
            "is_get": known.of == Spacing.Of.GET,
            "country_code": known.country_code,
            "party_id": known.party_id,
        },
    )
    return None if gap is None else float(gap)
