"""Every wrong thing that a stranger may try (transport_and_format, status_codes).

Below /ocpi/ there is never an HTML page and never a 500.
"""

from itertools import product

import pytest

from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding
from tests.cases import case
from tests.hub.strangers import CUSTOM, IDS, Stranger, ask, echoes, raw, routing, send, token_of
from tests.running_hub import changed_setting, new_party

PUT_TARIFF = "receiver/tariffs/{own}/T1"
MODULE = "/ocpi/2.2.1/sender/tokens"


# --- Receivers ------------------------------------------------------------------------------------


def test_an_unknown_receiver_is_4001_with_http_200(hub, cpo):
    answer = ask(hub, cpo, "GET", "sender/tokens", to=PartyId("XX", "ZZZ"), headers=IDS)
    assert answer.said == (200, 4001)
    assert "XX-ZZZ" in answer.envelope["status_message"]
    assert echoes(answer)


def test_an_answer_of_the_hub_itself_has_routing_headers_too(hub, cpo):
    """Direct response, Hub to requesting platform: TO is the requesting party."""
    answer = ask(hub, cpo, "GET", "sender/tokens", to=PartyId("XX", "ZZZ"))
    own = cpo.simulator.party
    assert answer.headers["ocpi-to-country-code"] == own.country_code
    assert answer.headers["ocpi-to-party-id"] == own.party_id
    assert answer.headers["ocpi-from-country-code"]
    assert answer.headers["ocpi-from-party-id"]


def test_a_dead_receiver_is_4003_with_http_200(hub, cpo):
    dead = hub.join(Stranger(Role.EMSP))
    dead.set_faults(gone=True)
    answer = ask(hub, cpo, "PUT", PUT_TARIFF, to=dead, body=b"{}", headers=IDS)
    assert answer.said == (200, 4003)
    assert echoes(answer)
    dead.clear_faults()
    assert ask(hub, cpo, "PUT", PUT_TARIFF, to=dead, body=b"{}").said == (200, 1000)


def test_a_receiver_that_hangs_up_is_4003(hub, cpo, emsp):
    async def hangs_up(message):
        emsp.simulator.listening.hang_up()
        return raw()

    emsp.simulator.says = hangs_up
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp)
    assert answer.said == (200, 4003)


def test_an_invited_party_that_has_not_come_is_4003(hub, cpo):
    party = new_party()
    onboarding.invite(party, [Role.EMSP], "")
    answer = ask(hub, cpo, "GET", "sender/tokens", to=party)
    assert answer.said == (200, 4003)
    assert "PLANNED" in answer.envelope["status_message"]


def test_a_receiver_without_the_module_is_4000_with_the_module_named(hub, cpo):
    small = hub.join(Stranger(Role.EMSP, offers=[("tokens", "SENDER")]))
    answer = ask(hub, cpo, "PUT", PUT_TARIFF, to=small, body=b"{}")
    assert answer.said == (200, 4000)
    assert "tariffs" in answer.envelope["status_message"]
    assert ask(hub, cpo, "GET", "sender/tokens", to=small).said == (200, 1000)


def test_an_answer_beyond_the_limit_is_4000(hub, cpo, emsp):
    emsp.simulator.says = lambda message: raw(b'{"status_code":1000,"x":"' + b"x" * 5000 + b'"}')
    with changed_setting("MAX_ANSWER_BYTES", 4000):
        assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 4000)


def test_a_suspended_party_sends_nothing_and_gets_nothing_until_it_is_resumed(hub, cpo):
    emsp = hub.join(Stranger(Role.EMSP))
    onboarding.suspend(emsp.simulator.party)
    answer = cpo.wait_for(
        lambda: (found := ask(hub, cpo, "GET", "sender/tokens", to=emsp)).code == 4003 and found
    )
    assert answer.status == 200
    assert "SUSPENDED" in answer.envelope["status_message"]
    assert ask(hub, emsp, "GET", "sender/locations", to=cpo).status == 403
    assert not cpo.simulator.got
    onboarding.resume(emsp.simulator.party)
    cpo.wait_for(lambda: ask(hub, cpo, "GET", "sender/tokens", to=emsp).code == 1000)
    assert ask(hub, emsp, "GET", "sender/locations", to=cpo).said == (200, 1000)


# --- Senders --------------------------------------------------------------------------------------


def test_a_from_that_is_somebody_else_is_2001(hub, cpo, emsp):
    for forged in (emsp.simulator.party, PartyId("XX", "ZZZ"), PartyId("NL", "HUB")):
        headers = routing(emsp.simulator.party, forged)
        answer = send(hub, "GET", MODULE, token_of(cpo), headers=headers)
        assert answer.said == (200, 2001)
        assert str(forged) in answer.envelope["status_message"]
    assert not emsp.simulator.got


@pytest.mark.parametrize(
    "headers",
    [
        {"OCPI-to-country-code": "XX"},
        {"OCPI-to-party-id": "AAA"},
        {"OCPI-to-country-code": "XXX", "OCPI-to-party-id": "AAA"},
        {"OCPI-to-country-code": "XX", "OCPI-to-party-id": "AAAA"},
        {"OCPI-to-country-code": b"\xc3\xa9", "OCPI-to-party-id": "AAA"},
        {"OCPI-to-country-code": "X\tX", "OCPI-to-party-id": "' --"},
        {"OCPI-from-country-code": "XX", "OCPI-from-party-id": ""},
        {"OCPI-from-country-code": "XX" * 2000, "OCPI-from-party-id": "AAA"},
    ],
)
def test_half_or_absurd_routing_headers_are_2001(hub, cpo, headers):
    answer = send(hub, "GET", MODULE, token_of(cpo), headers=headers)
    assert answer.said == (200, 2001)


@pytest.mark.parametrize("name", ["X-Request-ID", "X-Correlation-ID"])
@pytest.mark.parametrize("value", ["x" * 256, "x" * 5000, b"\xe9", b"\xc3\xa9\xff"])
def test_absurd_message_ids_are_refused(hub, cpo, emsp, name, value):
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp, headers={name: value})
    assert answer.said == (200, 2001)
    assert not emsp.simulator.got


def test_a_message_id_of_255_characters_is_kept(hub, cpo, emsp):
    headers = {"X-Correlation-ID": "c" * 255, "X-Request-ID": "r" * 255}
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp, headers=headers)
    assert answer.said == (200, 1000)
    assert answer.headers["x-request-id"] == "r" * 255
    assert emsp.simulator.got[0].headers["X-Correlation-ID"] == "c" * 255


# --- URLs and methods -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/ocpi/",
        "/ocpi/x",
        "/ocpi/2.2",
        "/ocpi/2.1.1/credentials",
        "/ocpi/2.2.1/nothing",
        "/ocpi/2.2.1/sender",
        "/ocpi/2.2.1/sender/",
        "/ocpi/2.2.1/sender/sessions/a/b/c/d/e/f/g/h",
        "/ocpi/2.2.1/receiver/tariffs",
        "/ocpi/2.2.1/receiver/locations/XX/AAA/1/2/3/4",
        "/ocpi/2.2.1/credentials/x",
        "/ocpi/2.2.1/hubclientinfo/XX/AAA",
        "/ocpi/2.2.1/via",
        "/ocpi/2.2.1/via/",
        "/ocpi/2.2.1/via/unknown",
        "/ocpi/2.2.1/via/%00",
        "/ocpi/2.2.1/via/" + "x" * 500,
        "/ocpi/2.2.1/via/a/b",
        "/ocpi/x%0Ay",
        "/ocpi/2.2.1/sender%0A/tokens",
        "/ocpi/%00",
        "/ocpi/%ff%fe",
        "/ocpi/%E2%82%AC/ünï".encode().decode("latin-1"),
        "/ocpi/../admin/",
        "/ocpi//versions",
        "/ocpi/versions/x",
        "/ocpi/Versions",
        "/ocpi/" + "x" * 10_000,
    ],
)
def test_what_is_no_endpoint_is_404_with_an_envelope(hub, cpo, path):
    path = path.encode("latin-1").decode("ascii", "ignore")
    answer = send(hub, "GET", path, token_of(cpo), headers=IDS)
    assert answer.status == 404
    assert 2000 <= answer.code < 3000
    assert echoes(answer)


@pytest.mark.parametrize(
    "path",
    [
        "receiver/sessions/XX/AAA/%00",
        "receiver/chargingprofiles/%00",
        "receiver/chargingprofiles/a%0Ab",
        "receiver/chargingprofiles/a%2Fb",
        "sender/sessions/%00/charging_preferences",
        "sender/sessions/a%0Ab/charging_preferences",
        "sender/chargingprofiles/%00",
        "sender/chargingprofiles/%ff",
        "receiver/sessions/%00/AAA/S1",
        "profile-result/%00",
        "profile-result/" + "x" * 500,
    ],
)
def test_odd_ids_never_break_the_hub(hub, cpo, emsp, path):
    with_body = {"PUT", "PATCH", "POST"}
    for method, to in product(("GET", "DELETE", *sorted(with_body)), (emsp, None)):
        body = b'{"last_updated":"2026-01-01T00:00:00Z"}' if method in with_body else None
        with case(method, "named" if to else "open"):
            answer = ask(hub, cpo, method, path, to=to, body=body, headers=IDS)
            assert answer.status < 500
            assert answer.code != 3000
            assert echoes(answer)


@pytest.mark.parametrize("path", ["/ocpi/nothing", "/ocpi/2.2.1/nothing", "/ocpi/2.2.1/sender/x"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_writing_to_what_is_no_endpoint_is_an_envelope_too(hub, cpo, path, method):
    body = None if method == "DELETE" else b"{}"
    answer = ask(hub, cpo, method, path, to=PartyId("NL", "HUB"), body=body)
    assert answer.status in {200, 404, 405}
    assert answer.code >= 2000


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "receiver/commands/START_SESSION"),
        ("PUT", "receiver/sessions/{own}/S1"),
        ("POST", "receiver/cdrs"),
        ("GET", "receiver/tariffs/{own}/T1"),
        ("POST", "sender/tokens/T1/authorize"),
        ("PUT", f"receiver/{CUSTOM}/1"),
    ],
)
def test_what_the_hub_itself_does_not_offer_is_a_hub_error(hub, cpo, method, path):
    """As long as the hub stores nothing: HTTP 200 with 400x, and never HTML."""
    body = None if method in {"GET", "DELETE"} else b"{}"
    answer = ask(hub, cpo, method, path, to=PartyId("nl", "hub"), body=body)
    assert answer.status == 200
    assert 4000 <= answer.code <= 4001


@pytest.mark.parametrize(
    "path", ["/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/hubclientinfo", MODULE, "/ocpi/nothing"]
)
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND"])
def test_a_method_that_ocpi_does_not_have_is_refused_with_an_envelope(hub, cpo, path, method):
    answer = ask(hub, cpo, method, path, headers=IDS)
    assert answer.status in {404, 405}
    assert 2000 <= answer.code < 3000
    assert echoes(answer)


@pytest.mark.parametrize("path", ["/ocpi/versions", "/ocpi/nothing", MODULE])
def test_head_has_no_body_and_breaks_nothing(hub, cpo, path):
    answer = ask(hub, cpo, "HEAD", path)
    assert answer.status in {200, 404, 405}
    assert answer.body == b""


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "receiver/locations/XX/AAA/L1", {"GET", "PUT", "PATCH"}),
        ("PUT", "receiver/cdrs", {"POST"}),
        ("PATCH", PUT_TARIFF, {"GET", "PUT", "DELETE"}),
        ("POST", "sender/tokens", {"GET"}),
        ("PATCH", "sender/sessions/S1/charging_preferences", {"PUT"}),
        ("PATCH", "receiver/chargingprofiles/S1", {"GET", "PUT", "DELETE"}),
    ],
)
def test_a_method_that_a_module_does_not_have_is_405_with_allow(
    hub, cpo, emsp, method, path, allowed
):
    answer = ask(hub, cpo, method, path, to=emsp, body=b"{}", headers=IDS)
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert echoes(answer)
    assert not emsp.simulator.got


# --- Headers that are none of OCPI's business -----------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/html"},
        {"Accept": "application/xml;q=1, */*;q=0"},
        {"Accept": "nonsense"},
        {"Host": "my_hub:8000"},
        {"Host": "a b"},
        {"Host": "evil.example"},
        {"Host": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Cookie": "sessionid=x; csrftoken=y; a=\xe9"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a_b"},
        {"X-HTTP-Method-Override": "DELETE"},
        {"Accept-Language": "xx-" * 500},
        {"If-None-Match": '"x"', "If-Modified-Since": "x", "Range": "bytes=0-1"},
        {"Expect": "nonsense"},
        {"Accept-Encoding": "gzip, br"},
    ],
)
def test_absurd_headers_change_nothing(hub, cpo, headers):
    for path in ("/ocpi/versions", "/ocpi/2.2.1/hubclientinfo", "/ocpi/nothing"):
        with changed_setting("ALLOWED_HOSTS", ["hub.example", "127.0.0.1"]), case(path):
            answer = ask(hub, cpo, "GET", path, headers=headers)
            assert answer.status == (404 if path == "/ocpi/nothing" else 200)
            assert answer.code in {1000, 2000}


@pytest.mark.parametrize("query", ["format=xml", "format=api", "%00=%ff", "&&=&"])
@pytest.mark.parametrize("path", ["/ocpi/versions", "/ocpi/2.2.1/hubclientinfo"])
def test_absurd_queries_change_nothing(hub, cpo, path, query):
    assert ask(hub, cpo, "GET", f"{path}?{query}").said == (200, 1000)


def test_a_query_of_thousands_of_fields_is_2001(hub, cpo):
    query = "&".join(["x=1"] * 1500)
    answer = ask(hub, cpo, "GET", f"/ocpi/2.2.1/hubclientinfo?{query}")
    assert answer.said == (200, 2001)
