"""What must be so when nothing more follows in a history, and what the hub says of its way."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from charging_profiles.models import ProfileCommand, Purpose
from flex.models import FspAssignment, JournalEntry
from flex.switching.models import FspSwitch
from flex.switching.steps import ENDS, Step
from hub.db import sql
from sessions.models import Session
from tests.flex.histories.cpo import profile_of
from tests.flex.histories.judge import Judge, Sent


def left(session: Session, judge: Judge, now: float) -> list[str]:
    """What has not come to its end, and what binds without a word."""
    waiting = ProfileCommand.objects.filter(
        session=session, state__in=["WAITING", "SENDING", "ACCEPTED"]
    )
    faults = [f"{command} has not ended" for command in waiting]
    switches = FspSwitch.objects.filter(session=session).order_by("pk")
    for one in switches:
        # A release goes on until it is taken, and the operator is told.
        if one.step not in ENDS and not (one.needs_attention and one.step == Step.RELEASING):
            faults.append(f"{one} has not ended: {_told(one)}")
    if any(one.needs_attention for one in switches):
        return faults
    current = FspAssignment.current(session)
    limit = judge.cpo.limit(now)
    if current is None or current.fsp is None:
        if limit is not None and limit < judge.cpo.site:
            faults.append(f"nobody steers, and {limit} A are left without a word")
        return faults
    wanted = judge.last_of(current.epoch)
    says = None if wanted is None else wanted.at(now)
    if says is not None and limit != says:
        faults.append(f"{says} A were set last, and {limit} A limit without a word")
    return faults


def _told(switch: FspSwitch) -> str:
    steps = [f"{one.at:%H:%M:%S} {one.step} {one.why}" for one in switch.steps.order_by("pk")]
    return "; ".join([*steps, f"due {switch.due_at:%H:%M:%S}, command {switch.looked_at}"])


def is_at_rest(session: Session) -> bool:
    """Nothing of it waits for anything: no command, no switch, nobody left out, no look to come."""
    return bool(sql.run(_IS_AT_REST, {"session": session.pk})[0][0])


_IS_AT_REST: Final = """
    SELECT NOT EXISTS (SELECT FROM ocpi_charging_profiles_profilecommand
                       WHERE session_id = %(session)s
                         AND (state IN ('WAITING', 'SENDING', 'ACCEPTED') OR in_force <> ''
                              AND in_force IN ('DUE', 'ASKED')))
       AND NOT EXISTS (SELECT FROM flex_switching_fspswitch
                       WHERE session_id = %(session)s AND ended_at IS NULL)
       AND NOT EXISTS (SELECT FROM flex_life_hubcommand
                       WHERE session_id = %(session)s AND step IN ('DUE', 'AT_CPO', 'VERIFYING'))
       AND NOT EXISTS (SELECT FROM flex_switching_fspfailure
                       WHERE session_id = %(session)s AND NOT is_past)
       AND NOT EXISTS (SELECT FROM flex_life_steeredsession
                       WHERE session_id = %(session)s
                         AND (due_at IS NOT NULL OR silent_since IS NOT NULL))
"""


@contextmanager
def errors_of(*names: str) -> Iterator[list[str]]:
    """What these parts of the hub log as errors: turns go on past one item that fails."""
    found: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(f"{record.name}: {self.format(record)}")

    handler = Keeping(logging.ERROR)
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield found
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def journal(session: Session) -> list[str]:
    """What the hub says of it: the way of what went wrong."""
    lines = JournalEntry.objects.filter(session=session).order_by("pk")
    return [f"  {one.written_at:%H:%M:%S} {one.topic} {one.reason}" for one in lines]


def counted(session: Session, judge: Judge) -> dict[str, int]:
    """What there was of it."""
    switches = FspSwitch.objects.filter(session=session)
    return {
        "commands": ProfileCommand.objects.filter(session=session).count(),
        "switches": switches.count(),
        "attention": switches.filter(needs_attention=True).count(),
        "gaps": judge.gaps,
        "stale": judge.stale,
        "disorders": judge.disorders,
    }


def sent_of(command: ProfileCommand) -> Sent:
    """A command as the judge sees it."""
    profile = None
    if command.method == "PUT":
        found: dict[str, Any] = json.loads(bytes(command.body))["charging_profile"]
        profile = profile_of(found, command.created_at.timestamp())
    return Sent(
        command.pk,
        command.method,
        str(command.fsp),
        command.epoch,
        profile,
        is_release=command.purpose == Purpose.RELEASE,
        is_clearing=command.purpose == Purpose.CLEAR,
    )
