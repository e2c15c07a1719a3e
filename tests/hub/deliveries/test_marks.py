"""What the hub owes of Locations, Tariffs and Tokens: the state, told as one change."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from hub.models import DrainLease, Party, StaleCopy, ToldLately
from hub.ocpi.datatypes import Role
from hub.outbox import outbox
from hub.outbox.backlog import backlog
from hub.record.models import Message
from locations.models import Location
from party.messages import Received
from simulators.testing import PATIENCE, Running
from tests.hub.pushing import (
    HUB,
    T1,
    T2,
    T3,
    Owner,
    connector_of,
    evse_of,
    location_of,
    settled,
    tariff_of,
)
from tests.hub.recording import recorded
from tests.hub.strangers import Gate, Stranger, ask, raw, until
from tests.minimal import as_json, token

pytestmark = pytest.mark.measured
UNKNOWN = b'{"status_code":2003,"status_message":"Unknown Location","timestamp":"T"}'
INVALID = b'{"status_code":2001,"status_message":"Invalid","timestamp":"T"}'


@pytest.fixture(scope="module")
def cpo(hub) -> Running[Stranger]:
    return hub.join(Stranger(Role.CPO))


@pytest.fixture(scope="module")
def emsp(hub) -> Running[Stranger]:
    return hub.join(Stranger(Role.EMSP))


@pytest.fixture(autouse=True)
def _well(emsp, cpo) -> Iterator[None]:
    yield
    for running in (emsp, cpo):
        running.simulator.says = Stranger.says_yes
        running.simulator.got.clear()
    StaleCopy.objects.all().delete()


@pytest.fixture
def locations(hub, cpo) -> Owner:
    return Owner(hub, cpo, "locations")


def two_evses(owner: Owner, name: str, **more) -> dict:
    connectors = [connector_of("1"), connector_of("2")]
    evses = [evse_of(uid, connectors=connectors) for uid in ("E1", "E2")]
    return location_of(owner.party, name, evses=evses, **more)


def told(owner: Owner, emsp, name: str) -> list[tuple[str, str]]:
    """Method and part of what has come of an object."""
    return [(m.method, m.path.partition(name)[2].lstrip("/")) for m in owner.heard(emsp, name)]


def of_locations(emsp) -> list[Received]:
    """Beside them it is told who comes and goes."""
    return [m for m in emsp.simulator.got if m.module == "locations"]


def behind(emsp, owner: Owner, name: str) -> Gate:
    """The eMSP has got the object, and holds the answer to its next change back."""
    assert owner.put(name, body=two_evses(owner, name)).code == 1000
    owner.told(emsp, name, 1)
    gate = emsp.simulator.says = Gate()
    change = {"name": "held", "last_updated": T1}
    assert owner.patch(name, body=change).code == 1000
    until(lambda: len(told(owner, emsp, name)) == 2)
    return gate


def open_gate(emsp, gate: Gate) -> None:
    emsp.simulator.says = Stranger.says_yes
    gate.is_open.set()
    settled(emsp)


def waits(emsp, parts: set[str], name: str) -> None:
    """So many parts of the object are owed."""
    mine = StaleCopy.objects.filter(party=str(emsp.simulator.party), object_id=name.upper())
    until(lambda: {one.part for one in mine.all()} >= {part.upper() for part in parts})


# --- What is sent --------------------------------------------------------------------------------


def test_one_change_goes_as_it_came_at_its_url(emsp, locations):
    locations.put("one", body=two_evses(locations, "one"))
    locations.told(emsp, "one", 1)
    body = b'{ "status": "CHARGING",  "last_updated": "2026-01-02T00:00:00Z", "x": 1.50 }'
    assert locations.patch("one", "e1", body=body).code == 1000
    message = locations.told(emsp, "one", 2)[1]
    assert (message.method, message.body) == ("PATCH", body)
    assert message.parts[-1] == "e1"


def test_several_changes_are_one_put_of_the_smallest_part_that_holds_them(emsp, locations):
    gate = behind(emsp, locations, "small")
    for moment, voltage in ((T2, 230), (T3, 400)):
        change = {"max_voltage": voltage, "last_updated": moment}
        locations.patch("small", "E2", "1", body=change)
    open_gate(emsp, gate)
    assert told(locations, emsp, "small")[2:] == [("PUT", "E2/1")]
    assert locations.heard(emsp, "small")[2].json()["max_voltage"] == 400


def test_an_evse_stands_for_its_connectors_and_other_evses_for_themselves(emsp, locations):
    gate = behind(emsp, locations, "evses")
    locations.patch("evses", "E1", "1", body={"max_voltage": 400, "last_updated": T2})
    locations.patch("evses", "E1", body={"status": "CHARGING", "last_updated": T2})
    locations.patch("evses", "E2", body={"status": "BLOCKED", "last_updated": T2})
    open_gate(emsp, gate)
    assert sorted(told(locations, emsp, "evses")[2:]) == [("PATCH", "E2"), ("PUT", "E1")]
    [put] = [m for m in locations.heard(emsp, "evses")[2:] if m.method == "PUT"]
    assert put.json()["status"] == "CHARGING"
    assert put.json()["connectors"][0]["max_voltage"] == 400


def test_a_whole_object_stands_for_all_its_parts(hub, locations):
    """A new Location is not preceded by the status of its EVSE."""
    emsp = hub.join(Stranger(Role.EMSP))
    gate = emsp.simulator.says = Gate()
    for number in range(10):  # As many as go side by side.
        locations.put(f"fills-{number}", body=two_evses(locations, f"fills-{number}"))
    until(lambda: len(of_locations(emsp)) == 10)
    locations.put("whole", body=two_evses(locations, "whole"))
    locations.patch("whole", "E1", body={"status": "CHARGING", "last_updated": T2})
    waits(emsp, {"", "E1"}, "whole")
    open_gate(emsp, gate)
    assert told(locations, emsp, "whole") == [("PUT", "")]
    assert locations.heard(emsp, "whole")[0].json()["evses"][0]["status"] == "CHARGING"


def test_the_record_names_what_was_told_together(hub, emsp, locations):
    gate = behind(emsp, locations, "merged")
    ids = [f"corr-{number}-merged" for number in range(3)]
    for correlation_id, city in zip(ids, ("A", "B", "C"), strict=True):
        ask(
            hub,
            locations.running,
            "PATCH",
            locations.path("merged"),
            to=HUB,
            body=as_json({"city": city, "last_updated": T2}),
            headers={"X-Correlation-ID": correlation_id},
        )
    open_gate(emsp, gate)
    assert locations.heard(emsp, "merged")[-1].headers["X-Correlation-ID"] == ids[-1]
    for correlation_id in ids[:2]:
        recorded(2, correlation_id=correlation_id)
        found = Message.objects.get(
            correlation_id=correlation_id, kind="merged", receiver=str(emsp.simulator.party)
        )
        assert ids[-1] in found.problem


# --- What the receiver says ----------------------------------------------------------------------


def test_a_refused_patch_becomes_a_put_of_the_part(emsp, locations):
    locations.put("refuses", body=two_evses(locations, "refuses"))
    locations.told(emsp, "refuses", 1)
    emsp.simulator.says = lambda m: raw(INVALID) if m.method == "PATCH" else raw()
    locations.patch("refuses", "E1", body={"status": "CHARGING", "last_updated": T2})
    settled(emsp)
    assert told(locations, emsp, "refuses")[1:] == [("PATCH", "E1"), ("PUT", "E1")]


@pytest.mark.parametrize("answer", [(404, b""), (200, UNKNOWN)])
def test_a_part_of_what_the_receiver_does_not_have_brings_the_whole(emsp, locations, answer):
    name = f"lacks{answer[0]}"
    locations.put(name, body=two_evses(locations, name))
    locations.told(emsp, name, 1)
    emsp.simulator.says = lambda m: raw(answer[1], answer[0]) if "E1" in m.path else raw()
    locations.patch(name, "E1", body={"status": "CHARGING", "last_updated": T2})
    settled(emsp)
    assert told(locations, emsp, name)[1:] == [("PATCH", "E1"), ("PUT", "E1"), ("PUT", "")]


def test_a_refused_whole_is_shown_and_not_tried_again_before_it_changes(emsp, locations):
    emsp.simulator.says = lambda m: raw(INVALID)
    locations.put("never", body=two_evses(locations, "never"))
    mine = StaleCopy.objects.filter(party=str(emsp.simulator.party), object_id="NEVER")
    until(lambda: mine.filter(state="REFUSED").exists())
    assert "OCPI 2001: Invalid" in mine.get().outcome
    emsp.simulator.says = Stranger.says_yes
    locations.put("other-one", body=two_evses(locations, "other-one"))
    locations.told(emsp, "other-one", 1)
    assert told(locations, emsp, "never") == [("PUT", "")]
    locations.put("never", body=two_evses(locations, "never", city="X", last_updated=T2))
    settled(emsp)
    assert told(locations, emsp, "never") == [("PUT", "")] * 2
    assert not mine.exists()


def test_after_a_patch_that_may_have_arrived_comes_a_put(emsp, locations):
    locations.put("unknown", body=two_evses(locations, "unknown"))
    locations.told(emsp, "unknown", 1)
    emsp.simulator.says = lambda m: raw(b"", 504) if m.method == "PATCH" else raw()
    locations.patch("unknown", "E1", body={"status": "CHARGING", "last_updated": T2})
    settled(emsp)
    assert told(locations, emsp, "unknown")[1:] == [("PATCH", "E1"), ("PUT", "E1")]


def test_a_delete_comes_last_and_of_what_is_not_there_it_is_done(hub, cpo, emsp):
    tariffs = Owner(hub, cpo, "tariffs")
    tariffs.put("T", body=tariff_of(tariffs.party, "T"))
    settled(emsp)
    gate = emsp.simulator.says = Gate()
    tariffs.put("T", body=tariff_of(tariffs.party, "T", last_updated=T2))
    until(lambda: len(tariffs.heard(emsp, "T")) == 2)
    tariffs.put("T", body=tariff_of(tariffs.party, "T", last_updated=T3))
    assert tariffs.send("DELETE", "T").code == 1000
    emsp.simulator.says = lambda m: raw(UNKNOWN, 404)
    gate.is_open.set()
    settled(emsp)
    assert [m.method for m in tariffs.heard(emsp, "T")] == ["PUT", "PUT", "DELETE"]
    assert not StaleCopy.objects.filter(object_id="T").exists()


def test_what_was_deleted_once_stays_a_mark_of_that_whatever_comes_after(emsp):
    """A replay of a moment ago, or a pulled list, must not keep a dead Tariff alive."""
    to = [outbox.Addressee(_platform(emsp), str(emsp.simulator.party))]
    named = {"module": "tariffs", "owner": "NL-CPO", "object_id": "STICKY", "spelling": "NL/CPO/S"}
    with transaction.atomic():  # No drain sees it.
        for is_deleted in (False, True, False):
            change = outbox.Change(**named, correlation_id="c", is_deleted=is_deleted)
            outbox.mark(change, to)
        found = StaleCopy.objects.get(object_id="STICKY")
        transaction.set_rollback(True)
    assert (found.is_deleted, found.raised, found.state) == (True, 3, "WAITING")


def test_what_is_gone_from_the_store_is_told_to_nobody(emsp, locations):
    gate = behind(emsp, locations, "stays")
    locations.put("goes", body=two_evses(locations, "goes"))
    Location.objects.filter(object_id="GOES").delete()
    open_gate(emsp, gate)
    assert told(locations, emsp, "goes") in ([], [("PUT", "")])
    # Nobody else is owed it either.
    until(lambda: not StaleCopy.objects.filter(object_id="GOES").exists())


def test_a_push_to_one_party_clears_what_it_is_owed_of_that(emsp, locations):
    locations.put("cleared", body=two_evses(locations, "cleared"))
    locations.told(emsp, "cleared", 1)
    # It takes what its owner sends it, and nobody else's.
    emsp.simulator.says = lambda m: raw(b"", 429, Retry_After="2") if m.from_party == HUB else raw()
    locations.patch("cleared", "E1", body={"status": "CHARGING", "last_updated": T2})
    waits(emsp, {"E1"}, "cleared")
    ToldLately.objects.all().delete()  # As if that were some time ago.
    newest = two_evses(locations, "cleared", last_updated=T3)
    assert locations.put("cleared", body=newest, to=emsp).code == 1000
    mine = StaleCopy.objects.filter(party=str(emsp.simulator.party), object_id="CLEARED")
    assert not mine.exclude(state="TAKEN").exists()
    emsp.simulator.says = Stranger.says_yes
    until(lambda: not mine.exists())
    heard = locations.heard(emsp, "cleared")
    assert [m.from_party for m in heard if m.method == "PUT"] == [HUB, locations.party]


@pytest.mark.parametrize("what", ["whole", "part", "patch"])
def test_a_call_that_begins_and_ends_beside_a_push_to_one_party_is_followed_by_the_newest(
    hub, cpo, emsp, what
):
    """What its receiver took last of the two, the hub cannot see."""
    locations, name = Owner(hub, cpo, "locations"), f"within-{what}"
    locations.put(name, body=two_evses(locations, name))
    locations.told(emsp, name, 1)
    ToldLately.objects.all().delete()
    gate = Gate()
    emsp.simulator.says = lambda m: raw() if m.from_party == HUB else gate(m)
    method, ids, body = _newest(locations, name)[what]
    with ThreadPoolExecutor(1) as pool:
        pushed = pool.submit(locations.send, method, *ids, body=body, to=emsp)
        until(lambda: len(locations.heard(emsp, name)) == 2)
        locations.put(name, body=two_evses(locations, name, city="old", last_updated=T2))
        locations.told(emsp, name, 3)
        gate.is_open.set()
        assert pushed.result(PATIENCE).code == 1000
    again = locations.told(emsp, name, 4)[-1]
    assert (again.method, again.json()) == ("PUT", locations.kept(name, viewer=emsp))
    assert again.from_party == locations.party


def _newest(owner: Owner, name: str) -> dict[str, tuple[str, tuple[str, ...], dict]]:
    return {
        "whole": ("PUT", (name,), two_evses(owner, name, last_updated=T3)),
        "part": ("PUT", (name, "E1"), evse_of("E1", last_updated=T3)),
        "patch": ("PATCH", (name, "E1"), {"status": "BLOCKED", "last_updated": T3}),
    }


@pytest.mark.parametrize("answer", [200, 504])
@pytest.mark.parametrize("what", ["whole", "part", "patch"])
def test_beside_a_newer_push_to_one_party_an_older_call_is_followed_by_the_newest(
    hub, cpo, emsp, what, answer
):
    """The broadcast may arrive last: whoever took both in any order has the newest in the end."""
    locations, name = Owner(hub, cpo, "locations"), f"beside-{what}-{answer}"
    locations.put(name, body=two_evses(locations, name))
    locations.told(emsp, name, 1)
    is_open = threading.Event()

    async def says(message: Received) -> object:
        if message.from_party != HUB:
            return raw()
        await asyncio.to_thread(is_open.wait, 30)
        return raw(status=answer)

    emsp.simulator.says = says
    locations.put(name, body=two_evses(locations, name, city="old", last_updated=T2))
    until(lambda: len(locations.heard(emsp, name)) == 2)
    method, ids, body = _newest(locations, name)[what]
    assert locations.send(method, *ids, body=body, to=emsp).code == 1000
    newest = locations.kept(name, viewer=emsp)
    is_open.set()
    again = locations.told(emsp, name, 4)[-1]
    assert (again.method, again.json()) == ("PUT", newest)


def test_beside_a_delete_to_one_party_an_older_call_is_followed_by_another_delete(hub, cpo, emsp):
    tariffs, is_open = Owner(hub, cpo, "tariffs"), threading.Event()

    async def says(message: Received) -> object:
        if message.from_party == HUB and message.method == "PUT":
            await asyncio.to_thread(is_open.wait, 30)
        return raw()

    emsp.simulator.says = says
    tariffs.put("both", body=tariff_of(tariffs.party, "both"))
    until(lambda: tariffs.heard(emsp, "both"))
    assert tariffs.send("DELETE", "both", to=emsp).code == 1000
    is_open.set()
    again = tariffs.told(emsp, "both", 3)
    assert [m.method for m in again] == ["PUT", "DELETE", "DELETE"]
    assert again[-1].parts == again[0].parts


@pytest.mark.parametrize("what", ["whole", "part", "patch"])
def test_after_a_push_to_one_party_that_is_older_than_what_is_kept_comes_the_newest(
    hub, cpo, emsp, what
):
    """It left before the broadcast, and its receiver may have taken it after that."""
    locations, name = Owner(hub, cpo, "locations"), f"older-{what}"
    method, ids, body = _newest(locations, name)[what]
    later = "2026-01-04T00:00:00Z"
    evses = [evse_of(uid, last_updated=later) for uid in ("E1", "E2")]
    newest = location_of(locations.party, name, evses=evses, last_updated=later)
    locations.put(name, body=newest)
    locations.told(emsp, name, 1)
    assert locations.send(method, *ids, body=body, to=emsp).code == 1000
    again = locations.told(emsp, name, 3)[-1]
    assert (again.method, again.json()) == ("PUT", newest if what == "whole" else evses[0])


# --- In which order, and how long -----------------------------------------------------------------


def _of_the_same_drain(hub, running) -> Running[Stranger]:
    """Another eMSP, in whose look for rows the drain finds this one's too."""
    shard = DrainLease.shard_of(_platform(running))
    while True:
        other = hub.join(Stranger(Role.EMSP))
        if DrainLease.shard_of(_platform(other)) == shard:
            return other


def _platform(running) -> int:
    return Party.objects.filter(party_id=running.simulator.party.party_id)[0].platform_id


def test_tokens_and_what_becomes_of_an_evse_go_before_the_rest(hub, locations):
    emsp = hub.join(Stranger(Role.EMSP))  # One that has been busy has fewer lanes.
    other = _of_the_same_drain(hub, emsp)
    names = [f"rest-{number}" for number in range(15)]
    for name in ["status", *names]:
        locations.put(name, body=two_evses(locations, name))
    settled(emsp)
    emsp.simulator.got.clear()
    gate = emsp.simulator.says = Gate()
    for name in names:
        locations.put(name, body=two_evses(locations, name, last_updated=T2))
    # As many as go side by side are on their way.
    until(lambda: len(of_locations(emsp)) == 10)
    locations.patch("status", "E1", body={"status": "CHARGING", "last_updated": T2})
    until(lambda: ("PATCH", "E1") in told(locations, other, "status"))
    open_gate(emsp, gate)
    later = [m.path for m in of_locations(emsp)[10:]]
    assert len(later) == 6
    assert any("status" in path for path in later[:2]), later


def test_nothing_is_dropped_for_its_age_and_a_busy_receiver_refuses_nobody(hub, emsp, locations):
    is_busy = True
    emsp.simulator.says = lambda m: raw(b"", 429, Retry_After="1") if is_busy else raw()
    names = [f"age-{number}" for number in range(30)]
    for name in names:
        assert locations.put(name, body=two_evses(locations, name)).said == (201, 1000)
    waiting = StaleCopy.objects.filter(party=str(emsp.simulator.party))
    waiting.update(first_at=timezone.now() - timedelta(days=2))
    backlog.__init__()
    backlog.check()
    assert waiting.count() == 30
    is_busy = False
    settled(emsp)
    seen = {m.parts[-1] for m in emsp.simulator.got}
    assert seen >= set(names)
    assert Party.objects.get(party_id=emsp.simulator.party.party_id).status == "CONNECTED"


def test_each_receiver_gets_the_newest_whatever_it_answers_on_the_way(hub, cpo, emsp):
    """Of many changes of one object, with a receiver that fails every other time."""
    tokens = Owner(hub, emsp, "tokens")
    turn = iter(range(10_000))
    answers = [raw(), raw(b"", 503), raw(b"", 429), raw(INVALID)]
    cpo.simulator.says = lambda m: answers[next(turn) % 3]
    party = emsp.simulator.party
    for number in range(20):
        moment = f"2026-02-01T00:00:{number:02}Z"
        body = token(party, "MANY", issuer=str(number), last_updated=moment)
        assert tokens.put("MANY", body=body).code == 1000
    cpo.simulator.says = Stranger.says_yes
    settled(cpo)
    issuers = [int(m.json()["issuer"]) for m in tokens.heard(cpo, "MANY")]
    assert issuers == sorted(issuers)
    assert issuers[-1] == 19


# --- Rows ----------------------------------------------------------------------------------------


def test_nobody_waits_for_a_mark_that_somebody_writes_to_forget_it(hub, emsp, locations):
    """Two platforms that go at once mark each other, and would wait in a circle."""
    emsp.simulator.says = lambda message: raw(b"", 429, Retry_After="5")
    locations.put("BOTH", body=location_of(locations.party, "BOTH"))
    platform = _platform(emsp)
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        assert StaleCopy.objects.select_for_update().filter(receiver=platform).count()
        list(StaleCopy.objects.select_for_update().filter(receiver=platform))
        assert pool.submit(_and_close, outbox.forget, platform).result(PATIENCE)[0] == 0
    assert outbox.forget(platform)[0] == 1


def _and_close(function, *arguments):
    try:
        return function(*arguments)
    finally:
        connection.close()


def test_marks_of_a_party_are_kept_once_each_and_counted(hub, emsp, locations):
    gate = behind(emsp, locations, "count")
    for moment in (T2, T3):
        locations.patch("count", "E1", body={"status": "CHARGING", "last_updated": moment})
    waits(emsp, {"E1"}, "count")
    mark = StaleCopy.objects.get(object_id="COUNT", part="E1", party=str(emsp.simulator.party))
    assert (mark.raised, mark.patch, mark.spelling.rpartition("/")[2]) == (2, None, "E1")
    assert len(mark.merged) == 1
    open_gate(emsp, gate)
    assert json.loads(locations.heard(emsp, "count")[-1].body)["status"] == "CHARGING"


def test_a_change_that_nobody_is_told_of_is_owed_to_nobody():
    change = outbox.Change("locations", "NL-CPO", "NOBODY", "NL/CPO/nobody", "correlation")
    assert outbox.mark_all([change], [[]]) == 0
    assert not StaleCopy.objects.filter(object_id="NOBODY").exists()
