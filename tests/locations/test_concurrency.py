"""Pushes of one Location at once: none is lost, none waits forever."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from hub.ocpi.party import PartyId
from hub.store.pushed import Pushed, PushOutcome
from locations.models import Location
from simulators.testing import PATIENCE
from tests.hub.pushing import T1, T2, evse_of, location_of
from tests.hub.strangers import until

THREADS = 8


@pytest.fixture
def at_once() -> Iterator:
    """Runs calls in threads that start together."""
    with ThreadPoolExecutor(THREADS) as pool:

        def run(*calls):
            barrier = Barrier(len(calls))

            def one(call):
                barrier.wait(PATIENCE)
                return call()

            return [found.result(PATIENCE) for found in [pool.submit(one, call) for call in calls]]

        yield run


def moment(number: int) -> str:
    return f"2026-01-02T00:00:{number:02}Z"


@pytest.mark.parametrize("number", range(5))
def test_of_puts_of_one_new_location_at_once_the_newest_stays(owner, emsp, at_once, number):
    location_id = f"new {number}"
    bodies = [
        location_of(owner.party, location_id, city=str(one), last_updated=moment(one))
        for one in range(THREADS)
    ]
    answers = at_once(*(lambda body=body: owner.put(location_id, body=body) for body in bodies))
    assert {one.code for one in answers} == {1000}
    assert sum(one.status == 201 for one in answers) == 1
    assert owner.kept(location_id) == bodies[-1]
    # They are sent on in the order in which they were stored; an older one that came later is not.
    told = until(
        lambda: (found := owner.heard(emsp, location_id)) and _is_last(found[-1]) and found
    )
    moments = [message.json()["last_updated"] for message in told]
    assert moments == sorted(moments)


def _is_last(message) -> bool:
    return message.json()["last_updated"] == moment(THREADS - 1)


@pytest.mark.parametrize("number", range(3))
def test_patches_of_different_evses_at_once_are_all_kept(owner, emsp, at_once, number):
    location_id = f"evses {number}"
    uids = [str(one) for one in range(THREADS)]
    evses = [evse_of(uid) for uid in uids]
    owner.put(location_id, body=location_of(owner.party, location_id, evses=evses))
    owner.told(emsp, location_id, 1)
    body = {"status": "CHARGING", "last_updated": T2}
    answers = at_once(*(lambda uid=uid: owner.patch(location_id, uid, body=body) for uid in uids))
    assert {one.said for one in answers} == {(200, 1000)}
    assert {one["status"] for one in owner.kept(location_id)["evses"]} == {"CHARGING"}
    # Each EVSE's by itself.
    told = owner.told(emsp, location_id, 1 + THREADS)[1:]
    assert sorted(message.parts[-1] for message in told) == uids


@pytest.mark.parametrize("number", range(3))
def test_a_patch_during_a_put_comes_before_or_after_it(owner, at_once, number):
    location_id = f"during {number}"
    owner.put(location_id, body=location_of(owner.party, location_id))
    put = location_of(owner.party, location_id, city="Put", last_updated=T2)
    patch = {"status": "CHARGING", "last_updated": T2}
    at_once(
        lambda: owner.put(location_id, body=put),
        lambda: owner.patch(location_id, "3256", body=patch),
    )
    kept = owner.kept(location_id)
    assert kept["city"] == "Put"
    assert kept["evses"][0]["status"] in {"CHARGING", "AVAILABLE"}


@pytest.mark.parametrize("number", range(5))
def test_directed_and_broadcast_pushes_at_once_end_and_the_newest_counts(
    owner, emsp, at_once, number
):
    location_id = f"both {number}"
    owner.put(location_id, body=location_of(owner.party, location_id), to=emsp)
    broadcast, directed = (
        location_of(owner.party, location_id, city=city, last_updated=moment(at))
        for city, at in (("All", 2), ("Emsp", 1))
    )
    answers = at_once(
        lambda: owner.put(location_id, body=broadcast),
        lambda: owner.put(location_id, body=directed, to=emsp),
        lambda: owner.patch(location_id, body={"name": "N", "last_updated": T1}),
        lambda: owner.patch(location_id, body={"name": "N", "last_updated": T1}, to=emsp),
        lambda: owner.put(location_id, body=broadcast),
        lambda: owner.put(location_id, body=directed, to=emsp),
    )
    assert {one.code for one in answers} <= {1000}
    assert owner.kept(location_id, viewer=emsp)["city"] == "All"
    assert Location.objects.filter(object_id=location_id.upper()).count() == 1


# --- Broadcasts that nobody has to be told of are written by one statement ---------------------


def in_the_store(location_id, method, body, audience="", *ids):
    """Keep a push of NL-CPO without any message."""

    def push():
        try:
            owner = PartyId("NL", "CPO")
            sent = json.dumps(body).encode()
            return Location.push(
                Pushed(method, owner, (location_id, *ids), {}, sent, audience)
            ).kept
        finally:
            connection.close()

    return push


def whole(location_id, number, **more):
    owner = PartyId("NL", "CPO")
    return location_of(owner, location_id, city=str(number), last_updated=moment(number), **more)


@pytest.mark.parametrize("number", range(30))
def test_a_variant_that_is_older_than_what_is_broadcast_at_once_does_not_stay(hub, at_once, number):
    location_id = f"QUIET {number}"
    in_the_store(location_id, "PUT", whole(location_id, 1))()
    at_once(
        in_the_store(location_id, "PUT", whole(location_id, 3)),
        in_the_store(location_id, "PUT", whole(location_id, 2), "DE-MSP"),
        in_the_store(location_id, "PUT", whole(location_id, 4), "DE-NEW"),
    )
    rows = {row.audience: row for row in Location.objects.filter(object_id=location_id)}
    assert set(rows) == {"", "DE-NEW"}
    assert rows[""].last_updated.second == 3
    assert rows[""].has_variants
    in_the_store(location_id, "PUT", whole(location_id, 5))()
    (row,) = Location.objects.filter(object_id=location_id)
    assert not row.has_variants
    assert in_the_store(location_id, "PUT", whole(location_id, 6))() is PushOutcome.CHANGED


@pytest.mark.parametrize("number", range(20))
def test_no_patch_is_lost_under_a_put_at_once(hub, at_once, number):
    location_id = f"PATCHED {number}"
    in_the_store(location_id, "PUT", whole(location_id, 1))()
    status = {"status": "CHARGING", "last_updated": moment(3)}
    at_once(
        in_the_store(location_id, "PUT", whole(location_id, 2)),
        in_the_store(location_id, "PATCH", status, "", "3256"),
    )
    row = Location.objects.get(object_id=location_id)
    assert json.loads(bytes(row.document))["evses"][0]["status"] == "CHARGING"
