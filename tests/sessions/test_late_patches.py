"""Session PATCHes in any order, and to several parties, through the hub (mod_sessions, PATCH)."""

import json
from itertools import permutations
from typing import Any

import pytest

from sessions.models import Session
from tests.flex.agreements import agree
from tests.scripted import code


def period(minute: int) -> dict[str, Any]:
    return {
        "start_date_time": f"2026-03-01T10:{minute}:00Z",
        "dimensions": [{"type": "ENERGY", "volume": minute}],
    }


def patch(cast, session_id: str, minute: int, to=None, **changes: Any) -> None:
    body = {
        "kwh": minute,
        "charging_periods": [period(minute)],
        "last_updated": f"2026-03-01T10:{minute}:00Z",
    } | changes
    path = cast.cpo.session_path(session_id)
    assert code(cast.cpo.send("PATCH", path, body, to=to or cast.emsp)) == 1000


def kept(session_id: str) -> dict[str, Any]:
    found = json.loads(bytes(Session.objects.named(session_id).get().document))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("order", list(permutations((11, 12, 13))))
def test_each_adds_its_period_and_the_newest_alone_its_fields(cast, order):
    session_id = f"LATE-1-{'-'.join(map(str, order))}"
    cast.cpo.put_session(session_id, cast.emsp, charging_periods=[period(10)])
    for minute in order:
        patch(cast, session_id, minute)
    now = kept(session_id)
    assert now["charging_periods"] == [period(10), period(11), period(12), period(13)]
    assert (now["kwh"], now["last_updated"]) == (13, "2026-03-01T10:13:00Z")


def test_one_patch_for_two_parties_counts_once_even_when_another_came_between(cast):
    cast.cpo.put_session("LATE-2", cast.emsp)
    patch(cast, "LATE-2", 11)
    patch(cast, "LATE-2", 12)
    patch(cast, "LATE-2", 11, to=cast.scsp)
    patch(cast, "LATE-2", 12, to=cast.scsp)
    assert kept("LATE-2")["charging_periods"] == [period(11), period(12)]
    assert kept("LATE-2")["kwh"] == 12
    assert Session.objects.named("LATE-2").get().sent_to == [str(cast.emsp), str(cast.scsp)]


def test_a_put_replaces_all_and_a_patch_from_before_it_brings_nothing_back(cast):
    cast.cpo.put_session("LATE-3", cast.emsp, charging_periods=[period(10)])
    patch(cast, "LATE-3", 11)
    newer = {"charging_periods": [period(10)], "last_updated": "2026-03-01T10:12:00Z"}
    cast.cpo.put_session("LATE-3", cast.emsp, **newer)
    patch(cast, "LATE-3", 11, to=cast.scsp)
    assert kept("LATE-3")["charging_periods"] == [period(10)]
    patch(cast, "LATE-3", 12)
    assert kept("LATE-3")["charging_periods"] == [period(10), period(12)]


def test_a_late_patch_is_told_to_the_fsp_as_the_whole_session(cast):
    agreement = agree(cast.other_scsp, cpo=cast.cpo)
    try:
        cast.cpo.put_session("LATE-4", cast.emsp)
        for minute in (12, 11):
            patch(cast, "LATE-4", minute)
        cast.other_scsp.running.wait_for(
            lambda: (
                cast.other_scsp.got("LATE-4")[-1:]
                and cast.other_scsp.got("LATE-4")[-1].json() == kept("LATE-4")
            )
        )
        assert len(kept("LATE-4")["charging_periods"]) == 2
    finally:
        agreement.delete()


def test_what_says_nothing_new_is_not_told_again(cast):
    agreement = agree(cast.other_scsp, cpo=cast.cpo)
    try:
        cast.cpo.put_session("LATE-5", cast.emsp)
        cast.other_scsp.wait_for("LATE-5")
        patch(cast, "LATE-5", 11)
        cast.other_scsp.wait_for("LATE-5", count=2)
        patch(cast, "LATE-5", 11, to=cast.scsp)
        patch(cast, "LATE-5", 12)
        third = cast.other_scsp.wait_for("LATE-5", count=3)[2]
        assert third.json()["kwh"] == 12
    finally:
        agreement.delete()
