"""Nobody touches another one's objects, whoever is in TO (Client Owned Object Push, Errors)."""

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.errors import HubError, InvalidParameters, NotFound, NotJson, OcpiError
from hub.ocpi.modules import INTERFACES, ROUTES, match
from hub.ocpi.party import PartyId
from hub.ocpi.routes import Route
from hub.routing.decisions import (
    Ask,
    Forward,
    Found,
    Hub,
    Lookup,
    LookupKind,
    decide,
)
from hub.routing.directory import Directory, PartyEntry, PlatformEntry
from hub.routing.request import Address, OcpiRequest
from tests.cases import case
from tests.hub.routing.requests import request_of

pytestmark = pytest.mark.measured
RECEIVER = InterfaceRole.RECEIVER
HUB = PartyId("NL", "HUB")
OWN, SISTER, OTHER = PartyId("NL", "OWN"), PartyId("BE", "OWN"), PartyId("DE", "OTH")
EMSP, SCSP, NOBODY = PartyId("FR", "MSP"), PartyId("FR", "SCS"), PartyId("XX", "XXX")
EVERYBODY = (OWN, SISTER, OTHER, EMSP, SCSP)
MODULES = ("locations", "tariffs", "tokens", "sessions")
OWNED = [route for route in ROUTES if "{country_code}" in route.segments]


def _platform(number: int, *parties: PartyId, **more: Any) -> PlatformEntry:
    endpoints = {(m, r): f"https://p{number}.example/{r}/{m}" for m, r in INTERFACES}
    return PlatformEntry(number, f"P{number}", True, "Token x", "", endpoints, parties, **more)


def _directory(own: Role = Role.CPO, **more: Any) -> Directory:
    first, second = _platform(1, OWN, SISTER, **more), _platform(2, OTHER)
    all_platforms = (first, second, _platform(3, EMSP), _platform(4, SCSP))
    platforms = {one.id: one for one in all_platforms}
    roles = {OWN: own, SISTER: own, OTHER: Role.CPO, EMSP: Role.EMSP, SCSP: Role.SCSP}
    entries = {
        party: PartyEntry(
            party,
            party.country_code,
            party.party_id,
            frozenset({roles[party]}),
            ConnectionStatus.CONNECTED,
            True,
            platform,
        )
        for platform in platforms.values()
        for party in platform.parties
    }
    return Directory(1, HUB, True, platforms, entries, {}, {})


DIRECTORY = _directory()


def _message(
    method: str,
    module: str,
    rest: str,
    *,
    to: PartyId | None = None,
    body: bytes = b"{}",
    sender: PartyId = OWN,
    directory: Directory = DIRECTORY,
) -> OcpiRequest:
    place = match(module, RECEIVER, rest, method)
    address = None if to is None else Address(*to)
    platform = directory.parties[sender].platform
    return request_of(platform, Address(*sender), address, method, place, body)


def _rest(shape: str, owner: PartyId) -> str:
    filled = shape.replace("{country_code}", owner.country_code)
    return filled.replace("{party_id}", owner.party_id).replace("{", "").replace("}", "")


def _outcome(message: OcpiRequest, directory: Directory = DIRECTORY, *answers: Found) -> Any:
    """The decision, or the refusal."""
    try:
        return decide(message, directory, *answers)
    except OcpiError as error:
        return error


# --- By the URL ----------------------------------------------------------------------------------

SOMEBODY_ELSES = [
    (route, method, to, owner)
    for route in OWNED
    for method in route.methods
    for to in (None, HUB, OTHER, EMSP, SCSP, SISTER, NOBODY)
    for owner in (OTHER, NOBODY)
]


def test_somebody_elses_object_is_refused_whoever_is_in_to():
    for route, method, to, owner in SOMEBODY_ELSES:
        with case(method, route.module, route.shape, to, owner):
            _is_refused(route, method, to, owner)


def _is_refused(route: Route, method: str, to: PartyId | None, owner: PartyId) -> None:
    message = _message(method, route.module, _rest(route.shape, owner), to=to)
    outcome = _outcome(message)
    if isinstance(outcome, Lookup):
        assert (route.module, to) == ("sessions", SCSP)
        outcome = _outcome(message, DIRECTORY, Found((), "session"))
    if method == "GET":
        assert (type(outcome), outcome.http_status, outcome.code) == (NotFound, 404, 2000)
    else:
        assert (type(outcome), outcome.http_status, outcome.code) == (InvalidParameters, 200, 2001)
        assert str(owner) in outcome.message


@given(
    st.sampled_from(OWNED).flatmap(lambda r: st.tuples(st.just(r), st.sampled_from(r.methods))),
    st.sampled_from([*EVERYBODY, NOBODY]),
    st.sampled_from([None, HUB, NOBODY, *EVERYBODY]),
    st.sampled_from(EVERYBODY),
    st.sampled_from([None, *EVERYBODY, NOBODY]),
    st.lists(st.sampled_from([*EVERYBODY, NOBODY]), max_size=2, unique=True),
    st.sampled_from([str.lower, str.upper, str.title]),
)
def test_what_passes_is_the_platforms_own_or_a_session_of_its_token_for_an_scsp(
    called, owner, to, sender, named, found, spell
):
    """Whatever the database says, whatever the body names."""
    route, method = called
    token = named and {"country_code": named.country_code, "party_id": named.party_id}
    body = json.dumps({"cdr_token": token}).encode()
    rest = spell(_rest(route.shape, owner))
    message = _message(method, route.module, rest, to=to, body=body, sender=sender)
    outcome = _outcome(message)
    if isinstance(outcome, Lookup):
        outcome = _outcome(message, DIRECTORY, Found(tuple(found), "it"))
    if isinstance(outcome, OcpiError):
        return
    own = message.platform.parties
    assert outcome.sender in own
    if owner in own:
        assert outcome.sender == owner
    else:
        assert route.module == "sessions"
        assert outcome.receiver.identity == SCSP == to
        assert set(found) <= set(own)
        assert found or (method == "PUT" and named in own)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("to", [EMSP, None, HUB])
def test_a_sisters_object_goes_in_its_owners_name_and_is_noted(module, to):
    rest = f"{SISTER.country_code.lower()}/{SISTER.party_id}/1"
    body = b'{"cdr_token":{"country_code":"FR","party_id":"MSP"}}'
    outcome = _outcome(_message("PUT", module, rest, to=to, body=body))
    if module == "sessions" and to == HUB:
        assert isinstance(outcome, HubError)  # Never spread, whosever it is.
        return
    assert outcome.sender == SISTER
    (noted,) = outcome.noted
    assert (noted.rule, noted.example) == ("sister-party", "NL-OWN")
    assert noted.path.endswith(".party_id")


def test_whose_session_it_is_is_looked_up_in_its_owners_name():
    message = _message("PATCH", "sessions", "BE/OWN/1")
    assert _outcome(message) == Lookup(LookupKind.SESSION, SISTER)
    outcome = _outcome(message, DIRECTORY, Found((EMSP,), "session '1'"))
    assert (outcome.sender, outcome.receiver.identity, len(outcome.noted)) == (SISTER, EMSP, 1)


def test_ones_own_object_is_not_noted():
    assert _outcome(_message("PUT", "tariffs", "nl/own/1", to=EMSP)).noted == ()


@pytest.mark.parametrize("status", [ConnectionStatus.SUSPENDED, ConnectionStatus.PLANNED])
def test_a_sister_that_may_not_send_does_not_send_through_another(status):
    changed = replace(DIRECTORY.parties[SISTER], status=status)
    directory = replace(DIRECTORY, parties=DIRECTORY.parties | {SISTER: changed})
    outcome = _outcome(_message("PUT", "tariffs", "BE/OWN/1", to=EMSP), directory)
    assert outcome.http_status == 403


def test_a_closed_pair_of_the_sister_is_closed():
    closed = {(frozenset({SISTER, EMSP}), ""): (False, "no contract")}
    directory = replace(DIRECTORY, agreements=closed)
    assert _outcome(_message("PUT", "tariffs", "BE/OWN/1", to=EMSP), directory).code == 4003
    assert isinstance(_outcome(_message("PUT", "tariffs", "NL/OWN/1", to=EMSP), directory), Forward)


def test_custom_modules_and_those_without_an_owner_are_not_judged():
    endpoints = {("custom", RECEIVER): "https://x"}
    entry = DIRECTORY.parties[EMSP]
    entry = replace(entry, platform=replace(entry.platform, endpoints=endpoints))
    directory = replace(DIRECTORY, parties=DIRECTORY.parties | {EMSP: entry})
    message = _message("PUT", "custom", "DE/OTH/1", to=EMSP, body=b'{"party_id":"OTH"}')
    assert isinstance(_outcome(message, directory), Forward)
    body = b'{"country_code":"DE","party_id":"OTH"}'
    assert isinstance(
        _outcome(_message("POST", "commands", "START_SESSION", to=OTHER, body=body)), Forward
    )


# --- By the body ---------------------------------------------------------------------------------

# All that some parser reads as DE-OTH, or may.
FORGED = [
    b'{"country_code":"DE","party_id":"OTH"}',
    b'{"country_code":"NL","party_id":"OTH"}',
    b'{"party_id":"oth"}',
    b'{"country_code":"DE","party_id":"OWN"}',
    b'{"Country_Code":"DE","PARTY_ID":"OTH"}',
    b'{"country_code":"NL","Country_code":"DE","party_id":"OWN"}',
    b'{"party\\u005fid":"OTH"}',
    b'{"\\u0070arty_id":"OTH","party_id":"OWN"}',
    b'{"party_id":"OTH","party_id":"OWN"}',
    b'{"party_id":"OWN","party_id":"OTH"}',
    b'{"x":{"party_id":"a"},"party_id":"OTH","y":[{"party_id":"b"}],"party_id":"OWN"}',
    b'{"PARTY_id":"OTH","PARTY_id":"OWN"}',
    b'{"party_id":"\\u004fTH"}',
    b'{"party_id":" OTH "}',
    b'{"party_id":123}',
    b'[{"party_id":"OTH"}]',
    b' [{"party_id":"OWN"},{"party_id":"OTH"}]',
]
HARMLESS = [
    b"{}",
    b"[]",
    b"5",
    b'"party_id"',
    b"[[]]",
    b'{"country_code":"nl","party_id":"Own"}',
    b'{"party_id":null,"country_code":null}',
    b'{"party_id":{},"country_code":[]}',
    b'{"party_id":"","country_code":" "}',
    b'{"party_id":"#NA","country_code":"NLD0"}',
    b'{"party_id":"long","country_code":"NL "}',
    b'{"x":{"party_id":"OTH"},"party_id":"OWN"}',
    b'{"name":"Zo\\u00eb \\u0041","party_id":"OWN"}',
    b'[{"party_id":"OWN"}]',
    b'{"cdr_token":{"country_code":"FR","party_id":"MSP"},"country_code":"NL","party_id":"OWN"}',
]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("to", [EMSP, None])
def test_a_body_that_names_somebody_else_is_refused(module, to):
    for body in FORGED:
        with case(body):
            outcome = _outcome(_message("PUT", module, "NL/OWN/1", to=to, body=body))
            assert isinstance(outcome, InvalidParameters)
            assert "in the body" in outcome.message


@pytest.mark.parametrize("module", MODULES)
def test_a_body_that_names_its_owner_or_nobody_passes(module):
    for body in HARMLESS:
        with case(body):
            outcome = _outcome(_message("PUT", module, "NL/OWN/1", to=EMSP, body=body))
            assert isinstance(outcome, Forward)
            assert isinstance(_outcome(_message("POST", "cdrs", "", to=EMSP, body=body)), Forward)


def test_evses_and_connectors_have_no_such_fields():
    for rest in ("NL/OWN/L/E", "NL/OWN/L/E/1"):
        message = _message("PUT", "locations", rest, to=EMSP, body=FORGED[0])
        assert isinstance(_outcome(message), Forward)


@pytest.mark.parametrize("to", [EMSP, None, HUB])
def test_a_cdr_that_names_somebody_else_is_refused(to):
    for body in FORGED:
        with case(body):
            outcome = _outcome(_message("POST", "cdrs", "", to=to, body=body))
            assert isinstance(outcome, InvalidParameters) or b"123" in body
            assert not isinstance(outcome, Forward) or b"123" in body


@pytest.mark.parametrize("body", [b'{"country_code":5}', b'{"party_id":"TOO LONG"}'])
def test_a_cdr_of_nobody_is_its_receivers_to_refuse(body):
    assert isinstance(_outcome(_message("POST", "cdrs", "", to=EMSP, body=body)), Forward)


def test_a_cdr_of_a_sister_is_sent_in_its_name():
    body = b'{"country_code":"be"}'
    outcome = _outcome(_message("POST", "cdrs", "", to=EMSP, body=body))
    assert (outcome.sender, outcome.noted[0].path) == (SISTER, "CDR.party_id")
    assert _outcome(_message("POST", "cdrs", "", to=EMSP, body=b'{"party_id":"OWN"}')).sender == OWN


def test_nesting_that_nobody_follows_is_400_and_never_passes_unread():
    outcomes = set()
    for depth in range(700, 1000):
        body = b'{"party_id":"OTH","party_id":"OWN","x":' + b"[" * depth + b"]" * depth + b"}"
        outcomes.add(type(_outcome(_message("PUT", "tariffs", "NL/OWN/1", to=EMSP, body=body))))
    assert {InvalidParameters, NotJson} == outcomes


# --- An eMSP hands Sessions on to its SCSP (mod_charging_profiles, Smart Charging Topologies) -----


def _hand_on(method: str, *found: PartyId, named: PartyId | None = None, **more: Any) -> Any:
    token = named and {"country_code": named.country_code, "party_id": named.party_id}
    body = json.dumps({"cdr_token": token} if token else {}).encode()
    message = _message(
        method, "sessions", "DE/OTH/S1", **{"sender": EMSP, "to": SCSP, "body": body} | more
    )
    directory = more.get("directory", DIRECTORY)
    assert decide(message, directory) == Lookup(LookupKind.SESSION_EMSP, EMSP)
    return _outcome(message, directory, Found(found, "session 'S1'"))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "GET"])
def test_a_session_of_its_own_token_is_handed_on_under_its_cpos_ids(method):
    outcome = _hand_on(method, EMSP, named=EMSP if method == "PUT" else None)
    assert isinstance(outcome, Forward)
    assert (outcome.sender, outcome.receiver.identity, outcome.noted) == (EMSP, SCSP, ())


def test_of_a_session_that_the_hub_does_not_know_the_put_names_the_token():
    assert isinstance(_hand_on("PUT", named=EMSP), Forward)
    for method, named in (("PUT", OTHER), ("PUT", None), ("PATCH", EMSP), ("PATCH", None)):
        assert isinstance(_hand_on(method, named=named), InvalidParameters)
    assert isinstance(_hand_on("GET"), NotFound)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_what_is_known_goes_before_what_the_body_names(method):
    assert isinstance(_hand_on(method, OTHER, named=EMSP), InvalidParameters)
    assert isinstance(_hand_on(method, EMSP, named=OTHER), InvalidParameters)


@pytest.mark.parametrize("to", [EMSP, OTHER, None, HUB, NOBODY])
def test_a_session_is_handed_on_to_nobody_but_an_scsp_that_is_named(to):
    body = b'{"cdr_token":{"country_code":"FR","party_id":"MSP"}}'
    message = _message("PUT", "sessions", "DE/OTH/S1", sender=EMSP, to=to, body=body)
    assert isinstance(_outcome(message), InvalidParameters)


def test_who_is_no_emsp_hands_nothing_on():
    message = _message(
        "PUT",
        "sessions",
        "DE/OTH/S1",
        to=SCSP,
        body=b'{"cdr_token":{"country_code":"NL","party_id":"OWN"}}',
    )
    assert isinstance(_outcome(message, DIRECTORY, Found((), "session")), InvalidParameters)


def test_the_session_of_a_sisters_token_is_handed_on_in_its_name():
    directory = _directory(Role.EMSP)
    message = _message("PATCH", "sessions", "DE/OTH/S1", to=SCSP, directory=directory)
    outcome = decide(message, directory, Found((SISTER,), "session"))
    assert outcome.sender == SISTER
    assert [one.rule for one in outcome.noted] == ["sister-party"]


# --- Aggregators and national access points -------------------------------------------------------

NAP = _directory(Role.NAP, is_aggregator=True)


def _tell(method: str, module: str, to: PartyId | None, *found: Found) -> Any:
    message = _message(method, module, "DE/OTH/1", to=to, directory=NAP)
    return _outcome(message, NAP, *found)


@pytest.mark.parametrize(("method", "to"), [*product(["PUT"], [None, HUB]), ("GET", None)])
@pytest.mark.parametrize("module", ["locations", "tariffs"])
def test_an_aggregator_tells_the_hub_of_others_and_reads_it_back(module, method, to):
    assert _tell(method, module, to) == Hub(OWN, None)


@pytest.mark.parametrize("module", ["locations", "tariffs"])
def test_an_aggregator_tells_one_party_what_the_owner_does_not_tell_itself(module):
    assert _tell("PUT", module, EMSP) == Lookup(LookupKind.OWN_TELLER, OWN)
    assert isinstance(_tell("PUT", module, EMSP, Found((), "it")), Forward)
    outcome = _tell("PUT", module, EMSP, Found((OTHER,), "it"))
    assert isinstance(outcome, InvalidParameters)
    assert "DE-OTH tells it itself" in outcome.message
    assert isinstance(_tell("GET", module, EMSP), NotFound)


def test_an_aggregator_keeps_to_the_agreements_of_the_owner():
    closed = {(frozenset({OTHER, EMSP}), ""): (False, "no contract")}
    message = _message("PUT", "tariffs", "DE/OTH/1", to=EMSP, directory=NAP)
    outcome = _outcome(message, replace(NAP, agreements=closed), Found((), "it"))
    assert outcome.code == 4003
    unknown = _message("PUT", "tariffs", "XX/XXX/1", to=EMSP, directory=NAP)
    assert isinstance(_outcome(unknown, NAP, Found((), "it")), Forward)


@pytest.mark.parametrize("module", ["tokens", "sessions"])
@pytest.mark.parametrize("to", [None, EMSP])
def test_an_aggregator_has_neither_tokens_nor_sessions_of_others(module, to):
    assert isinstance(_tell("PUT", module, to), InvalidParameters)


def test_asking_all_issuers_is_nobodys_object():
    message = request_of(
        DIRECTORY.platforms[1],
        Address(*OWN),
        None,
        "POST",
        match("tokens", InterfaceRole.SENDER, "DE/authorize", "POST"),
        b'{"party_id":"OTH"}',
    )
    assert isinstance(_outcome(message, DIRECTORY, Found((), "a Token")), Ask)
