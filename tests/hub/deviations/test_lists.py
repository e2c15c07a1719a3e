"""A platform's own view: what the hub noted of what it sends, and what is left out."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hub.conformance.left_out import of_owner
from hub.deviations import noting
from hub.deviations.models import DeviationCount, LeftOut
from hub.models import Agreement, Platform
from hub.ocpi.datatypes import Role
from hub.ocpi.lenient import Deviation
from hub.parties import onboarding
from hub.routing.directory import load
from hub.store import leaving_out
from hub.store.kinds import kinds_left_out
from locations.models import Location
from simulators.testing import Running
from tariffs.models import Tariff
from tests.hub.deviations.test_leaving_out import LOCATIONS, platform_of, stored
from tests.hub.pushing import T1, Owner, listed, location_of, next_of
from tests.hub.strangers import Stranger, ask, send, until
from tests.running_hub import new_party

PATH = "/ocpi/2.2.1/deviations"
FOR_YOU, FOR_OTHERS = f"{PATH}/left-out-for-you", f"{PATH}/left-out-for-others"


@pytest.fixture(scope="module")
def picky(hub) -> Running[Stranger]:
    """An eMSP that wants no deviations."""
    running = hub.join(Stranger(Role.EMSP))
    leaving_out.switch(platform_of(running), kinds_left_out(), on=True)
    return running


@pytest.fixture(autouse=True)
def _nothing_counted(hub, picky, cpo):
    """Each test has its own objects alone."""
    Location.objects.all().delete()
    Tariff.objects.all().delete()
    noting.flush()
    LeftOut.objects.all().delete()
    DeviationCount.objects.all().delete()


def told(hub, viewer: Running[Stranger], path: str) -> list[dict[str, Any]]:
    answer = ask(hub, viewer, "GET", path)
    assert answer.said == (200, 1000)
    found: list[dict[str, Any]] = answer.envelope["data"]
    return found


def noted(running: Running[Stranger], *found: Deviation) -> None:
    noting.note(platform_of(running).pk, found)
    noting.flush()


def test_a_party_sees_what_it_sends_that_differs_as_soon_as_it_is_written(hub, cpo, emsp):
    owner = Owner(hub, cpo, "locations")
    odd = location_of(owner.party, "ODD", last_updated="2026-01-01 10:00:00+00:00", country="ZZ")
    for _ in range(2):
        assert owner.put("ODD", body=odd).code == 1000
    # The web process writes with its house-keeping; nobody helps it here.
    rows = until(lambda: {one["path"]: one for one in told(hub, cpo, PATH)})
    one = rows["Location.last_updated"]
    assert set(one) == {
        *("rule", "path", "count", "first_seen", "last_seen"),
        *("example", "meaning", "asked"),
    }
    assert (one["rule"], one["count"]) == ("date-time", 2)
    assert one["example"] == "2026-01-01 10:00:00+00:00"
    assert one["meaning"] == "a time that is spelled otherwise"
    assert "2015-06-29T20:39:09Z" in one["asked"]
    for name in ("first_seen", "last_seen"):
        assert one[name].endswith("Z")
        assert len(one[name]) == 20
    assert told(hub, emsp, PATH) == []


def test_what_opens_something_or_names_a_driver_is_masked(hub, emsp):
    noted(emsp, Deviation("too-long", "Token.contract_id", "DE-MSP-SECRET-CONTRACT-123"))
    assert [one["example"] for one in told(hub, emsp, PATH)] == ["•••123"]


def test_the_list_is_read_in_pages_and_by_when_each_was_last_seen(hub, cpo):
    noted(cpo, *(Deviation("too-long", f"Location.a{n}", "x") for n in range(5)))
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    DeviationCount.objects.filter(path="Location.a2").update(last_at=moment)
    pages = [ask(hub, cpo, "GET", f"{PATH}/?limit=2")]
    while url := next_of(pages[-1]):
        assert url.startswith(f"{hub.url}{PATH}?")
        pages.append(ask(hub, cpo, "GET", url))
    assert [len(page.envelope["data"]) for page in pages] == [2, 2, 1]
    found = [one["path"] for page in pages for one in page.envelope["data"]]
    assert found == [f"Location.a{n}" for n in range(5)]
    assert pages[0].headers["x-total-count"] == "5"
    at, later = "2024-05-01T12:00:00Z", "2024-05-01T12:00:01Z"
    by_time = [one["path"] for one in told(hub, cpo, f"{PATH}?date_from={at}&date_to={later}")]
    assert by_time == ["Location.a2"]
    assert told(hub, cpo, f"{PATH}?date_to={at}") == []
    assert len(told(hub, cpo, f"{PATH}?date_from={later}")) == 4
    assert ask(hub, cpo, "GET", f"{PATH}?limit=0").code == 2001


def test_both_sides_see_what_is_left_out_and_the_owner_not_for_whom(hub, cpo, emsp, picky):
    country_code, party_id = cpo.simulator.party
    for number in range(12):
        stored(cpo, f"ODD{number:02}", deviates=True)
    stored(cpo, "EVEN", deviates=False)
    stored(cpo, "T", deviates=True, kind=Tariff)
    assert told(hub, emsp, FOR_YOU) == told(hub, emsp, FOR_OTHERS) == told(hub, cpo, FOR_YOU) == []
    locations = {
        "module": "locations",
        "country_code": country_code,
        "party_id": party_id,
        "objects": 12,
        "object_ids": [f"ODD{number:02}" for number in range(10)],
        "pushes": 0,
        "lists": 0,
    }
    tariffs = locations | {"module": "tariffs", "objects": 1, "object_ids": ["T"]}
    assert told(hub, picky, FOR_YOU) == [locations, tariffs]
    assert told(hub, cpo, FOR_OTHERS) == [one | {"platforms": 1} for one in (locations, tariffs)]
    listed(hub, picky, LOCATIONS)
    push = Owner(hub, cpo, "locations")
    push.put("NEW", body=location_of(cpo.simulator.party, "NEW", country="ZZ", last_updated=T1))

    def counted() -> bool:
        noting.flush()
        return LeftOut.objects.filter(pushes=1, lists=1).exists()

    until(counted)
    for viewer, path in ((picky, FOR_YOU), (cpo, FOR_OTHERS)):
        [now, _] = told(hub, viewer, path)
        assert (now["objects"], now["pushes"], now["lists"]) == (13, 1, 1)
        assert now["first_seen"] <= now["last_seen"]
    text = ask(hub, cpo, "GET", FOR_OTHERS).body.decode()
    assert picky.simulator.party.party_id not in text
    assert platform_of(picky).name not in text


def test_an_object_that_two_platforms_lack_is_one_object(hub, cpo, picky):
    second = hub.join(Stranger(Role.EMSP))
    leaving_out.switch(platform_of(second), kinds_left_out(), on=True)
    stored(cpo, "ODD", deviates=True)
    try:
        [one] = told(hub, cpo, FOR_OTHERS)
        assert (one["objects"], one["platforms"]) == (1, 2)
        directory = load()
        entry = directory.parties[cpo.simulator.party].platform
        by_receiver = of_owner(entry, directory, by_receiver=True)
        receivers = {platform_of(picky).pk, platform_of(second).pk}
        assert {one.receiver for one in by_receiver} == receivers
    finally:
        leaving_out.switch(platform_of(second), kinds_left_out(), on=False)


def test_what_may_not_be_seen_is_not_told_either(hub, cpo, picky):
    stored(cpo, "ODD", deviates=True)
    pair = sorted([cpo.simulator.party, picky.simulator.party])
    closed = Agreement.objects.create(
        country_code_a=pair[0][0],
        party_id_a=pair[0][1],
        country_code_b=pair[1][0],
        party_id_b=pair[1][1],
        is_open=False,
    )
    try:
        until(lambda: told(hub, picky, FOR_YOU) == told(hub, cpo, FOR_OTHERS) == [])
    finally:
        closed.delete()
    until(lambda: told(hub, picky, FOR_YOU))


def test_what_an_aggregator_tells_of_others_it_sees_as_its_own(hub, cpo, picky):
    platform = Platform.objects.filter(pk=platform_of(cpo).pk)
    platform.update(is_aggregator=True)
    try:
        Location.keep(
            {"owner": "FR-XYZ", "object_id": "F1"},
            "",
            b"{}",
            datetime(2026, 1, 1, tzinfo=UTC),
            deviates=True,
            told_by=str(cpo.simulator.party),
        )
        for viewer, path in ((picky, FOR_YOU), (cpo, FOR_OTHERS)):
            until(
                lambda viewer=viewer, path=path: (
                    [
                        (one["country_code"], one["party_id"], one["object_ids"])
                        for one in told(hub, viewer, path)
                    ]
                    == [("FR", "XYZ", ["F1"])]
                )
            )
        leaving_out.switch(platform_of(cpo), kinds_left_out(), on=True)
        assert told(hub, cpo, FOR_YOU) == []
    finally:
        leaving_out.switch(platform_of(cpo), kinds_left_out(), on=False)
        platform.update(is_aggregator=False)


def test_who_is_suspended_or_not_registered_sees_none(hub):
    suspended = hub.join(Stranger(Role.CPO))
    onboarding.suspend(suspended.simulator.party)
    token_a = onboarding.invite(new_party(), [Role.CPO], "Newcomer").token
    for path in (PATH, FOR_YOU, FOR_OTHERS):
        until(lambda path=path: ask(hub, suspended, "GET", path).status == 403)
        assert send(hub, "GET", path).status == 401
        assert send(hub, "GET", path, token_a).status == 401
