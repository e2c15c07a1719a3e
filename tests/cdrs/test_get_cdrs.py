"""Who reads which CDRs from the hub (mod_cdrs, GET Methods; GET All)."""

import json

import pytest

from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding
from tests.cdrs.test_post_cdr import of, post
from tests.hub.strangers import Stranger, ask, raw, send, token_of, until
from tests.running_hub import new_party

HUB = PartyId("NL", "HUB")


@pytest.fixture(scope="module")
def parties(hub):
    """Two CPOs and two eMSPs; each pair has one CDR, and the days are those of the CPO."""
    found = {
        name: hub.join(Stranger(role))
        for name, role in {
            "c1": Role.CPO,
            "c2": Role.CPO,
            "e1": Role.EMSP,
            "e2": Role.EMSP,
        }.items()
    }
    for day, cpo in enumerate(("c1", "c2"), 1):
        for emsp in ("e1", "e2"):
            moment = f"2026-01-0{day}T00:00:00Z"
            document = of(found[cpo], found[emsp], f"{cpo}-{emsp}", last_updated=moment)
            assert post(hub, found[cpo], document).said == (200, 1000)
    return found


def ids(hub, viewer, query: str = "") -> list[str]:
    answer = ask(hub, viewer, "GET", f"sender/cdrs{query}", to=HUB)
    assert answer.said == (200, 1000)
    assert answer.headers["x-total-count"] == str(len(answer.envelope["data"]))
    return [one["id"] for one in answer.envelope["data"]]


@pytest.mark.parametrize(
    ("viewer", "seen"),
    [
        ("c1", ["c1-e1", "c1-e2"]),
        ("c2", ["c2-e1", "c2-e2"]),
        ("e1", ["c1-e1", "c2-e1"]),
        ("e2", ["c1-e2", "c2-e2"]),
    ],
)
def test_the_owner_and_the_emsp_get_their_cdrs_whole(hub, parties, viewer, seen):
    assert ids(hub, parties[viewer]) == seen
    answer = ask(hub, parties[viewer], "GET", "sender/cdrs?limit=1", to=HUB)
    owner, emsp = (parties[name] for name in seen[0].split("-"))
    document = of(owner, emsp, seen[0], last_updated=f"2026-01-0{seen[0][1]}T00:00:00Z")
    assert json.dumps(document).encode() in answer.body
    link = answer.headers["link"].partition(">")[0].removeprefix("<")
    page = ask(hub, parties[viewer], "GET", link, to=HUB)
    assert [one["id"] for one in page.envelope["data"]] == seen[1:]


@pytest.mark.parametrize("role", [Role.CPO, Role.EMSP, Role.SCSP, Role.NSP, Role.OTHER, Role.NAP])
def test_others_never_get_any(hub, parties, role):
    assert ids(hub, hub.join(Stranger(role))) == []


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("?date_from=2026-01-02T00:00:00Z", ["c2-e1"]),
        ("?date_to=2026-01-02T00:00:00Z", ["c1-e1"]),
        ("?date_from=2026-01-03T00:00:00Z", []),
    ],
)
def test_date_from_is_inclusive_and_date_to_exclusive(hub, parties, query, seen):
    assert ids(hub, parties["e1"], query) == seen


def test_a_list_without_to_is_the_same(hub, parties):
    answer = ask(hub, parties["e1"], "GET", "sender/cdrs")
    asked = ask(hub, parties["e1"], "GET", "sender/cdrs", to=HUB)
    assert answer.said == (200, 1000)
    assert answer.envelope["data"] == asked.envelope["data"] != []


def test_with_to_the_cpo_itself_is_asked(hub, parties):
    assert ask(hub, parties["e1"], "GET", "sender/cdrs", to=parties["c1"]).said == (200, 1000)
    assert parties["c1"].simulator.got[-1].method == "GET"


# --- The Location of a CDR whose eMSP told none ---------------------------------------------------


def own_location(hub, cpo, emsp, cdr_id: str) -> str:
    location = post(hub, cpo, of(cpo, emsp, cdr_id)).headers["location"]
    assert location.startswith(f"{hub.url}/ocpi/2.2.1/cdr/")
    assert len(location) <= 255
    return location


@pytest.mark.parametrize("cdr_id", ["PLAIN", "a/b", "a b?c#d", "%2F%00", "ends/", "*"])
def test_the_hub_shows_its_own_copy_to_the_cpo_and_the_emsp_alone(hub, cpo, emsp, cdr_id):
    location = own_location(hub, cpo, emsp, cdr_id)
    for viewer in (cpo, emsp):
        answer = send(hub, "GET", location, token_of(viewer))
        assert answer.said == (200, 1000)
        assert answer.envelope["data"] == of(cpo, emsp, cdr_id)
    for role in (Role.CPO, Role.EMSP):
        stranger = hub.join(Stranger(role))
        assert send(hub, "GET", location, token_of(stranger)).status == 404
    assert send(hub, "GET", location).status == 401
    assert not [m for m in emsp.simulator.got if m.method == "GET"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_location_takes_get_alone(hub, cpo, emsp, method):
    location = own_location(hub, cpo, emsp, "READ-ONLY")
    assert send(hub, method, location, token_of(cpo), body=b"{}").status == 405


def test_a_suspended_cpo_reads_nothing(hub, emsp):
    cpo = hub.join(Stranger(Role.CPO, listens=False))
    location = own_location(hub, cpo, emsp, "SUSPENDED")
    onboarding.suspend(cpo.simulator.party)
    until(lambda: send(hub, "GET", location, token_of(cpo)).status == 403)
    onboarding.resume(cpo.simulator.party)
    until(lambda: send(hub, "GET", location, token_of(cpo)).status == 200)


def test_a_suspended_party_of_a_platform_does_not_keep_the_others_from_theirs(hub, emsp):
    second = new_party()
    platform = hub.join(Stranger(Role.CPO, more=[(second, Role.CPO)], listens=False))
    location = own_location(hub, platform, emsp, "NEIGHBOUR")
    onboarding.suspend(second)
    headers = {"OCPI-from-country-code": second[0], "OCPI-from-party-id": second[1]}
    until(lambda: ask(hub, platform, "GET", "sender/cdrs", to=HUB, headers=headers).status == 403)
    assert send(hub, "GET", location, token_of(platform)).said == (200, 1000)


@pytest.mark.parametrize("tail", ["XX-AAA/NONE", "nonsense/1", "%00/%FF", "XX-AAA/" + "x" * 3000])
def test_a_location_of_nothing_is_404(hub, cpo, tail):
    assert send(hub, "GET", f"/ocpi/2.2.1/cdr/{tail}", token_of(cpo)).status == 404


def test_a_refused_cdr_has_no_location_though_another_emsp_has_taken_that_id(hub, cpo, emsp):
    other = hub.join(Stranger(Role.EMSP))
    own_location(hub, cpo, other, "ELSEWHERE")
    refusal = b'{"status_code":2001,"timestamp":"2026-01-01T00:00:00Z"}'
    emsp.simulator.says = lambda message: raw(refusal)
    assert "location" not in post(hub, cpo, of(cpo, emsp, "ELSEWHERE")).headers


def test_each_party_of_a_platform_lists_its_own(hub, emsp):
    second = new_party()
    platform = hub.join(Stranger(Role.CPO, more=[(second, Role.CPO)]))
    post(hub, platform, of(platform, emsp, "FIRST-PARTY"))
    headers = {"OCPI-from-country-code": second[0], "OCPI-from-party-id": second[1]}
    assert ids(hub, platform) == ["FIRST-PARTY"]
    answer = ask(hub, platform, "GET", "sender/cdrs", to=HUB, headers=headers)
    assert answer.envelope["data"] == []
