"""Updates of one object that wait together become what the receiver would have ended with."""

import pytest

from hub.drains.merging import calls_for
from tests.hub.drains.waiting import push

LOC, EVSE, OTHER = "NL/CPO/LOC1", "NL/CPO/LOC1/E1", "NL/CPO/LOC1/E2"


def said(*pushes) -> list[tuple[str, str, bytes]]:
    """What goes out, in order."""
    return [(call.method, call.last.route.path, call.body) for call in calls_for(pushes)]


def test_a_put_replaces_what_was_before_it():
    earlier, later = push(body=b'{"a":1}'), push(body=b'{"a":2.50}')
    (call,) = calls_for([earlier, later])
    assert (call.method, call.body, call.pushes) == ("PUT", b'{"a":2.50}', [earlier, later])


def test_a_patch_over_a_patch_has_the_fields_of_both_as_they_were_written():
    assert said(push("PATCH", body=b'{"a":1.50,"b":1}'), push("PATCH", body=b'{"b" : 2.0}')) == [
        ("PATCH", LOC, b'{"a":1.50,"b":2.0}')
    ]


def test_a_patch_goes_into_the_put_before_it():
    assert said(push(body=b'{"a":1,"b":1}'), push("PATCH", body=b'{"b":2}')) == [
        ("PUT", LOC, b'{"a":1,"b":2}')
    ]


def test_a_put_makes_earlier_patches_needless_also_of_what_is_below_it():
    assert said(push("PATCH", LOC), push("PATCH", EVSE), push("PUT", LOC, b"{}")) == [
        ("PUT", LOC, b"{}")
    ]


def test_a_delete_replaces_and_is_replaced():
    assert said(push(), push("DELETE", body=b"")) == [("DELETE", LOC, b"")]
    assert said(push("DELETE", body=b""), push()) == [("PUT", LOC, b'{"a":1}')]


def test_a_patch_after_a_delete_stays_one():
    assert [method for method, *_ in said(push("DELETE"), push("PATCH"))] == ["DELETE", "PATCH"]


def test_updates_of_two_evses_are_merged_each_with_its_own():
    assert said(
        push("PATCH", EVSE, b'{"a":1}'),
        push("PATCH", OTHER, b'{"a":2}'),
        push("PATCH", EVSE, b'{"a":3}'),
        push("PATCH", OTHER, b'{"a":4}'),
    ) == [("PATCH", EVSE, b'{"a":3}'), ("PATCH", OTHER, b'{"a":4}')]


def test_nothing_goes_past_an_update_of_what_is_above_or_below():
    for first, between in ((LOC, EVSE), (EVSE, LOC)):
        assert len(said(push("PATCH", first), push("PATCH", between), push("PATCH", first))) == 3


def test_nothing_goes_past_an_update_of_the_same_object_in_another_spelling():
    spelled = [LOC, LOC.lower(), LOC]
    assert [path for _, path, _ in said(*(push("PATCH", path) for path in spelled))] == spelled


def test_a_put_takes_the_place_of_the_earliest_that_it_replaces():
    assert said(push("PUT", EVSE), push("PATCH", OTHER), push("PUT", EVSE, b"{}")) == [
        ("PUT", EVSE, b"{}"),
        ("PATCH", OTHER, b'{"a":1}'),
    ]


def test_two_parties_of_one_platform_get_their_own():
    assert len(said(push(receiver="AAA"), push(receiver="BBB"))) == 2
    assert len(said(push("PATCH", receiver="AAA"), push("PATCH", receiver="BBB"))) == 2


def test_a_path_that_only_begins_alike_is_another_object():
    assert len(said(push("PATCH", "NL/CPO/LOC1"), push("PUT", "NL/CPO/LOC10"))) == 2


def test_sessions_are_merged_only_by_a_put_since_a_patch_appends_charging_periods():
    session = {"module": "sessions", "path": "NL/CPO/S1"}
    assert len(said(push("PATCH", **session), push("PATCH", **session))) == 2
    assert len(said(push("PUT", **session), push("PATCH", **session))) == 2
    assert len(said(push("PATCH", **session), push("PUT", **session))) == 1


@pytest.mark.parametrize(
    "never",
    [
        {"module": "cdrs", "method": "POST"},
        {"module": "commands", "method": "POST", "role": "", "path": "https://emsp.example/result"},
        {"module": "chargingprofiles", "method": "PUT", "role": "", "path": "https://fsp.example"},
        {"module": "nltnm-tokens", "method": "PUT"},
    ],
)
def test_what_says_that_something_happened_is_never_merged(never):
    assert len(said(push(**never), push(**never))) == 2


def test_what_is_no_object_is_left_to_the_receiver():
    assert len(said(push("PATCH", body=b"[1]"), push("PATCH", body=b"{}"))) == 2
