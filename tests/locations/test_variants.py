"""One Location told differently to single parties (ocpi/ocpi#511)."""

import pytest

from hub.ocpi.datatypes import Role
from locations.models import Location
from tests.hub.pushing import HUB, T1, T2, T3, evse_of, ids_of, listed, location_of
from tests.hub.strangers import Stranger, ask, raw


@pytest.fixture(scope="module")
def nsp(hub):
    return hub.join(Stranger(Role.NSP))


def city(owner, viewer, location_id):
    """What a party sees, the same on each of three ways."""
    kept = owner.kept(location_id, viewer=viewer)
    found = ask(owner.hub, viewer, "GET", f"sender/locations/{location_id}", to=HUB)
    in_list = [
        one
        for page in listed(owner.hub, viewer, "sender/locations")
        for one in page.envelope["data"]
        if one["id"] == location_id
    ]
    if kept is None:
        assert found.status == 404
        assert not in_list
        return None
    assert [kept] == [found.envelope["data"]] == in_list
    return kept["city"]


def put(owner, location_id, text, moment, to=HUB, **more):
    body = location_of(owner.party, location_id, city=text, last_updated=moment, **more)
    return owner.put(location_id, body=body, to=to)


def test_what_one_party_is_told_it_alone_sees(owner, emsp, nsp):
    put(owner, "alone", "Emsp", T1, emsp)
    assert city(owner, emsp, "alone") == "Emsp"
    assert city(owner, nsp, "alone") is None
    put(owner, "alone", "All", T1)
    assert city(owner, nsp, "alone") == "All"


def test_its_own_variant_goes_before_what_was_broadcast(owner, emsp, nsp):
    put(owner, "own", "All", T1)
    put(owner, "own", "Emsp", T1, emsp)
    assert (city(owner, emsp, "own"), city(owner, nsp, "own")) == ("Emsp", "All")
    assert city(owner, owner.running, "own") == "All"


@pytest.mark.parametrize(
    "answer",
    [
        raw(b'{"status_code":2001,"timestamp":"2026-01-01T00:00:00Z"}'),
        raw(b'{"status_code":3000,"timestamp":"2026-01-01T00:00:00Z"}'),
        raw(b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}', status=500),
        raw(b"no", status=200),
    ],
)
def test_what_the_receiver_has_not_taken_is_not_kept(owner, emsp, answer):
    body, status = answer.body, answer.status
    emsp.simulator.says = lambda message: raw(body, status)
    put(owner, "refused", "Emsp", T1, emsp)
    emsp.simulator.says = Stranger.says_yes
    assert owner.kept("refused", viewer=emsp) is None


def test_a_directed_patch_goes_into_a_copy_of_what_was_broadcast(owner, emsp, nsp):
    put(owner, "copy", "All", T1)
    assert owner.patch("copy", body={"city": "Emsp", "last_updated": T2}, to=emsp).code == 1000
    assert (city(owner, emsp, "copy"), city(owner, nsp, "copy")) == ("Emsp", "All")
    owner.patch("copy", "3256", body={"status": "CHARGING", "last_updated": T2}, to=emsp)
    states = [owner.kept("copy", "3256", viewer=one)["status"] for one in (emsp, nsp)]
    assert states == ["CHARGING", "AVAILABLE"]


def test_a_refused_directed_patch_changes_nothing(owner, emsp):
    put(owner, "patch", "All", T1)
    emsp.simulator.says = lambda message: raw(b'{"status_code":2003,"timestamp":"2026Z"}')
    assert owner.patch("patch", body={"city": "Emsp", "last_updated": T2}, to=emsp).code == 2003
    emsp.simulator.says = Stranger.says_yes
    assert city(owner, emsp, "patch") == "All"


def test_a_broadcast_patch_goes_into_every_variant(owner, emsp, nsp):
    put(owner, "every", "All", T1)
    put(owner, "every", "Emsp", T1, emsp)
    owner.patch("every", "3256", body={"status": "BLOCKED", "last_updated": T2})
    for viewer, wanted in ((emsp, "Emsp"), (nsp, "All")):
        kept = owner.kept("every", viewer=viewer)
        assert (kept["city"], kept["evses"][0]["status"]) == (wanted, "BLOCKED")


def test_a_variant_without_the_evse_is_left_alone_by_a_broadcast_of_it(owner, emsp, nsp):
    put(owner, "fewer", "All", T1, evses=[evse_of("1"), evse_of("2")])
    put(owner, "fewer", "Emsp", T1, emsp, evses=[evse_of("1")])
    assert owner.patch("fewer", "2", body={"status": "BLOCKED", "last_updated": T2}).code == 1000
    assert owner.kept("fewer", "2", viewer=nsp)["status"] == "BLOCKED"
    assert owner.kept("fewer", viewer=emsp)["last_updated"] == T1
    assert owner.patch("fewer", "3", body={"status": "BLOCKED", "last_updated": T2}).code == 2003


def test_an_older_broadcast_patch_changes_no_variant(owner, emsp):
    put(owner, "late", "Emsp", T1, emsp)
    put(owner, "late", "All", T3)
    put(owner, "late", "Emsp", T3, emsp)
    older = owner.patch("late", body={"city": "Old", "last_updated": T2})
    assert "newer" in older.envelope["status_message"]
    assert city(owner, emsp, "late") == "Emsp"


def test_a_newer_broadcast_put_supersedes_variants_and_an_older_one_does_not(owner, emsp, nsp):
    put(owner, "supersede", "Emsp", T2, emsp)
    put(owner, "supersede", "All", T1)
    assert (city(owner, emsp, "supersede"), city(owner, nsp, "supersede")) == ("Emsp", "All")
    put(owner, "supersede", "News", T3)
    assert (city(owner, emsp, "supersede"), city(owner, nsp, "supersede")) == ("News", "News")
    assert Location.objects.filter(object_id="SUPERSEDE").count() == 1


def test_an_older_directed_put_after_a_newer_broadcast_is_no_variant(owner, emsp):
    put(owner, "after", "All", T2)
    put(owner, "after", "Emsp", T1, emsp)
    assert city(owner, emsp, "after") == "All"


def test_a_variant_of_a_clock_that_is_ahead_is_superseded_too(owner, emsp):
    put(owner, "ahead", "Emsp", "2199-01-01T00:00:00Z", emsp)
    put(owner, "ahead", "All", T1)
    assert city(owner, emsp, "ahead") == "All"


def test_whoever_passes_another_ones_location_on_tells_nothing_new_of_it(owner, emsp, nsp):
    body = location_of(owner.party, "passed")
    owner.put("passed", body=body)
    forged = owner.path("passed")
    sent = b'{"city":"Forged","last_updated":"%s"}' % T3.encode()
    ask(owner.hub, nsp, "PATCH", forged, to=emsp, body=sent)
    assert city(owner, emsp, "passed") == "Gent"


def test_a_list_counts_each_object_once(owner, emsp):
    put(owner, "once", "All", T1)
    put(owner, "once", "Emsp", T1, emsp)
    pages = listed(owner.hub, emsp, "sender/locations")
    ids = ids_of(pages)
    assert ids.count("once") == 1
    assert int(pages[0].headers["x-total-count"]) == len(ids)
