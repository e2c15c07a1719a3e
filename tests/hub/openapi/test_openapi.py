"""The OpenAPI document says what the hub does: schemathesis asks, with good and bad requests."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hub.ocpi.datatypes import Role
from hub.ocpi.headers import ROUTING, authorization
from hub.ocpi.modules import ROUTES
from hub.ocpi.party import PartyId
from hub.openapi.document import document
from hub.parties import onboarding
from simulators.testing import PATIENCE
from tests.hub.strangers import Stranger, routing, send, token_of
from tests.running_hub import new_party

HUB = PartyId("NL", "HUB")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(json.loads(document("http://127.0.0.1")))
OPERATIONS = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok))
}
EXAMPLES = 2


@pytest.fixture(scope="module")
def invited(hub) -> str:
    """The token of somebody who has not come yet."""
    return onboarding.invite(new_party(), [Role.CPO], "Newcomer").token


@pytest.fixture(scope="module")
def http() -> Iterator[requests.Session]:
    """One connection for all."""
    with requests.Session() as session:
        yield session


def test_it_is_openapi():
    SCHEMA.validate()


def test_numbers_are_numbers():
    assert b'"decimal"' not in document("http://127.0.0.1")
    schemas = json.loads(document("http://127.0.0.1"))["components"]["schemas"]
    assert schemas["ChargingProfilePeriod"]["properties"]["limit"] == {"type": "number"}


def test_every_route_of_the_table_is_in_it():
    for route in ROUTES:
        for method in route.methods:
            path = f"/ocpi/2.2.1/{route.role.lower()}/{route.module}"
            assert f"{method} {path}{'/' if route.shape else ''}{route.shape}" in OPERATIONS


def test_it_is_public_and_so_is_its_page(hub):
    answer = send(hub, "GET", "/ocpi/openapi.json")
    assert answer.status == 200
    assert json.loads(answer.body)["servers"] == [{"url": hub.url}]
    page = send(hub, "GET", "/ocpi/docs").body.decode()
    assert "Flexhub" in page
    for text in ("/ocpi/2.2.1/receiver/locations/{country_code}", "SetChargingProfile", "413"):
        assert text in page
    assert "<script" not in page
    assert send(hub, "GET", "/ocpi/docs/").status == 200
    assert send(hub, "POST", "/ocpi/docs").status == 405


def cases(operation: Any, mode: GenerationMode) -> list[Any]:
    """A few requests, always the same: drawn apart from the calls, which take time of their own."""
    found = []

    @settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def draw(case: Any) -> None:
        found.append(case)

    draw()
    return found


def _make_own(case: Any, party: PartyId) -> None:
    """Name the sender as the owner, in URL and body, so that more than the URL is looked at."""
    case.path_parameters |= {"country_code": party[0], "party_id": party[1]}
    last = list(case.path_parameters)[-1]
    if isinstance(case.body, dict):
        key = "uid" if last in {"token_uid", "evse_uid"} else "id"
        case.body |= {"country_code": party[0], "party_id": party[1]}
        case.body[key] = case.path_parameters[last]


# The hub of this process makes message ids with `random` while a request is drawn.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_answer_is_another_than_the_document_says(hub, cpo, emsp, http, invited, name, mode):
    strangers = ((cpo, emsp), (emsp, cpo))
    # The next operation goes on where this one ends: each kind of receiver has its third.
    first = EXAMPLES * list(OPERATIONS).index(name)
    for number, case in enumerate(cases(OPERATIONS[name], mode), first):
        sender, other = strangers[number % 2]
        party, to = sender.simulator.party, (HUB, None, other.simulator.party)[number % 3]
        is_routed = "/sender/" in case.path or "/receiver/" in case.path
        if is_routed and number % 3 < 2 and "country_code" in case.path_parameters:
            _make_own(case, party)
        token = token_of(sender)
        if name.startswith(("PUT", "DELETE")) and name.endswith("credentials"):
            token = invited  # A registered one would be called back, or leave.
        own = {name: v for name, v in (case.headers or {}).items() if name not in ROUTING}
        case.headers = own | {"Authorization": authorization(token)}
        case.headers |= routing(to, party) if is_routed else {}
        response = case.call(base_url=hub.url, session=http, timeout=PATIENCE)
        case.validate_response(response, checks=CHECKS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_whoever_has_no_token_is_refused_as_the_document_says(hub, name):
    method, path = name.split(" ", 1)
    url = hub.url + path.format_map(dict.fromkeys(_names(path), "XX"))
    response = requests.request(method, url, data=b"{}", timeout=PATIENCE)
    assert response.status_code == 401
    assert "401" in OPERATIONS[name].definition.raw["responses"]
    assert response.json()["status_code"] == 2000


def _names(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def test_a_method_that_is_not_defined_is_405_as_the_document_says(hub, cpo):
    for path, operations in json.loads(document(hub.url))["paths"].items():
        url = path.format_map(dict.fromkeys(_names(path), "XX"))
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {m.upper() for m in operations}:
            if "{key}" in path or "{command}" in path:
                continue
            answer = send(hub, method, url, token_of(cpo), body=b"{}")
            assert answer.status == 405, (method, path, answer)
            assert answer.headers["allow"]


def test_strangers_stay_registered(hub, cpo, emsp):
    assert isinstance(cpo.simulator, Stranger)
    for running in (cpo, emsp):
        assert send(hub, "GET", "/ocpi/versions", token_of(running)).status == 200
