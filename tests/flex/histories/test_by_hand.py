"""Histories by hand: the EV is never without a limit, and nothing stale takes effect."""

from charging_profiles.models import ProfileCommand
from flex.models import FspAssignment
from flex.switching.models import CpoSlots, FspFailure, FspSwitch
from flex.switching.steps import Slots, Step
from tests.cases import case
from tests.flex.histories.by_hand import CPO, PARTIES, ByHand
from tests.flex.histories.history import History, random_history

SIX, TEN = ((0, 6.0),), ((0, 10.0),)
BEGIN = [("assign", "A"), ("put", "A", SIX), ("pass", 3)]


def carried_out(
    clock, number, *events, per_sender=False, told=True, ignores=False, answers=(), seen=0
):
    """A history of A's 6 A and then these; nothing in it may go wrong."""
    history = History(number, per_sender, told, ignores, [*BEGIN, *events], list(answers))
    hand = ByHand(history, clock, number)
    for one in range(seen):
        CpoSlots.learn(CPO, Slots.PER_SENDER, f"another session {one}")
    assert hand.run() == []
    return hand


def own(hand) -> list[str]:
    """What the hub itself has sent to change something, and in whose name."""
    rows = ProfileCommand.objects.filter(session=hand.session).exclude(method="GET")
    rows = rows.exclude(purpose="").order_by("pk")
    names = {party: name for name, party in PARTIES.items()}
    return [f"{one.purpose} {one.method} {names[one.fsp]}" for one in rows]


def steps(hand) -> list[str]:
    """Of the last switch."""
    last = FspSwitch.objects.filter(session=hand.session).latest("pk")
    return [one.step for one in last.steps.order_by("pk")]


def fsp(hand) -> object:
    """Who was FSP when it ended."""
    return FspAssignment.objects.filter(session=hand.session).latest("epoch").fsp


def test_random_histories_leave_no_gap_and_nothing_stale(clock):
    wrong = []
    for seed in range(8):
        history = random_history(seed)
        faults = ByHand(history, clock, seed).run()
        if faults:
            wrong.append("\n".join([str(history), *faults]))
    assert not wrong, f"{len(wrong)} histories went wrong:\n" + "\n\n".join(wrong[:3])


def test_what_a_switch_does_depends_on_what_its_cpo_keeps(clock):
    switch = [("assign", "B"), ("put", "B", TEN)]
    with case("one slot: the new profile is verified, and nothing is cleared"):
        hand = carried_out(clock, 1, *switch)
        assert (own(hand), steps(hand)) == ([], ["GIVEN", "ASKED", "DONE"])
    with case("one of each sender: the former one is cleared after that, in its name"):
        hand = carried_out(clock, 2, *switch, per_sender=True)
        assert own(hand) == ["CLEAR DELETE A"]
        assert steps(hand) == ["GIVEN", "ASKED", "CLEARING", "ASKED", "DONE"]
    with case("one of each sender, and the new limit is lower all the time"):
        hand = carried_out(clock, 3, ("assign", "B"), ("put", "B", SIX), per_sender=True)
        assert (own(hand), steps(hand)[-1]) == ([], "DONE")
    with case("nobody knows: the operator is told, and as soon as it is known it goes on"):
        hand = carried_out(clock, 4, *switch, per_sender=True, told=False)
        assert (own(hand), steps(hand)[-1]) == ([], "ATTENTION")
        assert CpoSlots.objects.get().per_sender_seen == 1
        hand.session.status = "ACTIVE"
        hand.session.save()
        CpoSlots.tell(CPO, Slots.PER_SENDER)
        assert FspSwitch.objects.get(session=hand.session).step == Step.GIVEN
    with case("the one that completes the proof goes on itself"):
        hand = carried_out(clock, 6, *switch, per_sender=True, told=False, seen=1)
        assert (own(hand), steps(hand)[-1]) == (["CLEAR DELETE A"], "DONE")
        known = CpoSlots.objects.get()
        assert (known.per_sender_seen, known.one_seen) == (2, 0)
    with case("it ignores DELETE: nothing is said to have been cleared"):
        hand = carried_out(clock, 5, *switch, per_sender=True, ignores=True)
        assert (own(hand), steps(hand)[-1]) == (["CLEAR DELETE A"], "ATTENTION")


def test_who_fails_is_followed_by_the_next_in_the_order(clock):
    with case("suspended: at once"):
        hand = carried_out(clock, 10, ("suspend", "A"), ("pass", 1), ("put", "B", TEN))
        assert (fsp(hand), own(hand)) == (PARTIES["B"], [])
    with case("OFFLINE: not before the grace is over, and nobody sends anything"):
        hand = carried_out(clock, 11, ("offline", "A"), ("pass", 65), ("online", "A"))
        assert (fsp(hand), own(hand)) == (PARTIES["A"], [])
        hand = carried_out(clock, 12, ("offline", "A"), ("pass", 200), ("put", "B", TEN))
        assert fsp(hand) == PARTIES["B"]
    with case("silent after new preferences"):
        hand = carried_out(clock, 13, ("preferences", "A"), ("pass", 700), ("put", "current", TEN))
        assert "silent" in FspFailure.objects.filter(session=hand.session).earliest("pk").why
        assert fsp(hand) != PARTIES["A"]
    with case("the new one sends nothing: the one of before is the next, and its profile stays"):
        hand = carried_out(clock, 16, ("assign", "B"))
        assert (fsp(hand), own(hand)) == (PARTIES["A"], [])
    with case("nor do the next ones send anything: the hub releases the session"):
        hand = carried_out(clock, 14, ("suspend", "A"))
        assert own(hand) == ["RELEASE DELETE A"]
        assert hand.cpo.profiles == {}
    with case("its FSP has deleted its profile, which this CPO ignores, and nobody follows"):
        hand = carried_out(clock, 17, ("delete", "A"), ("unassign", "A"), ignores=True)
        assert own(hand) == ["RELEASE DELETE A", "RELEASE PUT A"]
        assert hand.cpo.offered(hand.clock.now) == hand.cpo.site
    with case("its DELETE is ignored, and another becomes FSP before that is known"):
        late = [("unassign", "A"), ("assign", "B"), ("put", "B", TEN)]
        hand = carried_out(clock, 18, *late, ignores=True, per_sender=True)
        assert steps(hand)[-1] == "ATTENTION"
    with case("the new one wants no limit"):
        hand = carried_out(clock, 15, ("assign", "B"), ("delete", "B"), per_sender=True)
        assert own(hand) == ["RELEASE DELETE A"]


def test_who_becomes_fsp_after_nobody_was_has_its_own_time_and_its_first_put_counts(clock):
    with case("its first PUT comes before the release has begun, and was sent under no assignment"):
        first = [("taken-back",), ("put", "B", TEN)]
        hand = carried_out(clock, 30, *first, per_sender=True)
        assert (fsp(hand), own(hand)) == (PARTIES["B"], ["CLEAR DELETE A"])
        assert not FspFailure.objects.filter(session=hand.session).exists()
    with case("it is set while a release is not taken"):
        stuck = [("taken-back",), ("pass", 400), ("assign", "B"), ("pass", 100), ("put", "B", TEN)]
        hand = carried_out(clock, 31, *stuck, answers=["ok", *["refused"] * 4])
        assert fsp(hand) == PARTIES["B"]
        assert not FspFailure.objects.filter(session=hand.session).exists()


def test_what_was_lost_on_its_way_is_sent_again(clock):
    # B's PUT is in force before A's DELETE, which the CPO did not answer, takes it away.
    # One that the CPO carries out after the release was verified.
    late = [("put", "A", TEN), ("pass", 31), ("unassign", "A")]
    hand = carried_out(clock, 21, *late, answers=["ok", "overdue"])
    assert own(hand) == ["RELEASE DELETE A", "RELEASE DELETE A"]
    assert hand.judge.disorders == 1
    overdue = [("delete", "A"), ("assign", "B"), ("pass", 31), ("put", "B", TEN)]
    hand = carried_out(clock, 20, *overdue, answers=["ok", "overdue", "ok"])
    assert own(hand) == ["AGAIN PUT B"]
    assert hand.judge.disorders == 1
