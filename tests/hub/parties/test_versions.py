"""GET of versions and version details (version_information_endpoint)."""

import json

import pytest

from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.modules import INTERFACES, ROUTES
from hub.parties import onboarding
from tests.hub.strangers import CUSTOM, Stranger, ask, send, token_of
from tests.running_hub import new_party

# version_information_endpoint, ModuleID; mod_hub_client_info: only a hub is its Sender.
MODULES = {"cdrs", "chargingprofiles", "commands", "locations", "sessions", "tariffs", "tokens"}


def _details(hub, stranger) -> dict[tuple[str, str], str]:
    data = ask(hub, stranger, "GET", "/ocpi/2.2.1").envelope["data"]
    assert data["version"] == "2.2.1"
    return {(one["identifier"], one["role"]): one["url"] for one in data["endpoints"]}


def test_versions_is_a_list_with_2_2_1_and_an_absolute_url(hub, cpo):
    answer = ask(hub, cpo, "GET", "/ocpi/versions")
    assert answer.envelope["data"] == [{"version": "2.2.1", "url": f"{hub.url}/ocpi/2.2.1"}]


def test_configuration_modules_carry_ids_and_no_routing_headers(hub, cpo):
    for path in ("/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/credentials"):
        answer = ask(hub, cpo, "GET", path, headers={"X-Request-ID": "r", "X-Correlation-ID": "c"})
        assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("r", "c")
        assert not [name for name in answer.headers if name.startswith("ocpi-")]


@pytest.mark.parametrize("path", ["/ocpi/versions", "/ocpi/2.2.1"])
def test_a_trailing_slash_does_not_matter(hub, cpo, path):
    with_slash = ask(hub, cpo, "GET", f"{path}/").envelope["data"]
    assert with_slash == ask(hub, cpo, "GET", path).envelope["data"]


@pytest.mark.parametrize("path", ["/ocpi/versions", "/ocpi/2.2.1"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_only_get_is_defined(hub, cpo, path, method):
    answer = ask(hub, cpo, method, path, body=None if method == "DELETE" else b"{}")
    assert answer.status == 405
    assert "GET" in answer.headers["allow"]


def test_details_offer_both_interfaces_of_every_functional_module(hub):
    plain = hub.join(Stranger(Role.EMSP, offers=INTERFACES))
    offered = _details(hub, plain)
    both = {(module, role.value) for module in MODULES for role in InterfaceRole}
    assert set(offered) == both | {("credentials", "SENDER"), ("hubclientinfo", "SENDER")}


def test_no_endpoint_is_named_twice_and_each_url_is_one_of_the_hub(hub, cpo):
    data = ask(hub, cpo, "GET", "/ocpi/2.2.1").envelope["data"]["endpoints"]
    named = [(one["identifier"], one["role"]) for one in data]
    assert len(named) == len(set(named))
    urls = [one["url"] for one in data]
    assert len(urls) == len(set(urls))
    assert all(url.startswith(f"{hub.url}/ocpi/2.2.1/") and len(url) <= 255 for url in urls)


# A profile command to a CPO is carried by a job (tests/charging_profiles).
FORWARDED = [
    route for route in ROUTES if (route.module, route.role) != ("chargingprofiles", "RECEIVER")
]


@pytest.mark.parametrize(
    "route", FORWARDED, ids=lambda route: f"{route.module} {route.role} {route.shape}"
)
def test_every_route_is_mounted_where_the_details_say(hub, cpo, emsp, route):
    url = _details(hub, cpo)[route.module, route.role]
    rest = "/".join("X1" for _ in route.segments)
    if route.shape.startswith("{country_code}"):
        rest = "/".join([*cpo.simulator.party, *rest.split("/")[2:]])
    if route.shape.endswith("charging_preferences"):
        rest = "X1/charging_preferences"
    if route.shape.endswith("authorize"):
        rest = "X1/authorize"
    method = route.methods[0]
    body = None if method == "GET" else b"{}"
    answer = ask(hub, cpo, method, f"{url}/{rest}", to=emsp, body=body)
    assert answer.said == (200, 1000)
    assert emsp.simulator.got[0].module == route.module


def test_a_custom_module_is_told_only_to_those_who_offer_it_themselves(hub, cpo):
    plain = hub.join(Stranger(Role.EMSP, offers=INTERFACES))
    own = {identifier for identifier, _ in _details(hub, cpo)}
    assert CUSTOM in own
    assert CUSTOM not in {identifier for identifier, _ in _details(hub, plain)}


def test_an_invited_party_sees_what_a_registered_one_sees(hub):
    token_a = onboarding.invite(new_party(), [Role.CPO], "").token
    plain = hub.join(Stranger(Role.EMSP, offers=INTERFACES))
    invited = send(hub, "GET", "/ocpi/2.2.1", token_a).envelope["data"]
    assert invited == send(hub, "GET", "/ocpi/2.2.1", token_of(plain)).envelope["data"]


def test_the_answer_is_json_in_an_envelope_with_a_utc_timestamp(hub, cpo):
    answer = ask(hub, cpo, "GET", "/ocpi/versions")
    assert answer.headers["content-type"] == "application/json"
    assert set(json.loads(answer.body)) == {"data", "status_code", "timestamp"}
    assert len(answer.envelope["timestamp"]) <= 25
