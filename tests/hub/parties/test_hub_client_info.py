"""HubClientInfo: who is there, asked for and told (mod_hub_client_info)."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from hub.models import Agreement, Party
from hub.ocpi.datatypes import ConnectionStatus, Role
from hub.ocpi.headers import authorization
from hub.ocpi.party import PartyId
from hub.parties import onboarding, party_status
from party.messages import Received
from tests.hub.newcomer import Newcomer, role
from tests.hub.strangers import OFFERS, Stranger, ask, send, token_of, until
from tests.running_hub import new_party

PATH = "/ocpi/2.2.1/hubclientinfo"


@pytest.fixture(scope="module")
def others(hub):
    """Five parties beside the two strangers, so that there are pages."""
    return [
        onboarding.invite(new_party("FR"), [Role.CPO], f"Invited {number}") for number in range(5)
    ]


def _list(hub, viewer, query: str = "") -> list[dict]:
    return ask(hub, viewer, "GET", f"{PATH}{query}").envelope["data"]


def _status(hub, viewer, party: PartyId) -> str:
    (found,) = [o for o in _list(hub, viewer) if (o["country_code"], o["party_id"]) == party]
    return found["status"]


# --- GET ------------------------------------------------------------------------------------------


def test_each_object_has_the_fields_of_client_info(hub, cpo, emsp, others):
    found = _list(hub, cpo)
    assert len(found) == len({(o["country_code"], o["party_id"], o["role"]) for o in found})
    for one in found:
        assert set(one) == {"country_code", "party_id", "role", "status", "last_updated"}
        assert one["status"] in set(ConnectionStatus)
        assert one["role"] in set(Role)
        assert len(one["last_updated"]) <= 25
        assert one["last_updated"].endswith("Z")
        datetime.fromisoformat(one["last_updated"])


def test_the_viewers_own_parties_and_the_hub_are_not_among_them(hub, cpo, emsp, others):
    found = {(o["country_code"], o["party_id"]) for o in _list(hub, cpo)}
    assert emsp.simulator.party in found
    assert cpo.simulator.party not in found
    assert ("NL", "HUB") not in found


def test_an_invited_party_is_planned_and_a_registered_one_connected(hub, cpo, emsp):
    party = new_party()
    onboarding.invite(party, [Role.CPO], "")
    assert _status(hub, cpo, party) == "PLANNED"
    assert _status(hub, cpo, emsp.simulator.party) == "CONNECTED"


def test_no_routing_headers_are_used(hub, cpo):
    answer = ask(hub, cpo, "GET", PATH, headers={"X-Request-ID": "r", "X-Correlation-ID": "c"})
    assert not [name for name in answer.headers if name.startswith("ocpi-")]
    assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("r", "c")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_only_get_is_defined(hub, cpo, method):
    answer = ask(hub, cpo, method, PATH, body=None if method == "DELETE" else b"{}")
    assert answer.status == 405


def test_pages_are_followed_by_link_and_hold_everything_once_in_a_lasting_order(hub, cpo, others):
    whole = _list(hub, cpo)
    found, url, pages = [], f"{PATH}?limit=2", 0
    while url:
        answer = ask(hub, cpo, "GET", url)
        assert answer.headers["x-total-count"] == str(len(whole))
        assert answer.headers["x-limit"] == "2"
        found += answer.envelope["data"]
        pages += 1
        link = answer.headers.get("link", "")
        assert not link or link.endswith('>; rel="next"')
        url = link[1:].partition(">")[0]
    assert found == whole
    assert pages == (len(whole) + 1) // 2


def test_the_link_keeps_the_filters(hub, cpo, others):
    moment = "2020-01-01T00:00:00Z"
    answer = ask(hub, cpo, "GET", f"{PATH}?date_from={quote(moment)}&limit=1&offset=1")
    url = answer.headers["link"][1:].partition(">")[0]
    assert url.startswith(f"{hub.url}{PATH}?")
    for part in ("offset=2", "limit=1", f"date_from={quote(moment)}"):
        assert part in url


def test_an_offset_behind_the_end_is_an_empty_page_without_link(hub, cpo, others):
    answer = ask(hub, cpo, "GET", f"{PATH}?offset=1000")
    assert answer.envelope["data"] == []
    assert "link" not in answer.headers
    assert int(answer.headers["x-total-count"]) > 0


def test_date_from_is_inclusive_and_date_to_exclusive(hub, cpo, others):
    party = new_party()
    onboarding.invite(party, [Role.CPO], "")
    moment = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
    Party.objects.filter(party_id=party.party_id).update(last_updated=moment)

    def sees(query: str) -> bool:
        return party.party_id in {o["party_id"] for o in _list(hub, cpo, query)}

    at, later = "2024-05-01T12:00:00Z", "2024-05-01T12:00:01Z"
    assert sees(f"?date_from={at}")
    assert not sees(f"?date_from={later}")
    assert sees(f"?date_to={later}")
    assert not sees(f"?date_to={at}")
    assert sees(f"?date_from={at}&date_to={later}")
    assert not sees(f"?date_from={at}&date_to={at}")
    for same in ("2024-05-01T12:00:00", "2024-05-01T14:00:00+02:00", "2024-05-01T12:00:00.000Z"):
        assert sees(f"?date_from={quote(same)}")
        assert not sees(f"?date_to={quote(same)}")


def test_what_was_shown_is_found_again_by_its_last_updated(hub, cpo, emsp):
    (shown,) = [o for o in _list(hub, cpo) if o["party_id"] == emsp.simulator.party.party_id]
    assert shown in _list(hub, cpo, f"?date_from={quote(shown['last_updated'])}")


@pytest.mark.parametrize(
    "query",
    [
        "offset=-1",
        "offset=x",
        "offset=1.5",
        "offset=",
        "offset=1e3",
        "offset=%D9%A1",
        "offset=" + "9" * 400,
        "limit=0",
        "limit=-5",
        "limit=x",
        "limit=",
        "limit=%00",
        "date_from=x",
        "date_from=2024-13-01T00:00:00Z",
        "date_from=",
        "date_to=yesterday",
        "date_to=%ff%fe",
        "date_from=0001-01-01T00:00:00%2B23:59",
        "date_to=9999-12-31T23:59:59-23:59",
        "date_from=1",
    ],
)
def test_a_silly_parameter_is_2001_and_named(hub, cpo, query):
    answer = ask(hub, cpo, "GET", f"{PATH}?{query}")
    assert answer.said == (200, 2001)
    assert query.partition("=")[0] in answer.envelope["status_message"]


@pytest.mark.parametrize(
    "query",
    [
        "offset=9223372036854775807",
        "offset=9223372036854775808",
        "offset=99999999999999999999999999",
        "limit=99999999999999999999",
        "date_from=0001-01-01T00:00:00Z",
        "date_to=9999-12-31T23:59:59Z",
        "offset=0&limit=1&unknown=x&x=%00",
        "limit=007",
    ],
)
def test_an_extreme_parameter_is_taken(hub, cpo, query):
    assert ask(hub, cpo, "GET", f"{PATH}?{query}").said == (200, 1000)


def test_a_limit_beyond_what_the_hub_gives_shows_the_hubs_own(hub, cpo):
    assert int(ask(hub, cpo, "GET", f"{PATH}?limit=2000").headers["x-limit"]) < 2000


# --- PUT ------------------------------------------------------------------------------------------


def _told(listener, party: PartyId) -> list[str]:
    return [
        message.json()["status"]
        for message in listener.received(module="hubclientinfo", method="PUT")
        if message.parts == party
    ]


def test_every_change_of_status_is_put_to_the_others(hub, cpo):
    newcomer = Newcomer(hub, Role.EMSP)
    party = newcomer.party
    changes = (
        (newcomer.post, "CONNECTED"),
        (lambda: onboarding.suspend(party), "SUSPENDED"),
        (lambda: onboarding.resume(party), "CONNECTED"),
        (lambda: party_status.is_away(_platform(party), "test"), "OFFLINE"),
        (lambda: party_status.is_back(_platform(party)), "CONNECTED"),
        (newcomer.delete, "SUSPENDED"),
    )
    for number, (change, status) in enumerate(changes, 1):
        change()
        # One after the other: of two that wait together, only the later one is sent.
        cpo.wait_for(lambda number=number: len(_beyond_planned(cpo, party)) == number)
        assert _beyond_planned(cpo, party)[-1] == status


def _beyond_planned(cpo, party: PartyId) -> list[str]:
    return [status for status in _told(cpo, party) if status != "PLANNED"]


def _platform(party: PartyId) -> int:
    return Party.objects.filter(party_id=party.party_id)[0].platform_id


def test_a_new_client_info_is_put_when_the_party_is_invited(hub, cpo):
    """Push model: "When the Hub creates a new ClientInfo object they push it"."""
    party = new_party()
    onboarding.invite(party, [Role.CPO], "")
    cpo.wait_for(lambda: _told(cpo, party) == ["PLANNED"])


def test_the_put_is_the_object_at_the_urls_ids_with_our_token_and_without_routing(hub, cpo, emsp):
    newcomer = Newcomer(hub, Role.EMSP)
    newcomer.post()
    cpo.wait_for(lambda: "CONNECTED" in _told(cpo, newcomer.party))
    message = [m for m in cpo.received(module="hubclientinfo") if m.parts == newcomer.party][-1]
    shown = [o for o in _list(hub, cpo) if o["party_id"] == newcomer.party.party_id]
    assert [message.json()] == shown
    assert message.headers["Authorization"] == authorization(cpo.simulator.hub.accepts)
    assert message.headers["X-Request-ID"]
    assert message.headers["X-Correlation-ID"]
    assert not [name for name in message.headers if name.lower().startswith("ocpi-")]


def test_a_put_of_credentials_tells_of_parties_that_come_and_go(hub, cpo):
    newcomer = Newcomer(hub)
    newcomer.post()
    added = new_party()
    newcomer.put(roles=[role(newcomer.party), role(added)])
    cpo.wait_for(lambda: _told(cpo, added) == ["CONNECTED"])
    newcomer.put(roles=[role(newcomer.party)])
    cpo.wait_for(lambda: _told(cpo, added) == ["CONNECTED", "SUSPENDED"])


def test_nobody_is_told_of_itself_and_who_does_not_listen_is_left_alone(hub, cpo, emsp):
    deaf = Newcomer(hub)
    deaf.post()
    onboarding.suspend(cpo.simulator.party)
    emsp.wait_for(lambda: _told(emsp, cpo.simulator.party)[-1:] == ["SUSPENDED"])
    onboarding.resume(cpo.simulator.party)
    emsp.wait_for(lambda: _told(emsp, cpo.simulator.party)[-1:] == ["CONNECTED"])
    assert _told(cpo, cpo.simulator.party) == []
    assert not deaf.running.received(module="hubclientinfo")


# --- Who sees whom --------------------------------------------------------------------------------


def test_a_closed_pair_is_planned_to_each_other_and_connected_to_the_rest(hub, cpo, emsp):
    third = hub.join(Stranger(Role.EMSP, listens=False))
    one, other = cpo.simulator.party, emsp.simulator.party
    agreement = Agreement.objects.create(
        country_code_a=other.country_code,
        party_id_a=other.party_id.lower(),
        country_code_b=one.country_code,
        party_id_b=one.party_id,
        is_open=False,
    )
    until(lambda: _status(hub, cpo, other) == "PLANNED")
    assert _status(hub, emsp, one) == "PLANNED"
    assert _status(hub, third, one) == "CONNECTED"
    assert _status(hub, third, other) == "CONNECTED"
    agreement.delete()
    until(lambda: _status(hub, cpo, other) == "CONNECTED")


def test_a_pair_that_is_closed_for_one_module_alone_is_still_connected(hub, cpo, emsp):
    one, other = cpo.simulator.party, emsp.simulator.party
    agreement = Agreement.objects.create(
        country_code_a=one.country_code,
        party_id_a=one.party_id,
        country_code_b=other.country_code,
        party_id_b=other.party_id,
        module="tariffs",
        is_open=False,
    )
    until(lambda: ask(hub, cpo, "GET", "sender/tariffs", to=emsp).code == 4003)
    assert _status(hub, cpo, other) == "CONNECTED"
    agreement.delete()


def test_a_suspended_party_is_suspended_to_everybody_even_in_a_closed_pair(hub, cpo, emsp):
    party = new_party()
    onboarding.invite(party, [Role.CPO], "")
    onboarding.suspend(party)
    assert _status(hub, cpo, party) == "SUSPENDED"


def test_a_party_that_is_not_agreed_to_is_told_to_nobody(hub, cpo, settings):
    settings.ACCEPT_UNINVITED_PARTIES = False
    newcomer = Newcomer(hub)
    extra = new_party()
    newcomer.post(roles=[role(newcomer.party), role(extra)])

    def told() -> list[Received]:
        pushes = cpo.received(module="hubclientinfo", method="PUT")
        return [one for one in pushes if extra.party_id in one.parts]

    assert extra.party_id not in {one["party_id"] for one in _list(hub, cpo)}
    onboarding.agree(extra)
    until(lambda: [one.json()["status"] for one in told()] == ["CONNECTED"])
    assert _status(hub, cpo, extra) == "CONNECTED"


def test_the_clock_of_last_updated_moves_with_every_change(hub, cpo):
    newcomer = Newcomer(hub)
    newcomer.post()
    before = Party.objects.get(party_id=newcomer.party.party_id).last_updated
    onboarding.suspend(newcomer.party)
    after = Party.objects.get(party_id=newcomer.party.party_id).last_updated
    assert before < after < datetime.now(UTC) + timedelta(seconds=1)


def test_a_platform_without_the_module_can_still_ask(hub):
    silent = hub.join(Stranger(Role.CPO, offers=OFFERS, listens=False))
    assert send(hub, "GET", PATH, token_of(silent)).said == (200, 1000)
