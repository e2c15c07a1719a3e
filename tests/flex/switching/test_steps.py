"""What follows at each step of a switch of FSP, without a database (flex/switching/steps.py)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from flex.knowledge.profiles import Profile
from flex.switching.sight import Sight, may_bind, sight
from flex.switching.steps import (
    ENDS,
    Asked,
    Do,
    Facts,
    Former,
    Put,
    Setting,
    Slots,
    Step,
    learns,
    next_step,
)
from hub.ocpi.party import PartyId
from tests.cases import case

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTING = Setting(timedelta(seconds=300))
OLD = PartyId("NL", "OLD")


def limits(*steps: tuple[int, float], unit: str = "A", duration: int | None = None) -> Profile:
    told = tuple((offset, Decimal(str(limit))) for offset, limit in steps)
    return Profile(unit, NOW, told, duration)


SIX, TEN, SIXTEEN = limits((0, 6)), limits((0, 10)), limits((0, 16))


def active(*steps: tuple[int, float]) -> Profile:
    return limits(*steps, duration=3600)


GIVEN = Facts(Step.GIVEN, NOW, former=[Former(OLD, 1, SIX)], new=SIXTEEN)
TAKEN = replace(GIVEN, put=Put.TAKEN)
SEEN = replace(TAKEN, step=Step.ASKED, asked=Asked.ANSWERED, active=active((0, 16)))
UNSURE = replace(SEEN, put=Put.UNSURE)
ACCEPTED = replace(UNSURE, is_accepted=True)
DELETE = replace(UNSURE, is_delete=True, new=None, active=active((0, 6)))
DELETED = replace(DELETE, step=Step.RELEASING, cleared=frozenset([OLD]))
CLEARING = replace(TAKEN, step=Step.CLEARING, slots=Slots.PER_SENDER)
RELEASING = replace(GIVEN, step=Step.RELEASING, is_party=False)


def test_an_active_profile_is_judged_beside_those_that_were_set():
    for told, new, former, expected in [
        (active((0, 16)), SIXTEEN, [SIX], Sight.IN_FORCE),
        (active((0, 6)), SIXTEEN, [SIX], Sight.FORMER_BINDS),
        (active((0, 13)), SIXTEEN, [SIX], Sight.LIMITED),
        (active((0, 32)), SIXTEEN, [SIX], Sight.NOT_IN_FORCE),
        # Where the new one is lower it is in force, whatever the former one was.
        (active((0, 6)), SIX, [SIXTEEN], Sight.IN_FORCE),
        (active((0, 16), (600, 6)), limits((0, 16), (600, 6)), [TEN], Sight.IN_FORCE),
        (active((0, 10), (600, 6)), limits((0, 16), (600, 6)), [TEN], Sight.FORMER_BINDS),
        # Clocks differ by a few seconds.
        (active((0, 6), (603, 16)), limits((0, 6), (600, 16)), [], Sight.IN_FORCE),
        (active((0, 16), (603, 6)), limits((0, 16), (600, 6)), [], Sight.IN_FORCE),
        # Rounded by the EVSE.
        (active((0, 16.1)), SIXTEEN, [], Sight.IN_FORCE),
        (limits((0, 11000), unit="W"), SIXTEEN, [SIX], Sight.UNCLEAR),
        (None, SIXTEEN, [SIX], Sight.UNCLEAR),
        (active((0, 16)), limits((0, 16), duration=60), [], Sight.IN_FORCE),
    ]:
        with case(told, new, former):
            assert sight(told, new, former) is expected


def test_a_former_profile_may_bind_later():
    assert not may_bind(SIXTEEN, TEN, NOW)
    assert may_bind(TEN, SIXTEEN, NOW)
    assert may_bind(limits((0, 16), (7200, 6)), SIXTEEN, NOW)
    assert not may_bind(limits((0, 6), duration=60), SIXTEEN, NOW + timedelta(hours=1))
    assert may_bind(limits((0, 6000), unit="W"), SIXTEEN, NOW)
    assert may_bind(SIXTEEN, limits((0, 6), duration=60), NOW)


def test_each_fact_gives_one_next_step():
    hour = timedelta(hours=1)
    per_sender, one = Slots.PER_SENDER, Slots.ONE
    lower = active((0, 6))
    for facts, now, do, step in [
        (replace(GIVEN, is_over=True), NOW, Do.END, Step.OVER),
        (replace(GIVEN, former=[]), NOW, Do.END, Step.DONE),
        (GIVEN, NOW, Do.WAIT, Step.GIVEN),
        (GIVEN, NOW + hour, Do.REPLACE, Step.FOLLOWED),
        (replace(GIVEN, put=Put.REFUSED), NOW, Do.WAIT, Step.GIVEN),
        (replace(GIVEN, put=Put.REFUSED), NOW + hour, Do.REPLACE, Step.FOLLOWED),
        (replace(GIVEN, put=Put.ON_ITS_WAY), NOW + hour, Do.WAIT, Step.GIVEN),
        (replace(GIVEN, is_party=False), NOW, Do.RELEASE, Step.RELEASING),
        (replace(GIVEN, put=Put.DELETED), NOW, Do.RELEASE, Step.RELEASING),
        (replace(GIVEN, put=Put.DELETED, cleared=frozenset([OLD])), NOW, Do.END, Step.DONE),
        (TAKEN, NOW, Do.ASK, Step.ASKED),
        (replace(TAKEN, asked=Asked.ON_ITS_WAY), NOW, Do.WAIT, Step.ASKED),
        (
            replace(TAKEN, asked=Asked.ON_ITS_WAY, asked_at=NOW),
            *(NOW + hour, Do.END, Step.ATTENTION),
        ),
        (replace(TAKEN, asked=Asked.FAILED, tries=1), NOW, Do.ASK, Step.ASKED),
        (replace(TAKEN, asked=Asked.FAILED, tries=3), NOW, Do.END, Step.ATTENTION),
        # Seen in the active profile.
        (SEEN, NOW, Do.END, Step.DONE),
        (replace(SEEN, slots=per_sender), NOW, Do.CLEAR, Step.CLEARING),
        (replace(SEEN, slots=per_sender, cleared=frozenset([OLD])), NOW, Do.END, Step.DONE),
        (replace(SEEN, active=active((0, 32))), NOW, Do.SEND_AGAIN, Step.GIVEN),
        (replace(SEEN, active=active((0, 32)), sent_again=3), NOW, Do.END, Step.ATTENTION),
        (replace(SEEN, active=None, is_none_active=True), NOW, Do.SEND_AGAIN, Step.GIVEN),
        (replace(SEEN, active=lower), NOW, Do.END, Step.ATTENTION),
        (replace(SEEN, active=lower, slots=one), NOW, Do.END, Step.DONE),
        (replace(SEEN, active=lower, slots=per_sender), NOW, Do.CLEAR, Step.CLEARING),
        (
            replace(SEEN, active=lower, slots=per_sender, cleared=frozenset([OLD])),
            *(NOW, Do.END, Step.ATTENTION),
        ),
        (replace(SEEN, doubt_until=NOW + hour), NOW, Do.WAIT, Step.ASKED),
        (replace(SEEN, doubt_until=NOW), NOW, Do.END, Step.DONE),
        # Without a result of the new one the former is not cleared.
        (UNSURE, NOW, Do.END, Step.DONE),
        (replace(UNSURE, active=lower), NOW, Do.WAIT, Step.GIVEN),
        (replace(UNSURE, active=lower), NOW + hour, Do.REPLACE, Step.FOLLOWED),
        (replace(UNSURE, active=lower, put_ended=NOW + hour), NOW + hour, Do.WAIT, Step.GIVEN),
        # Nor is one replaced whose profile the CPO has accepted, unless more is active.
        (replace(ACCEPTED, active=lower), NOW + hour, Do.END, Step.ATTENTION),
        (replace(ACCEPTED, active=lower), NOW, Do.WAIT, Step.GIVEN),
        (replace(ACCEPTED, active=active((0, 13))), NOW, Do.END, Step.DONE),
        (replace(ACCEPTED, active=active((0, 32))), NOW + hour, Do.REPLACE, Step.FOLLOWED),
        (replace(UNSURE, slots=per_sender), NOW, Do.SEND_AGAIN, Step.GIVEN),
        (replace(UNSURE, slots=per_sender, sent_again=3), NOW, Do.END, Step.ATTENTION),
        # It has sent a DELETE, and no result was told: what is active still is released.
        (replace(DELETE, active=None, is_none_active=True), NOW, Do.END, Step.DONE),
        (
            replace(DELETE, active=None, is_none_active=True, doubt_until=NOW + hour),
            *(NOW, Do.WAIT, Step.ASKED),
        ),
        (DELETE, NOW, Do.RELEASE, Step.RELEASING),
        (replace(DELETE, cleared=frozenset([OLD])), NOW, Do.RELEASE, Step.RELEASING),
        (replace(DELETED, is_released=True), NOW, Do.END, Step.DONE),
        (replace(DELETED, is_released=False), NOW, Do.END, Step.ATTENTION),
        (replace(DELETED, is_released=True, asked=Asked.NOT_YET), NOW, Do.ASK, Step.ASKED),
        # Clearing and releasing.
        (replace(CLEARING, asked=Asked.ON_ITS_WAY), NOW, Do.WAIT, Step.CLEARING),
        (replace(CLEARING, asked=Asked.ANSWERED), NOW, Do.ASK, Step.ASKED),
        (replace(CLEARING, asked=Asked.FAILED), NOW, Do.ASK, Step.ASKED),
        (replace(CLEARING, asked=Asked.FAILED, tries=3), NOW, Do.END, Step.ATTENTION),
        (RELEASING, NOW + hour, Do.WAIT, Step.RELEASING),
        (replace(RELEASING, is_released=True), NOW, Do.RELEASE, Step.RELEASING),
        (replace(RELEASING, is_released=True, former=[]), NOW, Do.END, Step.DONE),
        (replace(RELEASING, is_released=True, slots=one), NOW, Do.END, Step.DONE),
        (replace(RELEASING, is_released=False), NOW, Do.END, Step.ATTENTION),
        # Somebody has become FSP before the release was done.
        (replace(RELEASING, is_released=True, is_party=True), NOW, Do.WAIT, Step.GIVEN),
    ]:
        with case(facts, now):
            found = next_step(facts, now, SETTING)
            assert (found.do, found.step) == (do, step)
            # Whatever does not end is looked at again, and whatever is done has a reason.
            assert (found.step in ENDS) == (found.due is None)
            assert found.why or found.do is Do.WAIT


def test_what_a_wrong_word_on_a_cpo_has_cleared_is_sent_again():
    """The operator says that it keeps one profile of each sender, and it keeps one."""
    cleared = replace(SEEN, cleared=frozenset([OLD]), slots=Slots.PER_SENDER)
    assert next_step(cleared, NOW, SETTING).step == Step.DONE
    assert next_step(cleared, NOW, SETTING).learned is None  # It is the DELETE that is seen.
    found = next_step(replace(cleared, active=active((0, 32))), NOW, SETTING)
    assert (found.do, found.learned) == (Do.SEND_AGAIN, Slots.ONE)


def test_what_a_cpo_keeps_is_learned_only_from_what_is_plain():
    for told, new, former, expected in [
        (active((0, 16)), SIXTEEN, [SIX], Slots.ONE),
        (active((0, 6)), SIXTEEN, [SIX], Slots.PER_SENDER),
        (active((0, 13)), SIXTEEN, [SIX], Slots.ONE),
        # The new one is lower all the time: both kinds look the same.
        (active((0, 6)), SIX, [SIXTEEN], None),
        (active((0, 6)), SIXTEEN, [limits((0, 4000), unit="W")], None),
        (None, SIXTEEN, [SIX], None),
        (active((0, 16)), SIXTEEN, [], None),
    ]:
        with case(told, new, former):
            assert learns(told, new, former, {"A": Decimal(32)}) == expected
    # Where EVSE or site allow no more by themselves, or nobody knows that they do, it is chance.
    sixteen = active((0, 16)), limits((0, 32)), [SIXTEEN]
    for full, expected in [({}, None), (16, None), (17, None), (32, Slots.PER_SENDER)]:
        with case(full):
            known = {"A": Decimal(full)} if full else {}
            assert learns(*sixteen, known) == expected
    assert learns(active((0, 32)), limits((0, 32)), [SIXTEEN], {}) == Slots.ONE
