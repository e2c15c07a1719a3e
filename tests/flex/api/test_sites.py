"""Sites of a CPO: set with its own key, seen by flexibility providers (SCALE D2.3, 8.4)."""

import pytest

from flex.api.models import Use
from flex.models import JournalEntry
from sessions.models import Session
from tests.cases import case
from tests.flex.agreements import agree
from tests.flex.api.calling import Api, refused

pytestmark = pytest.mark.unmeasured
LIMIT = {"unit": "W", "periods": [{"start": "2026-03-01T10:00:00+01:00", "limit": 50_000}]}
SITE = {"members": [{"location_id": "LOC1", "evse_uid": "EVSE1"}], "limits": [LIMIT]}


def test_a_cpo_sets_and_forgets_its_sites(cast):
    api = Api.of(cast.cpo, Use.CPO)
    with case("made"):
        made = api.put("cpo/sites/Garage 1", SITE, 201)
        assert (made["cpo"], made["name"]) == (str(cast.cpo), "Garage 1")
        assert made["members"] == SITE["members"]
        assert made["limits"] == [
            {"unit": "W", "periods": [{"start": "2026-03-01T09:00:00Z", "limit": 50_000}]}
        ]
        assert made["rejects_breaches"] is False
    with case("changed; the limit stays"):
        changed = {"members": [{"location_id": "LOC2"}], "rejects_breaches": True}
        assert api.put("cpo/sites/GARAGE 1", changed)["limits"] == made["limits"]
        assert [one["name"] for one in api.get("cpo/sites")] == ["Garage 1"]
    with case("another limit, in A of each phase"):
        amperes = {"unit": "A", "periods": [{"start": "2026-03-01T10:00:00Z", "limit": None}]}
        both = api.put("cpo/sites/Garage 1/limits", amperes)["limits"]
        assert [one["unit"] for one in both] == ["A", "W"]
        assert api.put("cpo/sites/Garage 1/limits", {"unit": "A", "periods": []})["limits"] == [
            made["limits"][0]
        ]
    with case("what means nothing"):
        start = {"start": "tomorrow", "limit": 1}
        for wrong in ({"unit": "kW", "periods": []}, {"unit": "W", "periods": [start]}):
            answer = api.send("PUT", "cpo/sites/Garage 1/limits", wrong)
            assert refused(answer) == (400, "INVALID")
        twice = {**SITE, "limits": [LIMIT, LIMIT]}
        assert refused(api.send("PUT", "cpo/sites/G", twice)) == (400, "INVALID")
        assert refused(api.send("PUT", "cpo/sites/G!", SITE)) == (400, "INVALID")
        assert refused(api.send("PUT", "cpo/sites/None/limits", LIMIT)) == (404, "NOT_FOUND")
    with case("others have sites of their own"):
        assert Api.of(cast.other_cpo).get("cpo/sites") == []
    with case("forgotten"):
        assert api.send("DELETE", "cpo/sites/garage 1").status_code == 204
        assert api.get("cpo/sites") == []


def test_an_fsp_sees_the_sites_of_its_sessions_and_is_told_of_their_limits(cast):
    agree(cast.scsp, cpo=cast.cpo)
    owner, fsp = Api.of(cast.cpo), Api.of(cast.scsp)
    cast.cpo.put_session("SITE-1", cast.emsp)
    cast.cpo.put_session("SITE-2", cast.emsp, evse_uid="EVSE2")
    cast.other_cpo.put_session("SITE-3", cast.emsp)
    owner.put("cpo/sites/Yard", SITE, 201)
    [site] = fsp.get("fsp/sites")
    assert (site["name"], site["sessions"]) == ("Yard", ["SITE-1"])
    assert site["limits"][0]["periods"][0]["limit"] == 50_000
    path = f"fsp/sessions/{cast.cpo.party.country_code}/{cast.cpo.party.party_id}"
    assert fsp.get(f"{path}/SITE-1")["sites"] == [{"cpo": str(cast.cpo), "name": "Yard"}]
    assert "sites" not in fsp.get(f"{path}/SITE-2")
    cursor = fsp.get("fsp/sessions")["cursor"]
    lower = {"unit": "W", "periods": [{"start": "2026-03-01T09:00:00Z", "limit": 20_000}]}
    owner.put("cpo/sites/Yard/limits", lower)
    [change] = fsp.get(f"fsp/changes?cursor={cursor}")["changes"]
    assert (change["session_id"], change["topics"]) == ("SITE-1", ["SITE"])
    assert "20000 W from 2026-03-01T09:00:00Z on" in change["lines"][0]["reason"]
    with case("the same limit again is no news"):
        owner.put("cpo/sites/Yard/limits", lower)
        told = JournalEntry.objects.filter(session=Session.objects.named("SITE-1").get())
        assert told.filter(topic="SITE").count() == 2
    with case("the limit is gone, and so is the site"):
        owner.send("DELETE", "cpo/sites/Yard")
        assert fsp.get("fsp/sites") == []
        assert "none in W any more" in told.latest("id").reason
