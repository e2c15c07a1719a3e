"""The active profiles of a session that the hub has seen, whoever asked (mod_charging_profiles).

The results of GETs, which stand with their commands, and what the CPO has sent by itself. Rows are
read, nothing is copied: `latest` is the truth of the moment at which it is asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from charging_profiles.models import CommandState, ProfileCommand, ProfileUpdate
from flex.knowledge.profiles import Profile
from hub.db import sql
from sessions.models import Session

# So many of each kind are looked at; the latest first.
_MOST: Final = 400
_NO_EFFECT: Final = frozenset(
    {
        *(CommandState.REFUSED, CommandState.SUPERSEDED, CommandState.WAITING),
        *(CommandState.RESULT_REJECTED, CommandState.RESULT_UNKNOWN),
    }
)


@dataclass(frozen=True, slots=True)
class Seen:
    """An active profile, and how the hub came to know it.

    `source` is "GET" (somebody has asked) or "PUT" (the CPO has told it by itself), `by` the party
    that asked or was told.
    """

    profile: Profile
    source: str
    by: str
    correlation_id: str
    observed_at: datetime
    # Of a GET when it was asked; before that it may have been computed, but not long before.
    asked_at: datetime | None = None


def seen(session: Session) -> list[Seen]:
    """Those that the hub knows, the latest last."""
    return seen_in(session, commands_of(session))


def latest(session: Session) -> Seen | None:
    """What was told last; None where nobody has asked or was told."""
    found = seen(session)
    return found[-1] if found else None


def baseline(session: Session) -> Seen | None:
    """The last one before any profile was set: what EV, EVSE and site allow by themselves."""
    commands = commands_of(session)
    return baseline_in(seen_in(session, commands), commands)


# --- By rows --------------------------------------------------------------------------------------

_COMMANDS: Final = f"""
    SELECT {sql.columns(ProfileCommand)} FROM {ProfileCommand._meta.db_table}
    WHERE session_id = %s ORDER BY created_at DESC LIMIT {_MOST}
"""  # noqa: S608 - names of ours
_UPDATES: Final = f"""
    SELECT {sql.columns(ProfileUpdate)} FROM {ProfileUpdate._meta.db_table}
    WHERE session_id = %s ORDER BY received_at DESC LIMIT {_MOST}
"""  # noqa: S608 - names of ours


def commands_of(session: Session) -> list[ProfileCommand]:
    """The session's commands, the oldest first."""
    return sql.rows(ProfileCommand, _COMMANDS, (session.pk,))[::-1]


def seen_in(session: Session, commands: list[ProfileCommand]) -> list[Seen]:
    """Out of the results of GETs among the commands, and the CPO's own updates."""
    updates = sql.rows(ProfileUpdate, _UPDATES, (session.pk,))
    found = [*_asked(commands), *_told(updates)]
    return sorted(found, key=lambda one: one.observed_at)


def baseline_in(found: list[Seen], commands: list[ProfileCommand]) -> Seen | None:
    """The last one before the first profile left that may have had an effect."""
    puts = [one.created_at for one in commands if one.method == "PUT" and may_have_effect(one)]
    earlier = [one for one in found if not puts or one.observed_at < min(puts)]
    return earlier[-1] if earlier else None


def may_have_effect(command: ProfileCommand) -> bool:
    """Whether it is or was at the CPO, and was not refused."""
    is_away = command.sent_at is not None or command.answered_at is not None
    return is_away and command.state not in _NO_EFFECT


def _asked(commands: list[ProfileCommand]) -> Iterator[Seen]:
    for command in commands:
        if command.method != "GET" or command.result != "ACCEPTED" or command.result_at is None:
            continue
        profile = Profile.read(bytes(command.result_body), command.result_at)
        if profile is not None:
            yield Seen(
                profile,
                "GET",
                str(command.fsp),
                command.correlation_id,
                command.result_at,
                command.created_at,
            )


def _told(updates: list[ProfileUpdate]) -> Iterator[Seen]:
    for update in updates:
        profile = Profile.read(bytes(update.document), update.received_at)
        if profile is not None:
            yield Seen(profile, "PUT", update.told_to, update.correlation_id, update.received_at)
