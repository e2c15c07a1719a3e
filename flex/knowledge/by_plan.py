"""The effect of a profile by the active profiles told while it held (judging.py). Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

from flex.knowledge.active import Seen
from flex.knowledge.facts import Facts, SetProfile
from flex.knowledge.profiles import Profile
from flex.knowledge.verdicts import AHEAD, Effect, Verdict, is_same

# Of a limit of which nothing more is known.
AT_THE_EVSE: Final = "at the EVSE"
# Why a profile has no effect that could be known.
ASKS_NOTHING: Final = "it asks for what was active before it anyway"


class _Slice(NamedTuple):
    """A stretch of time: what is active in it and what was set."""

    begin: datetime
    end: datetime
    active: Decimal
    set: Decimal


def by_plan(facts: Facts, one: SetProfile, profile: Profile, *, has_followed: bool) -> Verdict:
    """By the last active profile that was told while this one was the last.

    What an earlier one of them has proved needs no other proof.
    """
    told = [
        each
        for each in facts.seen
        if (each.asked_at or each.observed_at) >= one.accepted_at
        and (one.until is None or each.observed_at < one.until)
    ]
    earlier = [each for each in facts.seen if each.observed_at < one.sent_at]
    found = Verdict(Effect.UNKNOWN, "no active profile was told since")
    for seen in told:
        found = _beside(profile, seen, earlier, has_followed=has_followed)
        has_followed = has_followed or found.effect is Effect.IN_FORCE
    if found.effect is Effect.LIMITED and found.seen is not None:
        return found._replace(limited_by=_named(facts, found.seen, found.limited_by))
    return found


def _named(facts: Facts, seen: Seen, limit: str) -> str:
    """What limits to this value ("16 A"), where something that was told has the same one."""
    unit, value = seen.profile.unit, Decimal(limit.partition(" ")[0])
    connector, baseline = facts.connector, facts.baseline
    if connector is not None:
        rating = connector.watts if unit == "W" else connector.amperes
        if rating is not None and is_same(value, rating, unit):
            return f"{limit}: the connector is for no more"
    is_known = baseline is not None and baseline.profile.unit == unit
    if is_known and baseline and is_same(value, baseline.profile.highest, unit):
        return f"{limit}: EV, EVSE or site, as before any profile"
    return f"{limit} {AT_THE_EVSE}"


def _beside(
    profile: Profile, seen: Seen, earlier: Sequence[Seen], *, has_followed: bool
) -> Verdict:
    if seen.profile.unit != profile.unit:
        because = f"it is in {profile.unit}, the active profile in {seen.profile.unit}"
        return Verdict(Effect.UNKNOWN, because, seen=seen)
    slices = list(_slices(profile, seen.profile))
    if not slices:
        return Verdict(Effect.UNKNOWN, "the active profile tells nothing of its time", seen=seen)
    return _of_slices(slices, earlier, seen, has_followed=has_followed)._replace(seen=seen)


def _of_slices(
    slices: Sequence[_Slice], earlier: Sequence[Seen], seen: Seen, *, has_followed: bool
) -> Verdict:
    unit = seen.profile.unit
    for each in slices:
        if each.active > each.set and not is_same(each.active, each.set, unit):
            because = (
                f"up to {each.active.normalize():f} {unit} is active where "
                f"{each.set.normalize():f} {unit} was set"
            )
            return Verdict(Effect.NOTHING, because)
    less = [each for each in slices if not is_same(each.active, each.set, unit)]
    same = [each for each in slices if is_same(each.active, each.set, unit)]
    now = slices[0]
    if less and less[0] is now:
        because = (
            f"{now.active.normalize():f} {unit} is active where {now.set.normalize():f} {unit} "
            "was set"
        )
        return Verdict(Effect.LIMITED, because, f"{now.active.normalize():f} {unit}")
    if has_followed or _proves(same, earlier, unit):
        return Verdict(Effect.IN_FORCE, f"what is active is what was set, now {_text(now, unit)}")
    if less:
        because = f"later {less[0].active.normalize():f} {unit} is active"
        return Verdict(Effect.LIMITED, because, f"{less[0].active.normalize():f} {unit}")
    return Verdict(Effect.UNKNOWN, ASKS_NOTHING)


def _text(one: _Slice, unit: str) -> str:
    return f"{one.set.normalize():f} {unit}"


def _proves(same: Sequence[_Slice], earlier: Sequence[Seen], unit: str) -> bool:
    """Whether it is no coincidence that the active limits are the set ones.

    The active limit changes with the profile; or another one was told before for the same time.
    That proves nothing of a pause: a site that is full makes one too.
    """
    if any(not is_same(one.active, other.active, unit) for one, other in pairwise(same)):
        return True
    for one in same:
        for other in earlier:
            if one.active > 0 and other.profile.unit == unit:
                before = other.profile.at(one.begin)
                before = other.profile.steps[-1][1] if before is None else before
                if not is_same(before, one.active, unit):
                    return True
    return False


def _slices(profile: Profile, active: Profile) -> Iterator[_Slice]:
    """Where both say something, from the moment on at which the active one was computed."""
    end = active.end or active.start + AHEAD
    for mine in profile.limits(active.start, end):
        for theirs in active.limits(mine.begin, mine.end or end):
            if theirs.end is not None and (theirs.end - theirs.begin).total_seconds() >= 1:
                yield _Slice(theirs.begin, theirs.end, theirs.value, mine.value)
