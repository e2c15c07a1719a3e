"""What PATCHes make of a Session, in whatever order they come (mod_sessions, PATCH Method)."""

import time
from itertools import permutations
from typing import Any

import msgspec
import pytest

from sessions.merging import merged


def period(minute: int, volume: Any = 1, **more: Any) -> dict[str, Any]:
    return {
        "start_date_time": f"2026-03-01T10:{minute:02}:00Z",
        "dimensions": [{"type": "ENERGY", "volume": volume}],
    } | more


def with_periods(kept: list[Any], sent: list[Any]) -> list[Any]:
    document = msgspec.json.encode({"charging_periods": kept})
    changes = msgspec.json.encode({"charging_periods": sent})
    merge = merged(document, changes, sets_fields=True, adds_periods=True)
    return list(msgspec.json.decode(merge.document)["charging_periods"])


@pytest.mark.parametrize("order", list(permutations((11, 12, 13))))
def test_periods_in_any_order_stand_in_the_order_of_their_starts(order):
    kept = [period(10)]
    for minute in order:
        kept = with_periods(kept, [period(minute)])
    assert kept == [period(10), period(11), period(12), period(13)]


@pytest.mark.parametrize(
    "same",
    [
        period(11),
        period(11) | {"start_date_time": "2026-03-01T10:11:00+00:00"},
        period(11) | {"start_date_time": "2026-03-01 11:11:00.000+01:00"},
        period(11, 1.0),
        period(11, "1"),
        period(11, tariff_id="T"),
        period(11) | {"dimensions": [{"volume": 1, "type": "energy", "x": 2}]},
    ],
)
def test_the_same_start_with_the_same_dimensions_is_the_same_period(same):
    assert with_periods([period(10), period(11)], [same]) == [period(10), period(11)]


def test_the_order_of_dimensions_is_nothing():
    both = [{"type": "ENERGY", "volume": 1}, {"type": "TIME", "volume": 2}]
    one, other = period(10, dimensions=both), period(10, dimensions=both[::-1])
    assert with_periods([one], [other]) == [one]


def test_one_patch_that_says_a_period_twice_adds_it_once():
    assert with_periods([], [period(10), period(10)]) == [period(10)]


def test_the_same_start_with_other_dimensions_is_added_and_told():
    document = msgspec.json.encode({"charging_periods": [period(10, 1)]})
    changes = msgspec.json.encode({"charging_periods": [period(10, 2)]})
    merge = merged(document, changes, sets_fields=True, adds_periods=True)
    found = msgspec.json.decode(merge.document)["charging_periods"]
    assert found == [period(10, 1), period(10, 2)]
    assert [one.rule for one in merge.deviations] == ["same-start-other-dimensions"]


@pytest.mark.parametrize("odd", [{"start_date_time": "soon"}, {"x": 1}, {"start_date_time": 5}, 7])
def test_a_period_whose_start_nobody_can_read_comes_last(odd):
    assert with_periods([period(10), period(12)], [odd]) == [period(10), period(12), odd]
    assert with_periods([period(10), odd], [odd, period(9)]) == [period(10), odd, period(9)]


def test_one_period_without_a_list_around_it_is_one_period():
    document, changes = b'{"charging_periods":[{"x":1}]}', b'{"charging_periods": {"x":2.50} }'
    merge = merged(document, changes, sets_fields=True, adds_periods=True)
    assert merge.document == b'{"charging_periods":[{"x":1},{"x":2.50}]}'


def test_each_value_keeps_its_own_spelling():
    document = (
        b'{"kwh": 1.500 ,"x\\u00fc":[1E2, null],"charging_periods":[ {"a": 1.0} ],"s":"\\u0041"}'
    )
    changes = b'{"charging_periods":[{"b":2e1}],"status" :"ACTIVE", "y": 0.10}'
    merge = merged(document, changes, sets_fields=True, adds_periods=True)
    for same in (b"1.500", b"[1E2, null]", b'{"a": 1.0}', b'{"b":2e1}', b"0.10", b'"\\u0041"'):
        assert same in merge.document


def test_what_says_nothing_new_leaves_every_byte():
    document = b'{ "kwh" : 1.0,\n"charging_periods" : [ ] }'
    for changes in (b"{}", b'{"kwh":1.0}', b'{"charging_periods":null}', b'{"charging_periods":5}'):
        merge = merged(document, changes, sets_fields=True, adds_periods=True)
        assert merge.document == document


def test_thousands_of_periods_are_merged_in_a_moment():
    kept, sent = (
        [period(minute % 60, minute) for minute in range(first, first + 6_000)]
        for first in (0, 6_000)
    )
    begun = time.process_time()
    assert len(with_periods(kept, sent)) == 12_000
    assert time.process_time() - begun < 5
