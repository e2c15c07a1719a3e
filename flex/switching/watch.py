"""By the clock: who is FSP and cannot be it any more, or does not act; the next in the order is.

SCALE D2.3, 11.4. Lost (no credentials, suspended, agreement or pair ended): at once. OFFLINE: after
a grace, in which its profile stays. Silent: flex/life/silence.py says when. Whoever fails is left
out of the session's choice for a while, which is written down.
"""

import logging
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from flex import assignment
from flex.facts import cannot_act
from flex.life import watching
from flex.models import FspAssignment
from flex.switching.models import FspFailure
from hub.db import leases, sql
from hub.db.leases import NOW
from hub.db.one_by_one import each
from hub.ocpi.datatypes import ConnectionStatus
from hub.ocpi.party import PartyId
from hub.routing.directory import Directory, holder
from sessions.models import Session
from sessions.objects import OVER

logger = logging.getLogger(__name__)
# Seconds after which all are looked at, though the directory says nothing new: whoever cannot act
# is not chosen, so only a choice made while it changed can be missed.
LOOK_AGAIN: Final = 60.0
END_AGAIN: Final = 300.0
_OVER: Final = ", ".join(f"'{status}'" for status in OVER)
_OPEN: Final = f"""
    one.ended_at IS NULL AND one.fsp_party_id <> '' AND kept.status NOT IN ({_OVER})
"""
_PAIRS: Final = f"""
    SELECT DISTINCT upper(one.fsp_country_code), upper(one.fsp_party_id),
           upper(kept.country_code), upper(kept.party_id)
    FROM flex_fspassignment AS one JOIN ocpi_sessions_session AS kept ON kept.id = one.session_id
    WHERE {_OPEN}
"""  # noqa: S608 - names of ours
_SESSIONS: Final = f"""
    SELECT {sql.columns(Session, "kept")} FROM flex_fspassignment AS one
    JOIN ocpi_sessions_session AS kept ON kept.id = one.session_id
    WHERE {_OPEN} AND upper(one.fsp_country_code) = %s AND upper(one.fsp_party_id) = %s
      AND (%s::text IS NULL OR upper(kept.country_code) || '-' || upper(kept.party_id) = %s::text)
    ORDER BY one.session_id LIMIT 500
"""  # noqa: S608 - names of ours
# What is told of a session that has ended still goes to who was its FSP, for a few hours.
_END: Final = f"""
    WITH going_on AS MATERIALIZED (
        SELECT id, session_id FROM flex_fspassignment WHERE ended_at IS NULL
    ), over AS MATERIALIZED (
        SELECT going_on.id FROM going_on, LATERAL (
            SELECT FROM ocpi_sessions_session AS kept
            WHERE kept.id = going_on.session_id AND kept.status IN ({_OVER})
              AND kept.received_at < {NOW} - interval '3 hours' OFFSET 0) AS ended
    )
    UPDATE flex_fspassignment AS one SET ended_at = {NOW}, end_reason = 'The session has ended.'
    FROM over WHERE one.id = over.id AND one.ended_at IS NULL
"""  # noqa: S608 - names of ours
_PAST: Final = f"""
    SELECT id FROM flex_switching_fspfailure WHERE NOT is_past AND until <= {NOW} LIMIT 200
"""  # noqa: S608 - names of ours
_AWAY: Final = f"""
    SELECT DISTINCT upper(country_code), upper(party_id) FROM hub_party
    WHERE status = 'OFFLINE' AND last_updated < {NOW} - %s::float8 * interval '1 second'
"""  # noqa: S608 - names of ours


class _Looked:
    """Of which directory this process has looked at all, when, and when it has ended some."""

    version = -1
    at = 0.0
    ended_at = 0.0


def take() -> None:
    """Look at those that may have failed. Safe to run twice at once."""
    directory = holder.refresh()
    _lost(directory)
    _away(directory)
    each(watching.silent_sessions(), lambda silent: _silent(*silent))
    _past(directory)
    _end_of_ended()


def _silent(session: Session, why: str) -> None:
    current = FspAssignment.current(session)
    if current is not None and current.fsp is not None:
        fails(session, current.fsp, f"{current.fsp} is silent: {why}.")


def _lost(directory: Directory) -> None:
    now = leases.clock()
    if directory.version == _Looked.version and now - _Looked.at < LOOK_AGAIN:
        return
    for fsp_country, fsp_id, cpo_country, cpo_id in sql.run(_PAIRS):
        fsp, cpo = PartyId(fsp_country, fsp_id), PartyId(cpo_country, cpo_id)
        why = cannot_act(directory, fsp, cpo)
        if why is not None:
            _all_fail(fsp, cpo, why)
    _Looked.version, _Looked.at = directory.version, now


def _end_of_ended() -> None:
    """Only sessions that go on have an FSP: what is looked through stays short."""
    now = leases.clock()
    if now - _Looked.ended_at >= END_AGAIN:
        sql.run(_END)
        _Looked.ended_at = now


def _away(directory: Directory) -> None:
    """Those that have been OFFLINE for longer than the grace."""
    if all(entry.status != ConnectionStatus.OFFLINE for entry in directory.parties.values()):
        return
    for names in sql.run(_AWAY, [settings.FSP_OFFLINE_GRACE]):
        fsp = PartyId(*names)
        _all_fail(fsp, None, f"{fsp} has been OFFLINE for {settings.FSP_OFFLINE_GRACE:g} s.")


def _all_fail(fsp: PartyId, cpo: PartyId | None, why: str) -> None:
    owner = None if cpo is None else str(cpo)
    each(
        sql.rows(Session, _SESSIONS, [*fsp, owner, owner]),
        lambda session: fails(session, fsp, why),
    )


def fails(session: Session, fsp: PartyId, why: str) -> None:
    """It is left out of this session's choice for a while, and the next in the order takes over."""
    with transaction.atomic():
        kept = assignment.locked(session)  # First of all locks, as everywhere.
        acting = None if kept is None else FspAssignment.current(kept)
        if acting is None or acting.fsp != fsp:
            return  # Another turn has seen the same failure: it counts once.
        FspFailure.add(session, fsp, why, settings.FSP_LEFT_OUT)
        current = assignment.reconsider(session, why)
        watching.silence_has_ended(session)
    is_now = "nobody" if current is None else current.label
    logger.warning("session %s: %s FSP is %s now", session.session_id, why, is_now)


def _past(directory: Directory) -> None:
    """Those that were left out for long enough may be chosen again, where nobody is FSP."""
    due = [pk for (pk,) in sql.run(_PAST)]
    rows = FspFailure.objects.filter(pk__in=due).select_related("session") if due else ()
    failed = each(rows, lambda row: _may_act_again(row, directory))
    if failed:
        # Behind the others: many that fail must not fill the turn.
        again = leases.now() + timedelta(seconds=END_AGAIN)
        FspFailure.objects.filter(pk__in=[row.pk for row in failed]).update(until=again)


def _may_act_again(row: FspFailure, directory: Directory) -> None:
    fsp = PartyId.of(row.fsp_country_code, row.fsp_party_id)
    why = None if row.session.is_over else cannot_act(directory, fsp, row.session.owner)
    if why is not None:
        row.stays_out(why, settings.FSP_LEFT_OUT)
        return
    row.is_past = True
    row.save(update_fields=["is_past"])
    if FspAssignment.current(row.session) is None:
        assignment.reconsider(row.session, f"{fsp} is not left out any more")
