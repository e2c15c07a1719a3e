"""What waits for one receiver: order, lanes, breaker and rate. The clock is the test's own."""

from collections.abc import Set
from itertools import count

from hub.deliveries.breaker import FIRST_PAUSE, LONGEST_PAUSE, STRIKES, Rate
from hub.deliveries.lanes import FEW, Bodies, Item, ReceiverLane
from hub.deliveries.rows import Key, Waiting

_ids = count(1)


def row(name: str = "LOC1", *, is_urgent: bool = False, is_message: bool = False) -> Waiting:
    """A row that waits."""
    key = Key(name, is_message=is_message)
    return Waiting(next(_ids), 1, "locations", key, is_urgent)


def holding(*rows: Waiting, limit: int = 10, per_second: float = 0) -> ReceiverLane:
    lane = ReceiverLane(1, "locations", limit, Rate(per_second))
    for one in rows:
        lane.add(one)
    return lane


def begin(lane: ReceiverLane, now: float = 0.0) -> list[tuple[Item, bool]]:
    """All that may begin, and which of it is a probe."""
    begun = []
    while isinstance(item := lane.next_item(now, 1000), Item):
        begun.append((item, lane.breaker.begin()))
    return begun


def ended(lane: ReceiverLane, item: Item, done: Set[int] = frozenset()) -> None:
    """Its call has ended, and what became of it is written."""
    lane.calls -= 1
    lane.ended(item, done)


def names(begun) -> list[str]:
    return [item.key.name for item, _ in begun]


def test_objects_go_side_by_side_and_each_once_at_a_time():
    first, second = row("A"), row("A")
    lane = holding(first, second, row("B"))
    begun = begin(lane)
    assert names(begun) == ["A", "B"]
    ended(lane, begun[0][0], {first.id})
    ((again, _),) = begin(lane)
    assert again.ids == {second.id}


def test_there_are_so_many_at_once_and_no_more():
    lane = holding(*(row(str(n)) for n in range(5)), limit=3)
    begun = begin(lane)
    assert len(begun) == 3
    item = begun[1][0]
    ended(lane, item, frozenset(item.ids))
    assert len(begin(lane)) == 1


def test_urgent_ones_go_before_the_rest_also_when_they_become_so():
    lane = holding(row("A"), row("B"), row("C"), row("C", is_urgent=True), limit=1)
    seen = []
    for _ in range(3):
        ((item, _),) = begin(lane)
        seen.append(item.key.name)
        ended(lane, item, frozenset(item.ids))
    assert seen == ["C", "A", "B"]


def test_what_is_tried_again_keeps_its_place():
    lane = holding(row("A"), row("B"), limit=1)
    ((item, _),) = begin(lane)
    item.failures, item.due = 1, 5.0
    ended(lane, item)
    assert names(begin(lane, 4.0)) == ["B"]
    ((other, _),) = [(one, None) for one in [item]]
    assert other is item


def test_a_dead_lane_is_looked_at_by_one_call_at_a_time_and_ever_more_rarely():
    lane = holding(*(row(str(n)) for n in range(50)))
    begun = begin(lane)
    assert len(begun) == 10
    said = [lane.breaker.failed(0.0, 0.0, is_probe=is_probe) for _, is_probe in begun]
    assert said == [True] + [False] * 9
    for item, _ in begun:
        item.failures, item.due = 1, 0.0
        ended(lane, item)
    now, pauses = 0.0, []
    for _ in range(9):
        at = lane.next_item(now, 1000)
        assert isinstance(at, float)
        pauses.append(at - now)
        now = at
        ((probe, is_probe),) = begin(lane, now)
        assert is_probe
        assert begin(lane, now + 1000) == []
        assert lane.breaker.failed(now, now, is_probe=True)
        ended(lane, probe)
    assert pauses[:4] == [FIRST_PAUSE, 2.0, 4.0, 8.0]
    assert pauses[-2:] == [LONGEST_PAUSE] * 2


def test_a_probe_that_is_answered_opens_the_lane():
    lane = holding(*(row(str(n)) for n in range(20)))
    for item, is_probe in begin(lane):
        lane.breaker.failed(0.0, 0.0, is_probe=is_probe)
        item.failures = 1
        ended(lane, item)
    ((probe, _),) = begin(lane, 1.0)
    lane.breaker.answered(1.1)
    ended(lane, probe, frozenset(probe.ids))
    assert len(begin(lane, 1.1)) == 10


def test_a_probe_that_was_not_sent_leaves_the_next_one_to_find_out():
    lane = holding(row("A"), row("B"))
    for item, is_probe in begin(lane):
        lane.breaker.failed(0.0, 0.0, is_probe=is_probe)
        ended(lane, item)
    ((void, is_probe),) = begin(lane, 1.0)
    lane.breaker.unused(is_probe=is_probe)
    ended(lane, void, frozenset(void.ids))
    assert len(begin(lane, 1.0)) == 1


def test_one_object_that_hangs_does_not_count_against_a_receiver_that_answers_others():
    lane = holding(row("hangs"), row("well"))
    (hanging, _), (well, _) = begin(lane)
    lane.breaker.answered(1.0)
    ended(lane, well, frozenset(well.ids))
    assert not lane.breaker.failed(0.0, 10.0, is_probe=False)
    hanging.failures, hanging.due = 1, 11.0
    ended(lane, hanging)
    lane.add(row("another"))
    assert names(begin(lane, 10.0)) == ["another"]


def test_what_fails_whenever_it_comes_lets_the_others_go_first():
    """The receiver answers checks and dies of this one: it would be the probe for ever."""
    lane, now = holding(row("A", is_urgent=True), limit=1), 0.0
    for _ in range(STRIKES):
        ((item, is_probe),) = begin(lane, now)
        assert item.key.name == "A"
        assert lane.breaker.failed(now, now, is_probe=is_probe)
        item.failures, item.due = item.failures + 1, now
        ended(lane, item)
        now = lane.breaker.closed_from
    lane.add(row("B"))
    lane.add(row("A", is_urgent=True))
    ((other, _),) = begin(lane, now)
    assert other.key.name == "B"
    lane.breaker.answered(now)
    ended(lane, other, frozenset(other.ids))
    assert names(begin(lane, now)) == ["A"]


def test_a_full_lane_has_room_for_what_is_urgent():
    lane = holding(*(row(str(n)) for n in range(12)))
    room, held = lane.room(48)
    assert (room.rows, room.priority, len(held)) == (36, 1, 12)
    assert lane.room(10) == ((FEW, 0), set())
    lane.add(urgent := row("E", is_urgent=True))
    assert lane.room(10) == ((FEW - 1, 0), {urgent.id})
    messages = holding(*(row(str(n), is_message=True) for n in range(12)))
    assert messages.room(10) == ((0, 0), set())


def test_a_pause_that_the_receiver_asks_for_is_kept():
    lane = holding(row("A"), row("B"))
    lane.breaker.hold(7.0)
    assert lane.next_item(6.0, 1000) == 7.0
    assert len(begin(lane, 7.0)) == 2


def test_a_busy_receiver_gets_fewer_at_once_and_then_more_again():
    lane = holding(*(row(str(n)) for n in range(50)))
    lane.narrow()
    assert len(begin(lane)) == 5
    for _ in range(100):
        lane.widen()
    assert len(begin(lane)) == 5


def test_a_rate_lets_a_second_of_calls_through_at_once_and_then_so_many_a_second():
    lane = holding(*(row(str(n)) for n in range(50)), limit=50, per_second=4)
    assert len(begin(lane, 100.0)) == 5
    assert lane.next_item(100.0, 1000) == 100.25
    assert len(begin(lane, 100.25)) == 1
    assert len(begin(lane, 200.0)) == 5


def test_what_is_dropped_is_held_no_more_and_what_is_in_a_call_stays():
    lane = holding(row("A"), row("B"), limit=1)
    ((item, _),) = begin(lane)
    lane.drop()
    assert lane.held == item.ids
    ended(lane, item, frozenset(item.ids))
    assert begin(lane) == []


def test_a_crowd_leaves_each_lane_its_part():
    lane = holding(*(row(str(n)) for n in range(5)))
    assert isinstance(lane.next_item(0.0, 1), Item)
    assert lane.next_item(0.0, 1) is None
    assert lane.wants_more


def test_one_receiver_of_long_bodies_leaves_room_for_those_of_others():
    bodies = Bodies(100)
    bodies.add(1, 40)
    assert bodies.has_room(1)
    bodies.add(1, 60)
    assert not bodies.has_room(1)
    assert bodies.has_room(2)
    bodies.add(2, 20)
    assert bodies.has_room(2)
    bodies.add(2, 10)
    assert not bodies.has_room(2)
    assert bodies.has_room(3)
    for size in (0, 0):  # DELETEs.
        bodies.add(3, size)
    for size in (0, 0):
        bodies.remove(3, size)
    bodies.remove(1, 60)
    bodies.remove(1, 40)
    assert bodies.has_room(1)
    assert bodies.has_room(2)
