"""GET All of Sessions: the owner, the eMSP and the session's FSP see them, nobody else."""

import json
from pathlib import Path

import pytest

from flex.models import FspAssignment
from hub.models import Agreement
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from party.messages import Reply
from sessions.models import Session
from tests.flex.agreements import agree
from tests.hub.strangers import until
from tests.scripted import Actor, code

EXAMPLES = Path(__file__).parents[1] / "data" / "ocpi"
HUB = PartyId("NL", "HUB")


@pytest.fixture(scope="module")
def listed(cast):
    """Two Sessions of two CPOs, for two eMSPs; the second of each CPO is a day younger."""
    for cpo in (cast.cpo, cast.other_cpo):
        for day, emsp in enumerate((cast.emsp, cast.other_emsp), 1):
            moment = f"2026-03-0{day}T00:00:00Z"
            cpo.put_session(f"ALL-{cpo.party.party_id}-{day}", emsp, last_updated=moment)
    return cast


def get(viewer: Actor, query: str = ""):
    response = viewer.send("GET", f"sender/sessions{query}", to=HUB)
    assert (response.status_code, code(response)) == (200, 1000)
    return response


def seen(viewer: Actor, query: str = "") -> list[str]:
    return [one["id"] for one in get(viewer, query).json()["data"]]


def test_a_cpo_gets_its_own_and_an_emsp_those_of_its_drivers(listed):
    first, second = (cpo.party.party_id for cpo in (listed.cpo, listed.other_cpo))
    assert seen(listed.cpo) == [f"ALL-{first}-1", f"ALL-{first}-2"]
    assert seen(listed.emsp) == [f"ALL-{first}-1", f"ALL-{second}-1"]
    assert seen(listed.other_emsp) == [f"ALL-{first}-2", f"ALL-{second}-2"]


@pytest.mark.parametrize("role", [Role.CPO, Role.EMSP, Role.SCSP, Role.NSP, Role.OTHER, Role.NAP])
def test_others_get_none(listed, hub, role):
    assert seen(Actor(hub, role)) == []


def test_the_fsp_gets_those_of_its_assignments_while_they_last(listed, hub):
    scsp, emsp = Actor(hub, Role.SCSP), Actor(hub, Role.EMSP)
    agreement = agree(scsp, cpo=listed.cpo, emsp=emsp)
    listed.cpo.put_session("FSP-1", emsp)
    listed.other_cpo.put_session("FSP-2", emsp)
    assert seen(scsp) == ["FSP-1"]
    session = Session.objects.named("FSP-1").get()
    FspAssignment.objects.filter(session=session).delete()
    agreement.delete()
    assert seen(scsp) == []


def test_the_documents_are_those_that_the_cpo_sent(listed):
    document = listed.cpo.session("BYTES", listed.emsp)
    body = f' {json.dumps(document)[:-1]},\t"x": 1.500 }}'.encode()
    listed.cpo.send("PUT", listed.cpo.session_path("BYTES"), body, to=listed.emsp)
    assert body in get(listed.emsp).content


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("?date_from=2026-03-02T00:00:00Z&date_to=2026-03-03T00:00:00Z", "2"),
        ("?date_to=2026-03-02T00:00:00Z", "1"),
        ("?date_from=2026-03-01T00:00:00&date_to=2026-03-02T00:00:00.001", "12"),
    ],
)
def test_date_from_is_inclusive_and_date_to_exclusive(listed, query, days):
    own = listed.other_cpo.party.party_id
    assert [i for i in seen(listed.other_cpo, query) if "ALL" in i] == [
        f"ALL-{own}-{day}" for day in days
    ]


def test_the_required_date_from_may_be_left_out_here(listed):
    """As many clients do; all Sessions are what they mean."""
    assert len(seen(listed.cpo)) >= 2


def test_pages_have_a_link_a_total_and_a_limit(listed):
    response = get(listed.cpo, "?limit=1")
    assert response.headers["X-Limit"] == "1"
    assert int(response.headers["X-Total-Count"]) >= 2
    link = response.headers["Link"].partition(">")[0].removeprefix("<")
    second = listed.cpo.send("GET", link, to=HUB)
    assert second.json()["data"][0]["id"] != response.json()["data"][0]["id"]


@pytest.mark.parametrize("query", ["?date_from=yesterday", "?limit=0", "?offset=-1"])
def test_a_page_that_cannot_be_is_2001(listed, query):
    response = listed.cpo.send("GET", f"sender/sessions{query}", to=HUB)
    assert (response.status_code, code(response)) == (200, 2001)


@pytest.mark.parametrize("example", ["total_cost", "charging_period"])
def test_the_patches_of_the_text_reach_emsp_and_list(listed, example):
    changes = json.loads((EXAMPLES / f"session_patch_example_{example}.json").read_text())
    session_id = f"TEXT-{example}"
    listed.cpo.put_session(session_id, listed.emsp, last_updated="2018-01-01T00:00:00Z")
    path = listed.cpo.session_path(session_id)
    assert code(listed.cpo.send("PATCH", path, changes, to=listed.emsp)) == 1000
    assert listed.emsp.got(session_id)[-1].json() == changes
    (found,) = (
        one for one in get(listed.emsp, "?limit=100").json()["data"] if one["id"] == session_id
    )
    assert found == listed.cpo.session(session_id, listed.emsp) | changes


def test_what_the_emsp_has_refused_is_in_nobodys_list(listed):
    listed.emsp.answers("REFUSED-1", Reply(status_code=2001))
    assert code(listed.cpo.put_session("REFUSED-1", listed.emsp)) == 2001
    assert "REFUSED-1" not in seen(listed.cpo) + seen(listed.emsp)


def test_of_a_pair_that_was_closed_only_the_owner_sees_its_sessions(listed, hub):
    scsp, emsp = Actor(hub, Role.SCSP), Actor(hub, Role.EMSP)
    agreement = agree(scsp, cpo=listed.cpo, emsp=emsp)
    listed.cpo.put_session("CLOSED-1", emsp)
    assert seen(scsp) == seen(emsp) == ["CLOSED-1"]
    cpo = listed.cpo.party
    for viewer in (scsp, emsp):
        row = Agreement.objects.create(
            country_code_a=cpo.country_code,
            party_id_a=cpo.party_id,
            country_code_b=viewer.party.country_code,
            party_id_b=viewer.party.party_id,
            module="sessions",
            is_open=False,
        )
        until(lambda viewer=viewer: seen(viewer) == [])
        assert "CLOSED-1" in seen(listed.cpo)
        row.delete()
        until(lambda viewer=viewer: seen(viewer) == ["CLOSED-1"])
    agreement.delete()
