"""Whether a session's FSP is silent: it owes a profile, and sends none (SCALE D2.3, 11.4).

Sending nothing is not silence, nor has one to speak who never has. Something must have happened:
the profile in force ran out before departure, or the driver's preferences changed, or a limit did.
Pure; watching.py reads what it needs, and writes what it finds.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from flex.full_rate import FullRate
from flex.knowledge.profiles import Profile
from flex.life.judging import is_full

# profile_type FAST: how long the hub leaves it to the FSP to give the full rate.
FAST_GRACE: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a steered session at a moment; times are the database's."""

    now: datetime
    is_over: bool = False
    # Its FSP is a party, by an assignment that is open since then.
    assigned_at: datetime | None = None
    # Of the latest preferences.
    preferences: int | None = None
    profile_type: str = ""
    departure: datetime | None = None
    changed_at: datetime | None = None
    # In force, as far as the hub knows.
    profile: Profile | None = None
    # The FSP's last PUT or DELETE in this assignment, whatever has become of it.
    sent_at: datetime | None = None
    full: FullRate = field(default_factory=FullRate)
    limit_changed_at: datetime | None = None
    released_for: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Since when the FSP owes a profile, from when on that is silence, and why."""

    since: datetime
    is_one_at: datetime
    why: str
    # Whether a profile of its own holds the session back meanwhile.
    holds_back: bool


def owed(facts: Facts, patience: timedelta) -> Silence | None:
    """What the FSP owes an answer to; it is silent when `is_one_at` has come."""
    if facts.is_over or facts.assigned_at is None or facts.sent_at is None or _has_left(facts):
        return None
    found = [
        (moment, why)
        for moment, why in (
            (_ran_out_at(facts), "its profile ran out before departure"),
            (_changed_at(facts), "the driver's preferences changed"),
            (_unanswered(facts, facts.limit_changed_at), "a limit changed"),
        )
        if moment is not None
    ]
    if not found:
        return None
    since, why = min(found)
    return Silence(since, since + patience, why, _holds_back(facts, facts.now))


def silent(facts: Facts, patience: timedelta) -> Silence | None:
    """The silence of a session's FSP at a moment; None while there is none."""
    found = owed(facts, patience)
    return found if found is not None and facts.now >= found.is_one_at else None


def _has_left(facts: Facts) -> bool:
    """By the driver's own word: then the hub releases the session, nobody owes a profile."""
    return facts.departure is not None and facts.departure <= facts.now


def _ran_out_at(facts: Facts) -> datetime | None:
    end = None if facts.profile is None else facts.profile.end
    if end is None or facts.departure is None or end >= facts.departure or end > facts.now:
        return None
    return _unanswered(facts, end)


def _changed_at(facts: Facts) -> datetime | None:
    """FAST asks for nothing where nothing holds the session back."""
    if facts.profile_type == "FAST" and not _holds_back(facts, facts.now):
        return None
    return _unanswered(facts, facts.changed_at)


def _unanswered(facts: Facts, moment: datetime | None) -> datetime | None:
    """A moment to which the FSP has not answered."""
    if moment is None or facts.sent_at is None or facts.sent_at >= moment:
        return None
    return moment


def _holds_back(facts: Facts, since: datetime) -> bool:
    return facts.profile is not None and not is_full(facts.profile, facts.full, since)


# --- Release at departure, and for FAST -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Release:
    """A reason to release a session, from a moment on; `key` so that each counts once."""

    at: datetime
    key: str
    why: str


def releases(facts: Facts) -> list[Release]:
    """The reasons that come, or have come and were not seen to."""
    if facts.is_over or facts.assigned_at is None or facts.profile is None:
        return []
    found = []
    if facts.departure is not None and _holds_back(facts, max(facts.departure, facts.now)):
        key = f"departure {facts.departure:%Y-%m-%dT%H:%M:%SZ}"
        why = "the driver's departure time has come, and the car is still there"
        found.append(Release(facts.departure, key, why))
    if facts.profile_type == "FAST" and facts.changed_at and _holds_back(facts, facts.now):
        at = facts.changed_at + FAST_GRACE
        found.append(Release(at, f"preferences {facts.preferences}", "the driver asks for FAST"))
    return [one for one in found if one.key != facts.released_for]


def next_look(facts: Facts, patience: timedelta) -> datetime | None:
    """When something of this may become so by the clock alone."""
    if facts.is_over or facts.assigned_at is None:
        return None
    moments = [one.at for one in releases(facts)]
    if (owes := owed(facts, patience)) is not None:
        moments.append(owes.is_one_at)
    if facts.profile is not None and facts.profile.end is not None:
        moments.append(facts.profile.end)
    if facts.departure is not None:
        moments.append(facts.departure)
    later = [one for one in moments if one > facts.now]
    return min(later) if later else None
