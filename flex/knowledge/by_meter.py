"""The effect of a profile by what was metered while it held (judging.py; mod_cdrs). Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Final

from flex.knowledge.facts import Connector
from flex.knowledge.metering import SHORTEST, Metered
from flex.knowledge.profiles import Profile
from flex.knowledge.verdicts import SETTLES, Case, Effect, Verdict

# Some charge points need minutes to do as a new profile says.
_ARRIVES: Final = timedelta(minutes=3)
_MOSTLY: Final = 0.9
_HALF: Final = 0.5
# Meters and cars are this much off; below it nothing flows.
_OVER: Final = Decimal("1.06")
_OVER_WATTS: Final = Decimal(150)
_OVER_AMPERES: Final = Decimal("0.5")
_WELL_BELOW: Final = Decimal("0.88")
_NOTHING: Final = Decimal(150)  # W
# Of a period no more than this may lie before the limit that it is read for.
_UNSETTLED: Final = Decimal("0.15")
_RATIO: Final = Decimal("0.04")
_LOOSE: Final = Decimal("0.08")
_FALL: Final = Decimal("0.75")
_LOOKED_AT: Final = 12
NOT_METERED: Final = "nothing was metered since that says more"
DOUBTFUL: Final = "more may flow than it allows: the phases are not known"


@dataclass(frozen=True, slots=True)
class Reading:
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


def readings_of(case: Case) -> Iterator[Reading]:
    """Periods that lie within one limit of the profile, except for a short time."""
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
            yield Reading(period, longest.value, watts, unsettled, highest * unsettled)


def by_meter(case: Case, readings: Sequence[Reading]) -> Verdict:
    profile = case.profile
    for period in _judged(case):
        if _is_over(case, period):
            told = _limits_text(profile, period, case.since)
            because = f"{_kilowatts(period.power or Decimal(0))} flowed where {told}"
            return Verdict(Effect.NOTHING, because)
    if not readings:
        return Verdict(Effect.UNKNOWN, NOT_METERED)
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
        return Verdict(Effect.UNKNOWN, DOUBTFUL)
    return Verdict(Effect.UNKNOWN, "what was metered fits the profile, and also its absence")


def _judged(case: Case) -> list[Metered]:
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


def _is_over(case: Case, period: Metered) -> bool:
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


def _has_more_current(case: Case, period: Metered, *, phases: int) -> bool:
    current = period.volumes.get("CURRENT")
    if current is None:
        return False
    highest = max(each.volumes.get("CURRENT", Decimal(0)) for each in case.facts.metered)
    allowed = _allowed(case, period, lambda limit: limit * phases, highest)
    return allowed is not None and current > allowed + _OVER_AMPERES


def _allowed(
    case: Case,
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


def _takes_less(reading: Reading, unit: str) -> bool:
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


def _follows(case: Case, readings: Sequence[Reading]) -> bool:
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


def _falls_and_rises(first: Reading, second: Reading, third: Reading) -> bool:
    if not second.limit < _FALL * min(first.limit, third.limit):
        return False
    return all(
        _near(one.watts * second.limit, second.watts * one.limit, _LOOSE) for one in (first, third)
    )


def _resumes(readings: Sequence[Reading]) -> bool:
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
