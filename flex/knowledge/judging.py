"""What an accepted profile has done to its session, judged by what was told afterwards (pure).

mod_charging_profiles: a profile "is a maximum limit, not a target", and ACCEPTED "doesn't always
mean that the ChargingProfile will be executed". So nothing is believed that could be a coincidence:
an active limit that equals the profile proves something only where another one was allowed before,
or is at another time. docs/flexibility.md ("What is known") has the rules in words.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import combinations, pairwise
from typing import Final, NamedTuple

from flex.knowledge.active import Seen
from flex.knowledge.facts import Connector, Facts, SetProfile
from flex.knowledge.metering import SHORTEST, Metered
from flex.knowledge.profiles import Profile

# Limits have one digit of fraction, and charge points round.
_SAME: Final = {"A": Decimal("0.15"), "W": Decimal(60)}
_SAME_SHARE: Final = Decimal("0.01")
# A car needs some seconds for a new limit; so long after a change its power says nothing.
SETTLES: Final = timedelta(seconds=60)
# Some charge points need minutes to do as a new profile says.
_ARRIVES: Final = timedelta(minutes=3)
_MOSTLY: Final = 0.9
_HALF: Final = 0.5
# Meters and cars are this much off; below it nothing flows.
_OVER: Final = Decimal("1.06")
_OVER_WATTS: Final = Decimal(150)
_OVER_AMPERES: Final = Decimal("0.5")
_WELL_BELOW: Final = Decimal("0.88")
# Of a period no more than this may lie before the limit that it is read for.
_UNSETTLED: Final = Decimal("0.15")
_NOTHING: Final = Decimal(150)  # W
_RATIO: Final = Decimal("0.04")
_LOOSE: Final = Decimal("0.08")
_FALL: Final = Decimal("0.75")
_LOOKED_AT: Final = 12
# Why a profile has no effect that could be known.
ASKS_NOTHING: Final = "it asks for what was active before it anyway"
# What the active profile plans beyond its own end is asked no more.
_AHEAD: Final = timedelta(hours=24)


class Effect(StrEnum):
    """What the hub says of an accepted profile."""

    IN_FORCE = "IN_FORCE"
    LIMITED = "LIMITED"
    NOTHING = "NOTHING"
    UNKNOWN = "UNKNOWN"


class Verdict(NamedTuple):
    """The effect, why, and what else limits, where that is known.

    `seen` is the active profile it is based on; `pause` who holds the car back now: "profile",
    "car", or "" where nobody does or nobody knows.
    """

    effect: Effect
    because: str
    limited_by: str = ""
    seen: Seen | None = None
    pause: str = ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A charging period, and the limit that the profile had in it but for the share `unsettled`.

    `slack` is what may have flowed in that share, as a mean over the period, in W.
    """

    period: Metered
    limit: Decimal
    watts: Decimal
    unsettled: Decimal
    slack: Decimal

    @property
    def flows(self) -> bool:
        """Whether more flows than what may be left of the time before."""
        return self.watts > _NOTHING + self.slack


@dataclass(frozen=True, slots=True)
class _Case:
    """A profile while it holds, by the CPO's clock, and what is known of its session."""

    facts: Facts
    profile: Profile
    since: datetime
    until: datetime
    sent_at: datetime

    @property
    def metered(self) -> list[Metered]:
        """The periods that ended while it held."""
        return [
            each
            for each in self.facts.metered
            if each.end is not None and self.since < each.end <= self.until
        ]


def judge(facts: Facts, one: SetProfile) -> Verdict:
    """Of one profile, by all that was told while it was the last one."""
    found = Verdict(Effect.UNKNOWN, "")
    has_followed = False
    for each in facts.set:
        found = _judge(facts, each, has_followed=has_followed)
        has_followed = has_followed or found.effect is Effect.IN_FORCE
        if each.command == one.command:
            break
    return found


def _judge(facts: Facts, one: SetProfile, *, has_followed: bool) -> Verdict:
    """`has_followed`: an earlier profile of the session was in force, so its CPO does follow."""
    profile = one.profile
    if profile is None:
        return Verdict(Effect.UNKNOWN, "the profile cannot be read")
    until = facts.now + _AHEAD if one.until is None else one.until
    case = _Case(
        facts,
        profile,
        facts.by_cpo(one.accepted_at),
        facts.by_cpo(until),
        facts.by_cpo(one.sent_at),
    )
    readings = list(_readings(case))
    has_meter = any(each.power is not None for each in facts.metered)
    by_plan = _by_active(facts, one, profile, has_followed=has_followed)
    by_meter = _by_meter(case, readings)
    # Of a CPO that meters nothing there is only its word.
    verdict = _together(by_plan, by_meter) if has_meter else by_plan
    return verdict._replace(seen=by_plan.seen, pause=_pause(verdict, readings))


def _together(by_plan: Verdict, by_meter: Verdict) -> Verdict:
    """What flowed goes before what is planned: more than was allowed is no effect at all."""
    if by_meter.effect is Effect.NOTHING or by_plan.effect is Effect.UNKNOWN:
        return by_meter if by_meter.effect is not Effect.UNKNOWN else by_plan
    if by_plan.effect is Effect.NOTHING:
        return by_meter if by_meter.effect is Effect.IN_FORCE else by_plan
    if by_plan.effect is Effect.IN_FORCE and (
        by_meter.effect is Effect.LIMITED or by_meter.because in {_DOUBTFUL, _NOT_METERED}
    ):
        return by_meter
    return by_plan


# --- By the active profile ------------------------------------------------------------------------


class _Slice(NamedTuple):
    """A stretch of time: what is active in it and what was set."""

    begin: datetime
    end: datetime
    active: Decimal
    set: Decimal


def _by_active(facts: Facts, one: SetProfile, profile: Profile, *, has_followed: bool) -> Verdict:
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
    return found


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
        return Verdict(Effect.LIMITED, because, f"{now.active.normalize():f} {unit} at the EVSE")
    if has_followed or _proves(same, earlier, unit):
        return Verdict(Effect.IN_FORCE, f"what is active is what was set, now {_text(now, unit)}")
    if less:
        because = f"later {less[0].active.normalize():f} {unit} is active"
        return Verdict(Effect.LIMITED, because, f"{less[0].active.normalize():f} {unit} later")
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
    end = active.end or active.start + _AHEAD
    for mine in profile.limits(active.start, end):
        for theirs in active.limits(mine.begin, mine.end or end):
            if theirs.end is not None and (theirs.end - theirs.begin).total_seconds() >= 1:
                yield _Slice(theirs.begin, theirs.end, theirs.value, mine.value)


def is_same(one: Decimal, other: Decimal, unit: str) -> bool:
    """Whether two limits of one unit are the same but for rounding."""
    allowed = max(_SAME[unit], max(abs(one), abs(other)) * _SAME_SHARE)
    return abs(one - other) <= allowed


# --- By the meter ---------------------------------------------------------------------------------


def _readings(case: _Case) -> Iterator[_Reading]:
    """Periods that lie within one limit of the profile, but for a short time."""
    profile, since = case.profile, case.since
    highest = max((one.power or Decimal(0) for one in case.facts.metered), default=Decimal(0))
    for period in case.metered:
        watts, end = period.power, period.end
        if watts is None or end is None:
            continue
        limits = list(profile.limits(max(period.begin, since), end))
        if not limits or period.seconds < SHORTEST:
            continue
        longest = max(limits, key=lambda each: (each.end or end) - each.begin)
        begin, seconds = longest.begin, ((longest.end or end) - longest.begin).total_seconds()
        # The car follows a limit that has just come, or another one.
        is_new = begin < since + SETTLES or profile.at(begin - SETTLES) != longest.value
        settled = seconds - (SETTLES.total_seconds() if is_new else 0)
        unsettled = 1 - Decimal(settled / period.seconds)
        if unsettled <= _UNSETTLED:
            yield _Reading(period, longest.value, watts, unsettled, highest * unsettled)


_NOT_METERED: Final = "nothing was metered since that says more"
_DOUBTFUL: Final = "more may flow than it allows: the phases are not known"


def _by_meter(case: _Case, readings: Sequence[_Reading]) -> Verdict:
    profile = case.profile
    for period in _judged(case):
        if _is_over(case, period):
            told = _limits_text(profile, period, case.since)
            because = f"{_kilowatts(period.power or Decimal(0))} flowed where {told}"
            return Verdict(Effect.NOTHING, because)
    if not readings:
        return Verdict(Effect.UNKNOWN, _NOT_METERED)
    if _follows(case, readings):
        return Verdict(Effect.IN_FORCE, "the metered power follows its limits")
    last = readings[-1]
    if _takes_less(last, profile.unit):
        return Verdict(
            Effect.LIMITED,
            f"{_kilowatts(last.watts)} flow where {last.limit.normalize():f} {profile.unit} is set",
            "the car, or what the hub does not see",
        )
    if profile.unit == "A" and any(
        _has_more_current(case, each, phases=1) for each in case.metered
    ):
        return Verdict(Effect.UNKNOWN, _DOUBTFUL)
    return Verdict(Effect.UNKNOWN, "what was metered fits the profile, and also its absence")


def _judged(case: _Case) -> list[Metered]:
    """Periods that may show too much; the one in which the profile came only if most is after."""
    mine = [(each, _share_after(each, case.since)) for each in case.metered]
    most = [each for each, share in mine if share >= _MOSTLY]
    return most or [each for each, share in mine if share >= _HALF]


def _share_after(period: Metered, moment: datetime) -> float:
    if period.end is None or not period.seconds:
        return 0.0
    return min(1.0, (period.end - moment).total_seconds() / period.seconds)


def _limits_text(profile: Profile, period: Metered, since: datetime) -> str:
    limits = profile.limits(max(period.begin, since), period.end or period.begin)
    told = [f"{value.normalize():f}" for value in dict.fromkeys(each.value for each in limits)]
    return f"{' and '.join(told[:3])} {profile.unit} was set"


def _is_over(case: _Case, period: Metered) -> bool:
    """Whether more flowed in a period than any reading of the limits allows.

    In A by any number of phases: none is assumed for the EV.
    """
    watts, connector, unit = period.power, case.facts.connector, case.profile.unit
    if watts is None:
        return False
    highest = max(each.power or Decimal(0) for each in case.facts.metered)

    def worth(limit: Decimal) -> Decimal | None:
        return limit if unit == "W" else _most_watts(limit, connector)

    allowed = _allowed(case, period, worth, highest)
    if allowed is not None and watts > allowed + _OVER_WATTS:
        return True
    # CURRENT does not say whether it is the sum over the phases: three of them are possible.
    return unit == "A" and _has_more_current(case, period, phases=3)


def _has_more_current(case: _Case, period: Metered, *, phases: int) -> bool:
    current = period.volumes.get("CURRENT")
    if current is None:
        return False
    highest = max(each.volumes.get("CURRENT", Decimal(0)) for each in case.facts.metered)
    allowed = _allowed(case, period, lambda limit: limit * phases, highest)
    return allowed is not None and current > allowed + _OVER_AMPERES


def _allowed(
    case: _Case,
    period: Metered,
    worth: Callable[[Decimal], Decimal | None],
    highest: Decimal,
) -> Decimal | None:
    """The highest mean that the limits of a period allow; None where they do not tell.

    Before the profile came, and while the car follows a lower limit, as much may have flowed as
    ever did (`highest`).
    """
    profile, since, end = case.profile, case.since, period.end
    if end is None or period.seconds < SHORTEST:
        return None
    limits = [*profile.limits(max(period.begin, since), end)]
    if not limits or limits[-1].end != end:
        return None
    allowed = highest * Decimal((limits[0].begin - period.begin).total_seconds())
    before = profile.at(limits[0].begin - SETTLES) if limits[0].begin > since + SETTLES else None
    for each in limits:
        value = worth(max(each.value, Decimal(0)))
        if value is None or each.end is None:
            return None
        seconds = Decimal((each.end - each.begin).total_seconds())
        settles = Decimal(0)
        if before is None or each.value < before:
            span = _ARRIVES if before is None else SETTLES
            settles = min(seconds, Decimal(span.total_seconds()))
        allowed += value * _OVER * (seconds - settles) + max(value * _OVER, highest) * settles
        before = each.value
    return allowed / Decimal(period.seconds)


def _most_watts(amperes: Decimal, connector: Connector | None) -> Decimal | None:
    if amperes <= 0:
        return Decimal(0)
    return None if connector is None else connector.most_watts(amperes)


def _takes_less(reading: _Reading, unit: str) -> bool:
    if reading.limit <= 0:
        return False
    share = _WELL_BELOW - reading.unsettled
    if unit == "W":
        return reading.watts < reading.limit * share - _OVER_WATTS
    # Less than the limit of one phase, whether it is the sum or not.
    current = reading.period.volumes.get("CURRENT")
    if current is None:
        return reading.watts <= _NOTHING
    return current < reading.limit * share


def _follows(case: _Case, readings: Sequence[_Reading]) -> bool:
    """Whether the power has changed as the limits do, which no car does by itself.

    A fall and a rise, all in the proportion of their limits; or a pause where 0 is set that ends
    where it is not any more. In W also a fall onto the very limit, where it stays.
    """
    flowing = [each for each in readings if each.limit > 0 and each.flows]
    if any(_falls_and_rises(*each) for each in combinations(flowing[-_LOOKED_AT:], 3)):
        return True
    if _resumes(readings):
        return True
    on_it = [each for each in flowing if _near(each.watts, each.limit)]
    if case.profile.unit != "W" or len(on_it) < 2 or len(on_it) < len(flowing):
        return False
    before = [
        each.power
        for each in case.facts.metered
        if each.end is not None and each.end <= case.sent_at and each.power
    ]
    highest = max(each.limit for each in on_it)
    return bool(before) and before[-1] > highest * _OVER + _OVER_WATTS


def _falls_and_rises(first: _Reading, second: _Reading, third: _Reading) -> bool:
    if not second.limit < _FALL * min(first.limit, third.limit):
        return False
    return all(
        _near(one.watts * second.limit, second.watts * one.limit, _LOOSE) for one in (first, third)
    )


def _resumes(readings: Sequence[_Reading]) -> bool:
    """Whether power flowed, was away where 0 is set, and came back where it is not."""
    states = [(each.limit > 0, each.flows) for each in readings]
    if any(allowed != flows for allowed, flows in states):
        return False
    changes = sum(before != after for before, after in pairwise(states))
    return (False, False) in states and changes >= 2


def _near(one: Decimal, other: Decimal, share: Decimal = _RATIO) -> bool:
    return abs(one - other) <= max(abs(one), abs(other)) * share


def _kilowatts(watts: Decimal) -> str:
    return f"{watts / 1000:.1f} kW"


# --- Who holds the car back -----------------------------------------------------------------------


def _pause(verdict: Verdict, readings: Sequence[_Reading]) -> str:
    """Who caused that nothing flows in the last period: the profile or the car."""
    if not readings or readings[-1].flows:
        return ""
    last = readings[-1]
    if last.limit > 0:
        at_evse = verdict.effect is Effect.LIMITED and verdict.limited_by.startswith("0 ")
        return "" if at_evse else "car"
    return "profile" if verdict.effect is Effect.IN_FORCE else ""
