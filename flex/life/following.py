"""What follows the end of a command, of whomever, is set going (the table: flex/life/table.py).

A turn finds in SQL the commands that ended badly and that nothing has followed yet. Each is one
transaction: what follows is written with the mark that it was.
"""

from typing import Any, Final

from django.db.models.functions import Now

from charging_profiles.models import BAD_ENDS, ProfileCommand, Purpose
from flex.journal import Topic, note
from flex.life import asking, means, spacing, unknown
from flex.life.locking import lock
from flex.life.models import WhyNot
from flex.life.table import Follows, Then, follows, how_it_ended
from hub.db import leases, sql
from hub.db.one_by_one import each
from hub.models.pulls import Pull
from hub.workers.wake import wake
from sessions.models import Session

_TO_FOLLOW: Final = f"""
    SELECT id, session_id FROM {ProfileCommand._meta.db_table}
    WHERE NOT is_followed AND state IN ({", ".join(f"'{state.value}'" for state in BAD_ENDS)})
      AND id <> ALL(%s)
    ORDER BY id LIMIT 200
"""  # noqa: S608 - names of ours


# Those that failed in this process, until when they are left out: many must not fill the turn.
_failed: Final[dict[int, float]] = {}
_AGAIN: Final = 60.0  # seconds


def follow_all() -> int:
    """Set going what follows; how many commands. Safe to run twice at once."""
    now = leases.clock()
    for pk in [pk for pk, until in _failed.items() if until <= now]:
        del _failed[pk]
    found = dict(sql.run(_TO_FOLLOW, (list(_failed),)))

    def follow(pk: int) -> None:
        if found[pk] is not None:
            lock(found[pk])
        if ProfileCommand.objects.filter(pk=pk, is_followed=False).update(is_followed=True):
            _follow(ProfileCommand.objects.select_related("session").get(pk=pk))

    _failed.update(dict.fromkeys(each(found, follow), now + _AGAIN))
    return len(found)


def _follow(command: ProfileCommand) -> None:
    how = how_it_ended(command)
    line = follows(command.method, how)
    if command.session is not None:
        _note(command.session, command, how, line)
    _SET_GOING[line.then](command)


def _note(session: Session, command: ProfileCommand, how: str, line: Follows) -> None:
    if command.purpose == Purpose.RELEASE:
        return  # releasing.py says how that goes on.
    whose = "the hub's" if command.purpose else f"{command.fsp}'s"
    note(
        session.pk,
        Topic.COMMAND,
        f"{whose} {command.method} ended as {how}. {line.reason}",
        method=command.method,
        ended=how,
        fsp=str(command.fsp),
        correlation_id=command.correlation_id,
        follows=line.then,
    )


def _nothing(_: ProfileCommand) -> None:
    pass


def _ask(command: ProfileCommand) -> None:
    """A release asks by itself."""
    session = command.session
    if session is not None and not session.is_over and command.purpose != Purpose.RELEASE:
        why = f"the {command.method} of {command.fsp} ended as {how_it_ended(command)}"
        asking.ask_active(session, why, since=leases.now())


def _ask_if_left(command: ProfileCommand) -> None:
    if command.sent_at is not None:
        _ask(command)


def _learn_spacing(command: ProfileCommand) -> None:
    spacing.learn(command)


def _learn_unsupported(command: ProfileCommand) -> None:
    if command.session is not None:
        means.learn(command.session, command.method, WhyNot.NOT_SUPPORTED)


def _look_at_session(command: ProfileCommand) -> None:
    """Mark it, and have the CPO's list of Sessions read where it is one that the hub reads."""
    session = command.session
    if session is None:
        return
    unknown.mark(session)
    lists = Pull.objects.filter(
        platform_id=command.cpo_platform_id,
        module="sessions",
        country_code=session.owner.country_code,
        party_id=session.owner.party_id,
    )
    if lists.update(is_requested=True, due_at=Now()):
        wake("pulls.take_turn", command.cpo_platform_id)


_SET_GOING: Final[dict[Then, Any]] = {
    Then.NOTHING: _nothing,
    Then.ASK: _ask,
    Then.ASK_IF_LEFT: _ask_if_left,
    Then.LEARN_SPACING: _learn_spacing,
    Then.LEARN_UNSUPPORTED: _learn_unsupported,
    Then.LOOK_AT_SESSION: _look_at_session,
}
