"""What a profile has done, over simulated sessions (flex/knowledge/judging.py)."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from charging_profiles.objects import ChargingRateUnit
from flex.knowledge.judging import judge
from flex.knowledge.verdicts import Effect, Verdict
from simulators.charging import Ev, Evse
from tests.flex.knowledge.simulated import INTERVAL, World, planned

SESSIONS = 400
# What may be wrong; "deaf": the CPO never tells an active profile.
FAULTS = [*["", "ignores", "takes less", "site falls", "is full"] * 3, "claims", "deaf"]


def drawn(seed: int) -> tuple[World, str]:
    """A session, and what is wrong with it."""
    rng = random.Random(seed)
    fault = rng.choice(FAULTS)
    phases, unit = rng.choice([1, 3]), rng.choice(list(ChargingRateUnit))
    evse = Evse("EVSE1", max_amps=rng.choice([16.0, 32.0]), phases=3, unit=unit)
    ev = Ev(max_amps=rng.choice([16.0, 32.0]), phases=phases)
    if fault == "takes less":
        ev = replace(ev, takes_amps=rng.uniform(3, 12))
    if fault == "is full":
        ev = replace(ev, charged_kwh=ev.battery_kwh - rng.uniform(0.2, 4))
    world = World.of(evse, ev, share=rng.uniform(8, 40))
    world.runs(INTERVAL)
    if fault != "deaf":
        world.asks()
    world.plug.ignores_profiles = fault in {"ignores", "claims"}
    world.plug.claims_profiles = fault == "claims"
    for number in range(rng.choice([1, 1, 2])):
        if number:
            world.runs(INTERVAL)
        world.sets(planned(world, rng))
        if fault == "site falls":
            world.runs(INTERVAL / 3)
            world.shares(rng.uniform(0, 16))
        if fault != "deaf":
            world.asks()
    return world, fault


def wrong(world: World, fault: str, verdict: Verdict) -> bool:
    """Whether the verdict says what is not so at the last moment at which anything was told."""
    seen = world.seen[-1].asked_at if world.seen else None
    moment = seen or world.now
    profile = world.puts[-1].profile
    assert profile is not None
    limit = profile.at(moment)
    assert limit is not None
    per_unit = 1 if profile.unit == "W" else world.plug.watts_per_amp
    allowed = float(limit) * per_unit
    if verdict.effect is Effect.IN_FORCE:
        is_less = world.plug.limit_at(moment) < allowed - 0.2 * per_unit
        return fault == "ignores" or is_less or has_taken_more(world)
    if verdict.effect is Effect.NOTHING:
        return not world.plug.ignores_profiles
    if verdict.effect is Effect.LIMITED:
        ahead = [moment + timedelta(minutes=minutes) for minutes in range(0, 300, 5)]
        is_planned = any(
            world.plug.limit_at(each) < float(profile.at(each) or 0) * per_unit * 0.999
            for each in (*ahead, moment)
        )
        return not has_taken_less(world) and not is_planned
    return False


def has_taken_more(world: World) -> bool:
    """Whether more has flowed than the profile allowed, by more than a meter may be wrong."""
    return any(watts > allowed * 1.08 + 300 for watts, allowed in flowed(world))


def has_taken_less(world: World) -> bool:
    return any(watts < allowed * 0.9 for watts, allowed in flowed(world))


def flowed(world: World) -> Iterator[tuple[float, float]]:
    """The power, and what was set then, in each stretch of more than a minute, in W."""
    one = world.puts[-1]
    assert one.profile is not None
    per_unit = 1 if one.profile.unit == "W" else world.plug.watts_per_amp
    for period in world.meter.periods:
        end = period.begin + timedelta(hours=period.hours)
        for limit in one.profile.limits(max(period.begin, one.accepted_at), end):
            if (limit.end or end) - limit.begin > timedelta(minutes=1):
                yield period.watts, float(limit.value) * per_unit


def test_in_force_is_never_said_wrongly_and_nine_in_ten_are_known_after_two_intervals(
    record_property,
):
    known, mistakes, unknown = 0, [], {}
    for seed in range(SESSIONS):
        world, fault = drawn(seed)
        for _ in range(2):
            world.runs(INTERVAL)
            verdict = judge(world.facts, world.puts[-1])
            if wrong(world, fault, verdict):
                mistakes.append((seed, fault, verdict.effect, verdict.because))
        known += verdict.effect is not Effect.UNKNOWN
        if verdict.effect is Effect.UNKNOWN:
            unknown[fault, verdict.because] = unknown.get((fault, verdict.because), 0) + 1
    record_property("known", f"{known / SESSIONS:.1%}")
    assert [each for each in mistakes if each[2] is Effect.IN_FORCE] == []
    assert mistakes == []
    assert known >= 0.9 * SESSIONS, sorted(unknown.items(), key=lambda one: -one[1])
