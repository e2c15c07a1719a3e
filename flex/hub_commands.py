"""The hub's own commands to a session's CPO: to know the active profile, to release the session.

mod_charging_profiles, Receiver; docs/decisions/0037. A wish is a row (flex/life/models.py). The
turn of each second takes it from step to step, whichever process has it, and each step is one
transaction. Nobody is told a result: the rows of the ProfileCommands have them.
"""

from datetime import datetime
from typing import Any, Final

from charging_profiles.models import UNSENT, CommandState, ProfileCommand
from flex.full_rate import FullRates
from flex.life import asking, releasing
from flex.life.locking import lock
from flex.life.models import HubCommand, Step, Wish
from hub.db import leases, sql
from hub.db.leases import NOW
from hub.db.one_by_one import each
from hub.ocpi.party import PartyId
from sessions.models import Session


def ask_active(
    session: Session, why: str, *, since: datetime | None = None, former: PartyId | None = None
) -> HubCommand:
    """Have the CPO asked for the active profile, by whatever GET is on its way or by one more.

    `since` is when it must have been asked at the earliest (by default just now); `former` in whose
    name, in place of the FSP's. Its `step` becomes DONE when the CPO has told, FAILED when it
    cannot; what was told is read by `flex.knowledge.active.latest`. Part of the caller's
    transaction.
    """
    return asking.ask_active(session, why, since=since, former=former)


def release(session: Session, why: str, *, former: PartyId | None = None) -> HubCommand:
    """Have the session released to its full rate, until the CPO has taken it or the session ends.

    By DELETE, or where this CPO ignores or does not support that, by a full-rate profile; in the
    name of `former`, else of the FSP that the session has or had last. It is verified by a GET. It
    ends without effect where a later profile of the FSP's, or a later assignment, makes it
    pointless. One release of a session is under way at a time: a second wish is the first. Part of
    the caller's transaction.
    """
    return releasing.release(session, why, former=former)


# A request of which there is more to come.
ON_ITS_WAY: Final = (*UNSENT, CommandState.ACCEPTED)
_COMMANDS: Final = ProfileCommand._meta.db_table
# What can go on: the request that it waits for has ended, or its time has come.
_DUE: Final = f"""
    SELECT one.id, one.session_id FROM flex_life_hubcommand AS one
    LEFT JOIN {_COMMANDS} AS command ON command.id = one.command_id
    LEFT JOIN flex_life_hubcommand AS ask ON ask.id = one.verified_by_id
    WHERE one.step IN ('DUE', 'AT_CPO', 'VERIFYING') AND CASE one.step
        WHEN 'DUE' THEN one.due_at <= {NOW}
        WHEN 'AT_CPO' THEN CASE WHEN command.id IS NULL THEN one.due_at <= {NOW}
            ELSE command.state NOT IN ('WAITING', 'SENDING', 'ACCEPTED') END
        ELSE coalesce(ask.step, '') NOT IN ('DUE', 'AT_CPO')
    END
    ORDER BY one.due_at, one.id LIMIT 200
"""  # noqa: S608 - names of ours


# Behind the others: many that fail must not fill the turn.
_LATER: Final = f"""
    UPDATE flex_life_hubcommand SET due_at = {NOW} + interval '1 minute' WHERE id = ANY(%s)
"""  # noqa: S608 - names of ours


def advance() -> int:
    """Take each that can go on one step further; how many. Safe to run twice at once."""
    found = dict(sql.run(_DUE))
    if not found:
        return 0
    rates = FullRates(leases.now())

    def go_on(pk: int) -> None:
        lock(found[pk])
        rows: Any = HubCommand.objects.select_related("session", "command", "verified_by__command")
        row = rows.select_for_update(of=("self",)).filter(pk=pk).first()
        if row is not None and row.is_open and not _is_too_early(row):
            if row.wish == Wish.ASK:
                asking.go_on(row)
            else:
                releasing.go_on(row, rates)

    if failed := each(found, go_on):
        sql.run(_LATER, (failed,))
    return len(found)


def _is_too_early(row: HubCommand) -> bool:
    """Whether another process has taken this step meanwhile."""
    if row.step == Step.DUE:
        return row.due_at > leases.now()
    if row.step == Step.VERIFYING:
        return row.verified_by is not None and row.verified_by.is_open
    if row.command is None:
        return row.due_at > leases.now()
    return row.command.state in ON_ITS_WAY
