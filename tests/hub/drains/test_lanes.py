"""What waits for one receiver: order, lanes, breaker and rate. The clock is the test's own."""

from hub.drains.lanes import Lanes
from hub.drains.merging import Call
from tests.hub.drains.waiting import push


def holding(*pushes, limit: int = 10, per_second: float = 0) -> Lanes:
    lanes = Lanes(limit, per_second)
    for one in pushes:
        lanes.add(one)
    return lanes


def begin(lanes: Lanes, now: float = 0.0) -> list[tuple[Call, bool]]:
    """All calls that may begin, and which of them is a probe."""
    begun = []
    while isinstance(call := lanes.next_call(now, 1000), Call):
        begun.append((call, lanes.breaker.begin()))
    return begun


def paths(begun) -> list[str]:
    return [call.last.route.path for call, _ in begun]


def test_objects_go_side_by_side_and_each_in_its_order():
    unmerged = {"module": "sessions", "method": "PATCH"}
    lanes = holding(
        push(path="A/1", key="A", **unmerged),
        push(path="A/2", key="A", **unmerged),
        push(path="B/1", key="B", **unmerged),
    )
    begun = begin(lanes)
    assert paths(begun) == ["A/1", "B/1"]
    lanes.ended(begun[0][0])
    assert paths(begin(lanes)) == ["A/2"]


def test_there_are_so_many_lanes_and_no_more():
    lanes = holding(*(push(key=str(n)) for n in range(5)), limit=3)
    begun = begin(lanes)
    assert len(begun) == 3
    lanes.ended(begun[1][0])
    assert len(begin(lanes)) == 1


def test_a_row_whose_transaction_took_longer_goes_before_the_later_one():
    late, early = push(path="A/late", module="x"), push(path="A/early", module="x")
    early.id, late.id = 1, 2
    lanes = holding(late, early)
    assert paths(begin(lanes)) == ["A/early"]


def test_what_is_tried_again_keeps_its_place_and_takes_later_updates_along():
    first, second = push(body=b'{"a":1}'), push("PATCH", body=b'{"b":2}')
    lanes = holding(first)
    ((call, _),) = begin(lanes)
    lanes.add(second)
    assert begin(lanes) == []
    lanes.ended(call, due=5.0)
    assert lanes.next_call(4.0, 1000) == 5.0
    ((again, _),) = begin(lanes, 5.0)
    assert (again.method, again.body, again.pushes) == ("PUT", b'{"a":1,"b":2}', [first, second])


def test_a_dead_receiver_is_looked_at_by_one_call_at_a_time_and_given_up_after_three():
    lanes = holding(*(push(key=str(n)) for n in range(50)))
    begun = begin(lanes)
    assert len(begun) == 10
    for call, is_probe in begun:
        assert not lanes.breaker.failed(0.0, 0.1, is_probe=is_probe)
        lanes.ended(call, due=0.1)
    assert begin(lanes, 1.0) == []
    assert lanes.next_call(1.0, 1000) == 1.1
    for now, given_up in ((1.1, False), (4.2, True)):
        ((probe, is_probe),) = begin(lanes, now)
        assert is_probe
        assert begin(lanes, now + 100) == []
        assert lanes.breaker.failed(now, now, is_probe=True) is given_up
        lanes.ended(probe, due=now)
    assert len(lanes.drop()) == 50
    assert begin(lanes, 1000.0) == []


def test_a_probe_that_is_answered_opens_all_lanes():
    lanes = holding(*(push(key=str(n)) for n in range(20)))
    for call, is_probe in begin(lanes):
        lanes.breaker.failed(0.0, 0.0, is_probe=is_probe)
        lanes.ended(call, due=0.0)
    ((probe, _),) = begin(lanes, 1.0)
    lanes.breaker.answered(1.1)
    lanes.ended(probe)
    assert len(begin(lanes, 1.1)) == 10


def test_one_object_that_hangs_does_not_count_against_a_receiver_that_answers_others():
    lanes = holding(push(key="hangs"), push(key="well"))
    (hanging, _), (well, _) = begin(lanes)
    lanes.breaker.answered(1.0)
    lanes.ended(well)
    assert not lanes.breaker.failed(0.0, 10.0, is_probe=False)
    lanes.ended(hanging, due=11.0)
    lanes.add(push(key="another"))
    assert len(begin(lanes, 10.0)) == 1


def test_a_receiver_that_was_given_up_gets_one_look():
    lanes = holding(push())
    lanes.breaker.give_up()
    ((call, is_probe),) = begin(lanes)
    assert is_probe
    assert lanes.breaker.failed(0.0, 0.0, is_probe=True)
    lanes.ended(call)


def test_a_pause_that_the_receiver_asks_for_is_kept():
    lanes = holding(push(), push(key="other"))
    lanes.breaker.hold(7.0)
    assert lanes.next_call(6.0, 1000) == 7.0
    assert len(begin(lanes, 7.0)) == 2


def test_a_busy_receiver_gets_fewer_lanes_and_then_more_again():
    lanes = holding(*(push(key=str(n)) for n in range(50)))
    lanes.narrow()
    begun = begin(lanes)
    assert len(begun) == 5
    for _ in range(100):
        lanes.widen()
    assert len(begin(lanes)) == 5


def test_a_rate_lets_a_second_of_calls_through_at_once_and_then_so_many_a_second():
    lanes = holding(*(push(key=str(n)) for n in range(50)), limit=50, per_second=4)
    assert len(begin(lanes, 100.0)) == 5
    assert lanes.next_call(100.0, 1000) == 100.25
    assert len(begin(lanes, 100.25)) == 1
    assert len(begin(lanes, 200.0)) == 5


def test_what_has_waited_too_long_is_dropped_and_the_rest_stays_in_order():
    old, new = push(created=1.0), push(created=9.0)
    lanes = holding(old, new, push(key="gone", created=2.0))
    assert len(lanes.drop(created_before=5.0)) == 2
    ((call, _),) = begin(lanes)
    assert call.pushes == [new]
    assert lanes.next_call(0.0, 1000) is None


def test_a_crowd_leaves_each_receiver_its_part():
    lanes = holding(*(push(key=str(n)) for n in range(5)))
    assert isinstance(lanes.next_call(0.0, 1), Call)
    assert lanes.next_call(0.0, 1) is None
    assert lanes.wants_more
