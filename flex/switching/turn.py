"""By the clock: takes each switch of FSP a step further, whichever process comes first.

A step is one transaction: what is done, where the switch then stands, and the line in the journal.
steps.py says which; here it is done.
"""

from datetime import timedelta
from typing import Any, Final

from django.conf import settings

from charging_profiles.models import ProfileCommand
from flex import assignment, hub_commands, journal
from flex.journal import Topic
from flex.switching import commands, giving
from flex.switching.facts import Known
from flex.switching.models import CpoSlots, FspFailure, FspSwitch
from flex.switching.steps import Do, Next, Setting, Step, next_step
from hub.db import leases, sql
from hub.db.leases import NOW
from hub.db.one_by_one import each
from sessions.models import Session

_COMMANDS: Final = ProfileCommand._meta.db_table
_ENDED: Final = "NOT IN ('WAITING', 'SENDING', 'ACCEPTED')"
# Those whose time has come, and those for which something has come to its end.
_DUE: Final = f"""
    SELECT one.id, one.session_id FROM flex_switching_fspswitch AS one
    LEFT JOIN flex_life_hubcommand AS ask ON ask.id = one.ask_id
    LEFT JOIN flex_life_hubcommand AS release ON release.id = one.release_id
    LEFT JOIN {_COMMANDS} AS clear ON clear.id = one.clear_id
    WHERE one.ended_at IS NULL AND (one.due_at <= {NOW} OR CASE one.step
        WHEN 'ASKED' THEN ask.ended_at > one.looked_at_on
        WHEN 'RELEASING' THEN release.ended_at > one.looked_at_on
        WHEN 'CLEARING' THEN clear.state {_ENDED}
        ELSE false
    END OR EXISTS (
        SELECT FROM {_COMMANDS} AS command
        WHERE command.session_id = one.session_id AND command.method <> 'GET'
          AND command.id > one.looked_at AND (command.epoch = one.epoch OR command.epoch = 0
              AND command.created_at >= one.since AND EXISTS (
                  SELECT FROM flex_fspassignment AS current
                  WHERE current.session_id = one.session_id AND current.ended_at IS NULL
                    AND current.is_first_put
                    AND upper(current.fsp_country_code) = upper(command.fsp_country_code)
                    AND upper(current.fsp_party_id) = upper(command.fsp_party_id)))
          AND command.purpose IN ('', 'AGAIN') AND command.state {_ENDED}))
    ORDER BY one.due_at, one.id LIMIT 200
"""  # noqa: S608 - names of ours
# Behind the others: many that fail must not fill the turn.
_LATER: Final = f"""
    UPDATE flex_switching_fspswitch SET due_at = {NOW} + interval '1 minute' WHERE id = ANY(%s)
"""  # noqa: S608 - names of ours
_LOCK: Final = """
    SELECT true FROM ocpi_sessions_session WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED
"""


def take() -> int:
    """Take each that can go on as far as it goes; how many. Safe to run twice at once."""
    found = dict(sql.run(_DUE))

    def go_on(pk: int) -> None:
        _go_on(pk, found[pk])

    if failed := each(found, go_on):
        sql.run(_LATER, (failed,))
    return len(found)


def _go_on(pk: int, session: int) -> None:
    """One step. A Session that somebody has locked comes in the next turn: assignments lock it."""
    if not sql.run(_LOCK, [session]):
        return
    rows: Any = FspSwitch.objects.select_related(
        "session", "ask__command", "release", "clear"
    ).select_for_update(of=("self",))
    switch = rows.filter(pk=pk, ended_at__isnull=True).first()
    if switch is None:
        return
    now = leases.now()
    known = Known(switch, now)
    following = next_step(known.facts, now, setting())
    _do(switch, known, following)
    if switch.release is not None and switch.release.is_told and not switch.needs_attention:
        switch.needs_attention = True
        switch.goes_to(Step(switch.step), "The release does not go as it should.")
    if switch.ended_at is None:
        switch.due_at = following.due or now + timedelta(seconds=20)
    if switch.looked_at_on is None and known.current is not None:
        # Deliveries keep their order within a module: the Session has had this time to be first.
        giving.give_active(switch.session, known.current)
    switch.looked_at_on = now
    switch.save()
    if following.learned is not None:
        # After it is saved: what is known now may take this very switch further.
        CpoSlots.learn(
            switch.session.owner,
            following.learned,
            f"session {switch.session.session_id}: {following.why or switch.because}",
        )


def setting() -> Setting:
    """As the operator has set it."""
    return Setting(put_within=timedelta(seconds=settings.FSP_SILENCE))


def _do(switch: FspSwitch, known: Known, following: Next) -> None:
    if following.do is Do.WAIT:
        # Nothing is done: only a new PUT takes it to an earlier step.
        switch.step = following.step.value
        return
    switch.goes_to(following.step, following.why)
    match following.do:
        case Do.ASK:
            switch.tries += 1
            _finish_clearing(switch, known)
            switch.ask = hub_commands.ask_active(switch.session, following.why, since=leases.now())
        case Do.SEND_AGAIN:
            switch.sent_again += 1
            if known.put is not None:
                commands.send_again(known.put)
        case Do.CLEAR:
            _clear(switch, following)
        case Do.RELEASE:
            _release(switch, following)
        case Do.REPLACE:
            switch.save()
            _replace(switch, known, following)
    _note(switch, following)


def _finish_clearing(switch: FspSwitch, known: Known) -> None:
    """Whose profile was cleared need not be cleared again."""
    clear = switch.clear
    if clear is None:
        return
    if known.is_cleared:
        switch.cleared = [*switch.cleared, str(clear.fsp)]
        switch.tries = 0
    switch.clear = None


def _clear(switch: FspSwitch, following: Next) -> None:
    assert following.former is not None  # noqa: S101 - narrows for mypy
    former = ProfileCommand.objects.get(pk=following.former.command)
    switch.clear = commands.clear(former, switch.epoch)


def _release(switch: FspSwitch, following: Next) -> None:
    former = following.former
    fsp = None if former is None else former.fsp
    switch.release = hub_commands.release(switch.session, following.why, former=fsp)
    # One that was under way may be in the name of another.
    if fsp is not None and switch.release.fsp == fsp:
        switch.cleared = [*switch.cleared, str(fsp)]


def _replace(switch: FspSwitch, known: Known, following: Next) -> None:
    """The next in the order takes over; without one the session is released."""
    if known.current is not None:
        leave_out(switch.session, known.current.fsp, following.why)
    assignment.reconsider(switch.session, following.why)


def leave_out(session: Session, fsp: Any, why: str) -> None:
    """It is not chosen for this session for a while."""
    if fsp is not None:
        FspFailure.add(session, fsp, why, settings.FSP_LEFT_OUT)


def _note(switch: FspSwitch, following: Next) -> None:
    journal.note(
        switch.session_id,
        Topic.RELEASE if following.do is Do.RELEASE else Topic.ASSIGNMENT,
        f"Switch from {switch.former} to {switch.new}: {following.why}",
        switch=switch.pk,
        step=following.step.value,
        attention=following.step == Step.ATTENTION,
    )
