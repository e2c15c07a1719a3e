"""What an accepted profile has done to its session, judged by what was told afterwards (pure).

mod_charging_profiles: a profile "is a maximum limit, not a target", and ACCEPTED "doesn't always
mean that the ChargingProfile will be executed". So nothing is believed that could be a coincidence:
an active limit that equals the profile proves something only where another one was allowed before,
or is at another time. docs/flexibility.md ("What is known") has the rules in words.
"""

from collections.abc import Iterator, Sequence

from flex.knowledge.by_meter import DOUBTFUL, NOT_METERED, Reading, by_meter, readings_of
from flex.knowledge.by_plan import by_plan
from flex.knowledge.facts import Facts, SetProfile
from flex.knowledge.verdicts import AHEAD, Case, Effect, Verdict


def judge(facts: Facts, one: SetProfile) -> Verdict:
    """Of one profile, by all that was told while it was the last one."""
    found = Verdict(Effect.UNKNOWN, "")
    for each, verdict in judged(facts):
        found = verdict
        if each.command == one.command:
            break
    return found


def judged(facts: Facts) -> Iterator[tuple[SetProfile, Verdict]]:
    """Of each profile, the oldest first; none is judged twice."""
    has_followed = False
    for each in facts.set:
        found = _judge(facts, each, has_followed=has_followed)
        has_followed = has_followed or found.effect is Effect.IN_FORCE
        yield each, found


def _judge(facts: Facts, one: SetProfile, *, has_followed: bool) -> Verdict:
    """`has_followed`: an earlier profile of the session was in force, so its CPO does follow."""
    profile = one.profile
    if profile is None:
        return Verdict(Effect.UNKNOWN, "the profile cannot be read")
    until = facts.now + AHEAD if one.until is None else one.until
    case = Case(
        facts,
        profile,
        facts.by_cpo(one.accepted_at),
        facts.by_cpo(until),
        facts.by_cpo(one.sent_at),
    )
    readings = list(readings_of(case))
    has_meter = any(each.power is not None for each in facts.metered)
    planned = by_plan(facts, one, profile, has_followed=has_followed)
    metered = by_meter(case, readings)
    # Of a CPO that meters nothing there is only its word.
    verdict = _together(planned, metered) if has_meter else planned
    return verdict._replace(seen=planned.seen, pause=_pause(verdict, readings))


def _together(planned: Verdict, metered: Verdict) -> Verdict:
    """What flowed goes before what is planned: more than was allowed is no effect at all."""
    if metered.effect is Effect.NOTHING or planned.effect is Effect.UNKNOWN:
        return metered if metered.effect is not Effect.UNKNOWN else planned
    if planned.effect is Effect.NOTHING:
        return metered if metered.effect is Effect.IN_FORCE else planned
    if planned.effect is Effect.IN_FORCE and (
        metered.effect is Effect.LIMITED or metered.because in {DOUBTFUL, NOT_METERED}
    ):
        return metered
    return planned


# --- Who holds the car back -----------------------------------------------------------------------


def _pause(verdict: Verdict, readings: Sequence[Reading]) -> str:
    """Who caused that nothing flows in the last period: the profile or the car."""
    if not readings or readings[-1].flows:
        return ""
    last = readings[-1]
    if last.limit > 0:
        at_evse = verdict.effect is Effect.LIMITED and verdict.limited_by.startswith("0 ")
        return "" if at_evse else "car"
    return "profile" if verdict.effect is Effect.IN_FORCE else ""
