"""Which Locations are kept without a thread; all others go the long way (decision 0030)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from hub.db.notify import connection_parameters
from hub.models import Party, StaleCopy
from hub.models.stale_copies import PART_OF
from locations.models import Location
from simulators.testing import PATIENCE
from tests.at_once import accepted, is_kept_at_once, keep_on_a_thread
from tests.hub.pushing import T1, T2, T3, connector_of, evse_of, location_of

ODD = {"status": "broken", "floor_level": 3}
# Of a Location at T2 with the EVSEs 1 and 2: method, ids below it, body.
CHANGES: list[tuple[str, list[str], dict[str, Any]]] = [
    ("PUT", [], {"city": "Nieuw", "last_updated": T3}),
    ("PUT", [], {"city": "Nieuw", "evses": [evse_of("1", **ODD, last_updated=T3)]}),
    ("PUT", [], {"city": "Nieuw", "evses": [], "last_updated": "2199-01-01T00:00:00Z"}),
    ("PATCH", [], {"city": "Nieuw", "x_own": [1.50], "last_updated": T3}),
    ("PATCH", [], {"evses": [evse_of("2", last_updated=T3)], "last_updated": T3}),
    ("PATCH", ["1"], {"status": "CHARGING", "last_updated": T3}),
    ("PATCH", ["1"], ODD | {"last_updated": T3}),
    ("PUT", ["2"], evse_of("2", last_updated=T3)),
    ("PUT", ["3"], evse_of("3", last_updated=T3)),
    ("PATCH", ["2", "1"], {"max_amperage": 32, "last_updated": T3}),
    ("PUT", ["2", "9"], connector_of("9", last_updated=T3)),
]


@pytest.fixture
def change(owner, emsp):
    """A change of a Location that the eMSP has accepted."""

    def made(name: str, method: str, ids: list[str], body: dict[str, Any]):
        if method == "PUT" and not ids:
            body = location_of(owner.party, name, last_updated=T2) | body
        parties = (owner.party, emsp.simulator.party)
        return accepted("locations", method, [name, *ids], body, parties)

    return made


def told(owner, emsp, name: str) -> None:
    """The eMSP alone has it, from T2."""
    evses = [evse_of("1", last_updated=T2), evse_of("2")]
    body = location_of(owner.party, name, evses=evses, last_updated=T2)
    assert owner.put(name, body=body, to=emsp).code == 1000


def columns(name: str) -> dict[str, Any]:
    row: dict[str, Any] = {**Location.objects.filter(object_id=name).values().get()}
    row["document"] = bytes(row["document"]).replace(name.encode(), b"ID")
    for column in ("id", "object_id", "received_at", "clean_until"):
        if column != "clean_until" or row[column] is not None:
            del row[column]
    return row


def test_what_is_kept_at_once_is_what_a_thread_keeps(owner, emsp, change):
    for number, (method, ids, body) in enumerate(CHANGES):
        kept = []
        for name in (f"SAME-1-{number}", f"SAME-2-{number}"):
            told(owner, emsp, name)
            before = columns(name)
            message = change(name, method, ids, body)
            if name.startswith("SAME-1"):
                assert is_kept_at_once(message), (method, ids, body)
            else:
                keep_on_a_thread(message)
            if body.get("last_updated", "").startswith("2199"):
                assert columns(name)["moments"] != before["moments"]
            kept.append(columns(name))
            assert kept[-1]["document"] != before["document"]
        for row in kept:
            if body.get("last_updated", "").startswith("2199"):
                del row["last_updated"]  # That of its arrival.
        assert kept[0] == kept[1], (method, ids, body)


@pytest.mark.parametrize(
    ("number", "ended", "raised"),
    [
        (0, {"", "1", "1/1", "2", "2/1", "2/9", "22"}, set()),
        (3, set(), {"", "1", "1/1", "2", "2/1", "2/9", "22"}),
        (5, set(), {"", "1", "1/1"}),
        (7, {"2", "2/1", "2/9"}, {""}),
        (9, set(), {"", "2", "2/1"}),
        (10, {"2/9"}, {"", "2"}),
    ],
)
def test_what_its_receiver_is_owed_ends_or_is_raised_the_same_either_way(
    owner, emsp, change, number, ended, raised
):
    method, ids, body = CHANGES[number]
    party = emsp.simulator.party
    platform = Party.objects.get(party_id=party.party_id).platform
    for name in (f"OWED-1-{number}", f"OWED-2-{number}"):
        told(owner, emsp, name)
        parts = ["", "1", "1/1", "2", "2/1", "2/9", "22"]
        StaleCopy.objects.bulk_create(
            StaleCopy(
                receiver=platform,
                party=str(party),
                module="locations",
                owner=str(owner.party),
                object_id=name,
                part=part.replace("/", PART_OF),
                state="REFUSED",  # Nobody tells it.
            )
            for part in parts
        )
        message = change(name, method, ids, body)
        if name.startswith("OWED-1"):
            assert is_kept_at_once(message)
        else:
            keep_on_a_thread(message)
        owed = StaleCopy.objects.filter(object_id=name).exclude(state="TAKEN")
        left = {one.shown_part: one.raised for one in owed}
        assert left == {part: 1 + (part in raised) for part in parts if part not in ended}


def test_everything_else_goes_the_long_way_and_nothing_of_it_is_written(owner, emsp, change):
    assert not is_kept_at_once(change("NEW", "PUT", [], {}))
    assert not is_kept_at_once(change("NEW", "PATCH", [], {"city": "X", "last_updated": T3}))
    assert not Location.objects.filter(object_id="NEW").exists()
    told(owner, emsp, "LONG")
    before = columns("LONG")
    older = [
        change("LONG", "PUT", [], {"last_updated": T1}),
        change("LONG", "PUT", [], {"evses": [evse_of("1")], "last_updated": T3}),
        change("LONG", "PATCH", ["1"], {"status": "CHARGING", "last_updated": T1}),
        change("LONG", "PATCH", ["7"], {"status": "CHARGING", "last_updated": T3}),
    ]
    newer = [change("LONG", *CHANGES[5]), change("LONG", *CHANGES[0])]
    assert not any(map(is_kept_at_once, older))
    rows = Location.objects.filter(object_id="LONG")
    rows.update(told_by="NL-NAP")
    assert not any(map(is_kept_at_once, newer))
    rows.update(told_by="")
    with psycopg.connect(**connection_parameters()) as holder:
        holder.execute(
            "SELECT FROM ocpi_locations_location WHERE object_id = 'LONG' FOR NO KEY UPDATE"
        )
        assert not any(map(is_kept_at_once, newer))
    assert columns("LONG") == before
    assert all(map(is_kept_at_once, newer))


def test_patches_at_once_of_one_location_lose_nothing(owner, emsp):
    told(owner, emsp, "MANY")
    start = threading.Barrier(8)

    def send(number: int) -> int:
        start.wait(PATIENCE)
        body = {f"x_{number}": number, "last_updated": T3}
        return owner.patch("MANY", "1", body=body, to=emsp).code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(8))) == {1000}
    evse = owner.kept("MANY", viewer=emsp)["evses"][0]
    assert {f"x_{number}" for number in range(8)} <= evse.keys()
