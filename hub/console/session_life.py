"""The life of each command of a session, and of each FSP, as its page tells it (SCALE D2.3, 11)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from charging_profiles.models import ProfileCommand
from flex.knowledge.effect import Effected
from flex.knowledge.profiles import Profile
from hub.console.knowledge import effect_badge
from hub.console.profile_commands import answer_in_words, state_badge, why
from hub.console.tables import duration

# So many are told one by one; the others are a list away.
MOST: Final = 20
_MOST_LIMITS: Final = 4


@dataclass(frozen=True, slots=True)
class Event:
    """One step in the life of a command: what happened, when, and how long after the first."""

    what: str
    at: datetime | None = None
    after: str = ""
    badge: str = ""


@dataclass(frozen=True, slots=True)
class Life:
    """A command with its events in the order of time."""

    command: ProfileCommand
    asks: str
    badge: str
    why: str
    events: list[Event]


def lives(commands: Sequence[ProfileCommand], effects: Sequence[Effected]) -> list[Life]:
    """The latest first; what a profile has done stands at the end of its life."""
    by_command = {one.command: one for one in effects}
    return [
        Life(
            command,
            in_short(command),
            state_badge(command),
            why(command),
            list(_events(command, by_command.get(command.pk))),
        )
        for command in reversed(commands[-MOST:])
    ]


def in_short(command: ProfileCommand) -> str:
    """What a profile allows, in a few words; "" of a GET or DELETE."""
    if command.method != "PUT":
        return ""
    profile = Profile.read(bytes(command.body), command.created_at)
    return "a profile that cannot be read" if profile is None else limits_in_words(profile)


def limits_in_words(profile: Profile) -> str:
    """Its limits one after the other: 11 kW, 0 kW, ..."""
    divisor, unit = (1000, "kW") if profile.unit == "W" else (1, "A")
    told = [f"{float(limit) / divisor:g}" for _, limit in profile.steps[:_MOST_LIMITS]]
    more = len(profile.steps) - _MOST_LIMITS
    left_out = f" and {more} more" if more > 0 else ""
    return f"{', then '.join(told)} {unit}{left_out}"


def _events(command: ProfileCommand, effect: Effected | None) -> Iterator[Event]:
    found = [
        ("asked", command.created_at, ""),
        ("sent to the CPO", command.sent_at, ""),
        ("the CPO answered", command.answered_at, answer_in_words(command)),
        ("passed on", command.passed_on_at, ""),
        ("result", command.result_at, f"{command.result}{' late' if command.is_late else ''}"),
    ]
    told = [(what, at, more) for what, at, more in found if at is not None]
    for what, at, more in sorted(told, key=lambda one: one[1]):
        after = "" if at == command.created_at else f"+{duration(at - command.created_at)}"
        yield Event(f"{what} {more}".strip(), at, after)
    if effect is not None:
        yield Event(effect.verdict.because, badge=effect_badge(effect))


def summary(commands: Sequence[ProfileCommand]) -> dict[str, Any]:
    """How many there are, and how many of them are shown."""
    return {"number": len(commands), "shown": min(len(commands), MOST)}
