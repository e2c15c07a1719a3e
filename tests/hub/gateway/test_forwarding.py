"""From party to party through the hub, byte for byte (transport_and_format, Message Routing)."""

import re

import pytest

from hub.gateway.answer import answer_of
from hub.ocpi.datatypes import Role
from hub.ocpi.envelope import read_answer
from hub.ocpi.modules import ROUTES
from hub.ocpi.party import PartyId
from hub.outbound.platform_calls import Response
from tests.hub.strangers import (
    CUSTOM,
    OK,
    RECEIVER,
    SENDER,
    Stranger,
    ask,
    raw,
    routing,
    send,
    token_of,
)
from tests.minimal import owned
from tests.running_hub import new_party

# What a parser and a writer in between would change: spacing, number spellings, unknown fields,
# key order, doubled keys, escapes, Unicode.
ODD_BODY = (
    '{ "z":1,\t"kwh" : 1.50,"a": 1e3 ,"b":-0.0,"c":100000000000000000000.10,'
    '"unknown_vendor_field":{"x":[ ],"y":null},"name":"Zoë \\u00e9 \\/ 充电 🚗","z":2\r\n} \n'
).encode()
ODD_ANSWER = (
    '\n{"timestamp":"2026-01-01T00:00:00.2Z" ,"vendor":1.10,"data":{"n":1E+2,"s":"é\\u00e9"},'
    '"status_code":1000}\n\n'
).encode()


def _rest(shape: str, owner: PartyId) -> str:
    values = {"country_code": owner.country_code, "party_id": owner.party_id}
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], f"{found[1]}-1"), shape)


# A profile command to a CPO is carried by a job (tests/charging_profiles).
ROUTED = [
    pytest.param(route, method, id=f"{method} {route.module} {route.role.lower()} {route.shape}")
    for route in ROUTES
    for method in route.methods
    if (route.module, route.role) != ("chargingprofiles", RECEIVER)
]


@pytest.mark.parametrize(("route", "method"), ROUTED)
def test_every_method_of_every_interface_is_forwarded_byte_for_byte(hub, cpo, emsp, route, method):
    emsp.simulator.says = lambda message: raw(ODD_ANSWER, 201)
    body = ODD_BODY if method in {"PUT", "PATCH", "POST"} else None
    rest = _rest(route.shape, cpo.simulator.party)
    path = f"{route.role.lower()}/{route.module}"
    answer = ask(hub, cpo, method, f"{path}/{rest}".rstrip("/"), to=emsp, body=body)
    assert (answer.status, answer.body) == (201, ODD_ANSWER)
    (message,) = emsp.simulator.got
    assert (message.method, message.body) == (method, body or b"")
    where = emsp.simulator.where(route.module, route.role)
    assert emsp.simulator.targets == [f"{where}/{rest}".rstrip("/")]


@pytest.mark.parametrize("role", [SENDER, RECEIVER])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("rest", ["", "/a/b/c/d/e/f", "/x?deep=1&deep=2"])
def test_a_custom_module_is_forwarded_byte_for_byte(hub, cpo, emsp, role, method, rest):
    body = ODD_BODY if method in {"PUT", "PATCH", "POST"} else None
    answer = ask(hub, cpo, method, f"{role.lower()}/{CUSTOM}{rest}", to=emsp, body=body)
    assert answer.said == (200, 1000)
    (message,) = emsp.simulator.got
    assert (message.method, message.body) == (method, body or b"")
    assert emsp.simulator.targets == [emsp.simulator.where(CUSTOM, role) + rest]


@pytest.mark.parametrize("body", [b"[1, 2.0]", b'"text"', b"null", b" 5 ", b"true"])
def test_any_json_text_is_a_body(hub, cpo, emsp, body):
    assert ask(hub, cpo, "PUT", f"receiver/{CUSTOM}/1", to=emsp, body=body).said == (200, 1000)
    assert emsp.simulator.got[-1].body == body


def test_a_post_without_a_body_is_forwarded_since_authorize_has_none(hub, cpo, emsp):
    answer = ask(hub, cpo, "POST", "sender/tokens/UID-1/authorize", to=emsp)
    assert answer.said == (200, 1000)
    assert emsp.simulator.got[-1].body == b""


def test_the_query_is_passed_on_as_it_is(hub, cpo, emsp):
    query = "date_from=2026-01-01T00:00:00Z&offset=%30&x=a+b%20c&x=&%C3%A9=1&flag"
    assert ask(hub, cpo, "GET", f"sender/locations?{query}", to=emsp).said == (200, 1000)
    assert emsp.simulator.targets[-1].partition("?")[2] == query


@pytest.mark.parametrize(
    "session_id",
    ["a%2Fb", "a%252Fb", "%E2%82%AC", "a%20b", "a:b@c;d=e,f", "a'(b)!*", "%3Fx%23y"],
)
def test_percent_encoded_ids_stay_as_they_are(hub, cpo, emsp, session_id):
    path = f"receiver/sessions/{owned(cpo.simulator.party, session_id)}"
    assert ask(hub, cpo, "GET", path, to=emsp).said == (200, 1000)
    assert emsp.simulator.targets[-1].endswith(path.removeprefix("receiver"))


@pytest.mark.parametrize("path", ["../../credentials", "%2e%2E/..%2f../credentials", "..", "a/.."])
@pytest.mark.parametrize("module", ["sessions/XX/AAA", CUSTOM])
def test_dot_segments_do_not_lead_to_other_endpoints_of_the_receiver(hub, cpo, emsp, module, path):
    """The receiver would believe them to be the hub's, sent with the hub's token."""
    answer = ask(hub, cpo, "PUT", f"receiver/{module}/{path}", to=emsp, body=b"{}")
    assert answer.code >= 2000
    assert not emsp.simulator.got
    assert not emsp.simulator.targets


@pytest.mark.parametrize("module", ["credentials", "hubclientinfo", "versions", "HubClientInfo"])
@pytest.mark.parametrize("interface", ["sender", "receiver"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_configuration_modules_are_not_routed(hub, cpo, emsp, module, interface, method):
    """Else a party could unregister the hub at another one, or tell it lies about third ones."""
    body = b"{}" if method == "PUT" else None
    answer = ask(hub, cpo, method, f"{interface}/{module}", to=emsp, body=body)
    assert answer.status in {404, 405}
    assert answer.code == 2000
    assert not emsp.simulator.got


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "HEAD", "PROPFIND"])
def test_only_the_methods_of_ocpi_are_forwarded(hub, cpo, emsp, method):
    answer = ask(hub, cpo, method, f"receiver/{CUSTOM}/1", to=emsp)
    assert answer.status == 405
    assert not emsp.simulator.got


# --- Headers --------------------------------------------------------------------------------------


def test_routing_headers_name_both_parties_in_both_directions(hub, cpo, emsp):
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp)
    there, back = emsp.simulator.got[-1].headers, answer.headers
    own, other = cpo.simulator.party, emsp.simulator.party
    assert there["OCPI-from-country-code"] == own.country_code
    assert there["OCPI-from-party-id"] == own.party_id
    assert there["OCPI-to-country-code"] == other.country_code
    assert there["OCPI-to-party-id"] == other.party_id
    assert back["ocpi-to-country-code"] == own.country_code
    assert back["ocpi-to-party-id"] == own.party_id
    assert back["ocpi-from-country-code"] == other.country_code
    assert back["ocpi-from-party-id"] == other.party_id


def test_the_receiver_gets_a_new_request_id_and_the_same_correlation_id(hub, cpo, emsp):
    ids = {"X-Request-ID": "request-of-mine", "X-Correlation-ID": "a correlation/1 ~"}
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp, headers=ids)
    there = emsp.simulator.got[-1].headers
    assert there["X-Request-ID"] not in {"", "request-of-mine"}
    assert there["X-Correlation-ID"] == "a correlation/1 ~"
    assert answer.headers["x-request-id"] == "request-of-mine"
    assert answer.headers["x-correlation-id"] == "a correlation/1 ~"


def test_each_forwarded_request_has_an_id_of_its_own(hub, cpo, emsp):
    for _ in range(3):
        ask(hub, cpo, "GET", "sender/tokens", to=emsp, headers={"X-Request-ID": "the same"})
    assert len({message.headers["X-Request-ID"] for message in emsp.simulator.got}) == 3


def test_missing_ids_are_filled_in(hub, cpo, emsp):
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp)
    there = emsp.simulator.got[-1].headers
    assert answer.headers["x-correlation-id"] == there["X-Correlation-ID"] != ""
    assert answer.headers["x-request-id"] not in {"", there["X-Request-ID"]}


def test_the_receiver_sees_its_own_token_and_never_the_senders(hub, cpo, emsp):
    ask(hub, cpo, "GET", "sender/tokens", to=emsp)
    message = emsp.simulator.got[-1]
    assert message.connection is emsp.simulator.hub
    assert token_of(cpo) not in str(message.headers)


def test_what_belongs_to_one_connection_is_not_passed_on(hub, cpo, emsp):
    odd = {"Cookie": "a=b", "X-Forwarded-For": "10.0.0.1", "Accept-Encoding": "gzip", "X-Own": "1"}
    emsp.simulator.says = lambda message: raw(Set_Cookie="c=d", X_Total_Count="7", X_Limit="5")
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp, headers=odd)
    there = emsp.simulator.got[-1].headers
    assert "Cookie" not in there
    assert "X-Forwarded-For" not in there
    assert "set-cookie" not in answer.headers
    assert (answer.headers["x-total-count"], answer.headers["x-limit"]) == ("7", "5")


def test_missing_from_is_the_platforms_only_party(hub, cpo, emsp):
    to = routing(emsp.simulator.party)
    answer = send(hub, "GET", "/ocpi/2.2.1/sender/tokens", token_of(cpo), headers=to)
    assert answer.said == (200, 1000)
    assert emsp.simulator.got[-1].from_party == cpo.simulator.party
    assert answer.headers["ocpi-to-party-id"] == cpo.simulator.party.party_id


def test_missing_from_of_several_parties_is_the_owner_in_the_url_else_2001(hub, emsp):
    second = new_party()
    platform = hub.join(Stranger(Role.CPO, more=[(second, Role.CPO)]))
    to, token = routing(emsp.simulator.party), token_of(platform)
    url = "/ocpi/2.2.1/receiver/tariffs"
    path = f"{url}/{second.country_code.lower()}/{second.party_id.lower()}/T1"
    assert send(hub, "PUT", path, token, body=b"{}", headers=to).said == (200, 1000)
    assert emsp.simulator.got[-1].from_party == second
    foreign = f"{url}/XX/ZZZ/T1"
    assert send(hub, "PUT", foreign, token, body=b"{}", headers=to).said == (200, 2001)
    nobody = send(hub, "GET", "/ocpi/2.2.1/sender/tokens", token, headers=to)
    assert nobody.said == (200, 2001)
    assert "OCPI-from" in nobody.envelope["status_message"]


def test_each_party_of_a_platform_is_sender_and_receiver_under_its_own_name(hub, cpo, emsp):
    first, second = new_party("BE"), new_party("LU")
    platform = hub.join(Stranger(Role.CPO, Role.EMSP, party=first, more=[(second, Role.CPO)]))
    for party in (first, second):
        ask(hub, emsp, "GET", "sender/locations", to=party)
        assert platform.simulator.got[-1].to_party == party
        headers = routing(emsp.simulator.party, party)
        send(hub, "GET", "/ocpi/2.2.1/sender/tokens", token_of(platform), headers=headers)
        assert emsp.simulator.got[-1].from_party == party


def test_ids_are_compared_without_case_and_passed_on_as_spelled(hub, cpo, emsp):
    own, other = cpo.simulator.party, emsp.simulator.party
    spelled = {
        "ocpi-FROM-country-code": own.country_code.lower(),
        "ocpi-FROM-party-id": own.party_id.lower(),
        "ocpi-to-COUNTRY-code": other.country_code.lower(),
        "ocpi-to-party-id": other.party_id.lower(),
    }
    answer = send(hub, "GET", "/ocpi/2.2.1/sender/TOKENS", token_of(cpo), headers=spelled)
    assert answer.said == (200, 1000)
    there = emsp.simulator.got[-1].headers
    assert there["OCPI-from-party-id"] == own.party_id.lower()
    assert there["OCPI-to-country-code"] == other.country_code.lower()


def test_a_receiver_that_sends_no_headers_is_named_by_the_hub(hub, cpo, emsp):
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp, headers={"X-Correlation-ID": "c"})
    assert answer.headers["ocpi-from-party-id"] == emsp.simulator.party.party_id
    assert answer.headers["x-correlation-id"] == "c"
    assert [name for name, _ in answer.headers.items()].count("x-request-id") == 1


# --- The receiver's answers -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 400, 404, 405, 500, 503])
@pytest.mark.parametrize("code", [1000, 1900, 2001, 2004, 3000, 4001, 2999])
def test_an_envelope_comes_back_unchanged_whatever_it_says(hub, cpo, emsp, status, code):
    said = b'{ "status_code":%d,"status_message":"no","timestamp":"2026-01-01T00:00:00Z"}' % code
    emsp.simulator.says = lambda message: raw(said, status)
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp)
    assert (answer.status, answer.body) == (status, said)


def test_an_error_that_is_json_but_no_envelope_comes_back_unchanged(hub, cpo, emsp):
    emsp.simulator.says = lambda message: raw(b'{"detail":"Validation failed"}', 422)
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp)
    assert (answer.status, answer.body) == (422, b'{"detail":"Validation failed"}')


def test_a_401_of_the_receiver_is_between_it_and_the_hub(hub, cpo, emsp):
    """Passed on, it would tell the sender that its own token is wrong."""
    emsp.simulator.says = lambda message: raw(OK.replace(b"1000", b"2001"), 401)
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp)
    assert answer.said == (200, 4003)
    assert answer.headers["ocpi-to-party-id"] == cpo.simulator.party.party_id


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><h1>Internal Server Error</h1></html>",
        b"Bad Gateway",
        b'{"status_code": 1000, "da',
        b'{"status_code": 1000} {"x":1}',
        b"{" * 50,
        b"\xff\xfe\x00",
        b'{"status_code":1000,"status_message":"\xff"}',
        b"\x1f\x8b\x08\x00gzip",
        b"[]",
        b"null",
    ],
)
@pytest.mark.parametrize("status", [200, 404, 500])
def test_what_is_no_json_object_becomes_an_envelope_with_4000(hub, cpo, emsp, status, body):
    emsp.simulator.says = lambda message: raw(body, status, Content_Type="text/html")
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp)
    assert answer.said == (status, 4000)
    assert str(emsp.simulator.party) in answer.envelope["status_message"]


def test_a_content_type_that_is_no_text_does_not_lose_the_answer():
    """The client reads such bytes as lone surrogates, which no JSON takes."""
    answer = Response(502, {"content-type": "text/html; x=\udcff"}, b"Bad Gateway")
    passed_on = answer_of(PartyId("NL", "ABC"), answer)
    assert passed_on.status == 502
    assert read_answer(passed_on.body).status_code == passed_on.verdict.status_code == 4000


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_an_empty_answer_with_2xx_means_taken(hub, cpo, emsp, status):
    emsp.simulator.says = lambda message: raw(b"", status)
    path = f"receiver/tariffs/{owned(cpo.simulator.party, 'T1')}"
    assert ask(hub, cpo, "PUT", path, to=emsp, body=b"{}").said == (200, 1000)


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_an_empty_error_keeps_its_status_and_becomes_an_envelope(hub, cpo, emsp, status):
    emsp.simulator.says = lambda message: raw(b"", status)
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (status, 4000)


@pytest.mark.parametrize("status", [301, 302, 303, 304, 308])
def test_a_status_that_is_no_answer_becomes_200_with_4000(hub, cpo, emsp, status):
    emsp.simulator.says = lambda message: raw(b"", status, Location="http://other.example/x")
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 4000)


def test_data_as_a_list_of_one_is_left_as_it_is(hub, cpo, emsp):
    said = b'{"status_code":1000,"data":[{"id":"1"}],"timestamp":"2026-01-01T00:00:00Z"}'
    emsp.simulator.says = lambda message: raw(said)
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).body == said


def test_a_content_type_with_a_charset_does_not_matter(hub, cpo, emsp):
    emsp.simulator.says = lambda message: raw(Content_Type="application/json; charset=utf-8")
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.status == 200


def test_odd_bytes_in_a_receivers_headers_do_no_harm(hub, cpo, emsp):
    emsp.simulator.says = lambda message: raw(X_Limit="€", Link='<http://x/€>; rel="next"')
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)


def test_a_large_answer_comes_back_whole(hub, cpo, emsp):
    said = b'{"status_code":1000,"data":"' + b"x" * 3_000_000 + b'","timestamp":"2026Z"}'
    emsp.simulator.says = lambda message: raw(said)
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).body == said


# --- Redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [307, 308])
def test_a_missing_trailing_slash_is_followed_on_the_same_host(hub, cpo, emsp, status):
    def says(message):
        if message.path.endswith("/"):
            return raw()
        return raw(b"", status, Location=f"{message.path}/")

    emsp.simulator.says = says
    path = f"receiver/tariffs/{owned(cpo.simulator.party, 'T1')}"
    assert ask(hub, cpo, "PUT", path, to=emsp, body=ODD_BODY).said == (200, 1000)
    assert [message.method for message in emsp.simulator.got] == ["PUT", "PUT"]
    assert emsp.simulator.got[-1].body == ODD_BODY
    assert emsp.simulator.got[-1].connection is emsp.simulator.hub


def test_a_redirect_in_a_circle_ends(hub, cpo, emsp):
    emsp.simulator.says = lambda message: raw(b"", 307, Location=message.path)
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 4000)
    assert len(emsp.simulator.got) <= 5


def test_a_redirect_to_another_host_is_not_followed_with_the_token(hub, cpo, emsp):
    other = hub.running(Stranger())
    emsp.simulator.says = lambda message: raw(b"", 307, Location=f"{other.url}{message.path}")
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).code == 4000
    assert not other.simulator.got


@pytest.mark.parametrize(
    "location",
    [
        "mailto:a@b",
        "http://[",
        "//",
        "",
        "http://x:99999/",
        "\udcff",
        "ftp:x",
        "/€",
        "http://a..b/",
    ],
)
def test_a_redirect_to_nonsense_is_the_receivers_error(hub, cpo, emsp, location):
    emsp.simulator.says = lambda message: raw(b"", 307, Location=location)
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 4000)
