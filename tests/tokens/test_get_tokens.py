"""Who reads which Tokens from the hub (mod_tokens, GET Methods; GET All)."""

import pytest

from hub.models import Agreement
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from tests.hub.strangers import Stranger, ask, until
from tests.minimal import as_json, owned, token
from tests.running_hub import new_party

HUB = PartyId("NL", "HUB")


@pytest.fixture(scope="module")
def parties(hub):
    """Two eMSPs and one CPO of their own, so that a list is known to the last Token."""
    found = {name: hub.join(Stranger(Role.EMSP)) for name in ("one", "two")}
    for name, running in found.items():
        for number in range(3):
            put(hub, running, f"{name}-{number}", last_updated=f"2026-01-0{number + 1}T00:00:00Z")
    return found


def put(hub, running, uid: str, **more):
    party = running.simulator.party
    path = f"receiver/tokens/{owned(party, uid)}"
    answer = ask(hub, running, "PUT", path, to=HUB, body=as_json(token(party, uid, **more)))
    assert answer.said == (201, 1000)


def uids(hub, viewer, query: str = "") -> list[str]:
    """All pages of a GET All."""
    found, url = [], f"sender/tokens{query}"
    while url:
        answer = ask(hub, viewer, "GET", url, to=HUB)
        assert answer.said == (200, 1000)
        found += [one["uid"] for one in answer.envelope["data"]]
        url = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    return found


def test_a_cpo_gets_the_tokens_of_all_emsps_oldest_objects_first(hub, cpo, parties):
    wanted = [f"{name}-{number}" for name in ("one", "two") for number in range(3)]
    assert uids(hub, cpo) == wanted
    assert uids(hub, cpo, "?limit=2") == wanted
    answer = ask(hub, cpo, "GET", "sender/tokens?limit=4", to=HUB)
    assert (answer.headers["x-total-count"], answer.headers["x-limit"]) == ("6", "4")
    assert answer.headers["ocpi-from-party-id"] == "HUB"
    owners = {(one["country_code"], one["party_id"]) for one in answer.envelope["data"]}
    assert owners == {running.simulator.party for running in parties.values()}


def test_an_emsp_gets_its_own_alone(hub, parties):
    assert uids(hub, parties["two"]) == ["two-0", "two-1", "two-2"]


@pytest.mark.parametrize("role", [Role.NSP, Role.SCSP, Role.NAP, Role.OTHER])
def test_others_get_none(hub, parties, role):
    assert uids(hub, hub.join(Stranger(role))) == []


def test_a_party_that_is_cpo_and_emsp_gets_all(hub, parties):
    both = hub.join(Stranger(Role.EMSP, Role.CPO))
    assert len(uids(hub, both)) == 6


def test_each_party_of_a_platform_sees_what_it_may(hub, parties):
    second = new_party()
    platform = hub.join(Stranger(Role.CPO, more=[(second, Role.EMSP)]))
    assert len(uids(hub, platform)) == 6
    headers = {"OCPI-from-country-code": second[0], "OCPI-from-party-id": second[1]}
    answer = ask(hub, platform, "GET", "sender/tokens", to=HUB, headers=headers)
    assert answer.envelope["data"] == []


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("?date_from=2026-01-02T00:00:00Z", "12"),
        ("?date_to=2026-01-02T00:00:00Z", "0"),
        ("?date_from=2026-01-02T00:00:00Z&date_to=2026-01-03T00:00:00Z", "1"),
        ("?date_from=2026-01-03T00:00:00.001Z", ""),
    ],
)
def test_date_from_is_inclusive_and_date_to_exclusive(hub, parties, query, numbers):
    assert uids(hub, parties["one"], query) == [f"one-{number}" for number in numbers]


@pytest.mark.parametrize(
    "query", ["?date_from=x", "?limit=0", "?limit=-1", "?offset=-1", "?offset=%00", "?limit=ten"]
)
def test_a_page_that_cannot_be_is_2001(hub, cpo, query):
    assert ask(hub, cpo, "GET", f"sender/tokens{query}", to=HUB).said == (200, 2001)


@pytest.mark.parametrize("query", ["?offset=99999999999999999999", "?limit=99999999999999999999"])
def test_a_page_beyond_all_is_no_error(hub, cpo, parties, query):
    assert ask(hub, cpo, "GET", f"sender/tokens{query}", to=HUB).said == (200, 1000)


def test_a_cpo_does_not_get_the_tokens_of_an_emsp_that_it_may_not_exchange_them_with(hub, parties):
    cpo = hub.join(Stranger(Role.CPO))
    one, other = cpo.simulator.party, parties["one"].simulator.party
    row = Agreement.objects.create(
        country_code_a=one.country_code,
        party_id_a=one.party_id,
        country_code_b=other.country_code,
        party_id_b=other.party_id,
        module="tokens",
        is_open=False,
    )
    until(lambda: uids(hub, cpo) == ["two-0", "two-1", "two-2"])
    row.delete()
    until(lambda: len(uids(hub, cpo)) == 6)


# --- The Receiver interface: what the hub itself has ----------------------------------------------


def test_an_emsp_alone_reads_back_what_the_hub_has(hub, cpo, parties):
    one = parties["one"]
    path = f"receiver/tokens/{owned(one.simulator.party, 'ONE-0')}"
    for query in ("", "?type=RFID", "?type=rfid"):
        answer = ask(hub, one, "GET", path + query)
        assert answer.said == (200, 1000)
        assert answer.envelope["data"]["uid"] == "one-0"
        assert answer.headers["ocpi-from-party-id"] == "HUB"
        assert ask(hub, cpo, "GET", path + query).said == (404, 2000)


def test_what_one_may_not_see_is_404_as_if_it_did_not_exist(hub, parties):
    path = f"receiver/tokens/{owned(parties['one'].simulator.party, '{}')}"
    there = ask(hub, parties["two"], "GET", path.format("one-0"))
    nowhere = ask(hub, parties["two"], "GET", path.format("one-9"))
    assert there.said == nowhere.said == (404, 2000)
    assert "data" not in there.envelope
    assert there.envelope["status_message"] == nowhere.envelope["status_message"]


def test_another_type_is_another_token(hub, parties):
    path = f"receiver/tokens/{owned(parties['one'].simulator.party, 'one-0')}"
    assert ask(hub, parties["one"], "GET", f"{path}?type=APP_USER").status == 404
    assert ask(hub, parties["one"], "GET", f"{path}?type=CARD").said == (200, 2001)


def test_get_shall_not_be_used_with_broadcast_push(hub, parties):
    path = f"receiver/tokens/{owned(parties['one'].simulator.party, 'one-0')}"
    answer = ask(hub, parties["one"], "GET", path, to=HUB)
    assert answer.said == (200, 4000)
    assert "GET SHALL NOT" in answer.envelope["status_message"]


def test_with_to_the_cpo_itself_is_asked(hub, cpo, parties):
    path = f"receiver/tokens/{owned(parties['one'].simulator.party, 'one-0')}?type=RFID"
    assert ask(hub, parties["one"], "GET", path, to=cpo).said == (200, 1000)
    assert cpo.simulator.targets[-1].endswith("/one-0?type=RFID")
