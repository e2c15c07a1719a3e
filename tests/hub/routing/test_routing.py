"""The routing core, pure: who gets this message (transport_and_format, Message Routing)."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.errors import (
    ClientError,
    ConnectionProblem,
    HubError,
    InvalidParameters,
    OcpiError,
    UnknownReceiver,
    UnknownToken,
)
from hub.ocpi.modules import INTERFACES, ROUTES, match
from hub.ocpi.party import PartyId
from hub.routing import decisions
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
from tests.hub.routing.requests import request_of

pytestmark = pytest.mark.measured
SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
HUB = PartyId("NL", "HUB")
CPO, SECOND_CPO = PartyId("NL", "CPO"), PartyId("BE", "CPO")
EMSP, OTHER_EMSP = PartyId("DE", "MSP"), PartyId("FR", "MSP")
ADDRESSES = {
    "hub": HUB,
    "cpo": CPO,
    "second": SECOND_CPO,
    "emsp": EMSP,
    "other": OTHER_EMSP,
    "nobody": PartyId("XX", "XXX"),
}


def _platform(number: int, *parties: PartyId, is_registered: bool = True) -> PlatformEntry:
    endpoints = {
        (module, role): f"https://p{number}.example/{role.lower()}/{module}"
        for module, role in (*INTERFACES, ("custom", SENDER), ("custom", RECEIVER))
    }
    return PlatformEntry(number, f"P{number}", is_registered, "Token x", "", endpoints, parties)


PLATFORMS = {1: _platform(1, CPO, SECOND_CPO), 2: _platform(2, EMSP), 3: _platform(3, OTHER_EMSP)}


def _entry(party: PartyId, platform: PlatformEntry) -> PartyEntry:
    role = Role.CPO if party.party_id == "CPO" else Role.EMSP
    status = ConnectionStatus.CONNECTED
    return PartyEntry(party, *party, frozenset({role}), status, True, platform)


PARTIES = {p: _entry(p, platform) for platform in PLATFORMS.values() for p in platform.parties}
DIRECTORY = Directory(1, HUB, True, PLATFORMS, PARTIES, {}, {})


def _with(party: PartyId, **changes: Any) -> Directory:
    changed = replace(PARTIES[party], **changes)
    return Directory(1, HUB, True, PLATFORMS, PARTIES | {party: changed}, {}, {})


def _message(
    method: str,
    module: str,
    role: InterfaceRole,
    rest: str = "",
    *,
    sender: str | Address | None = "emsp",
    to: str | Address | None = None,
    body: bytes = b"{}",
    platform: PlatformEntry | None = None,
) -> OcpiRequest:
    def address(who: str | Address | None) -> Address | None:
        return Address(*ADDRESSES[who]) if isinstance(who, str) else who

    if platform is None:
        party = ADDRESSES[sender] if isinstance(sender, str) else EMSP
        platform = PARTIES[party].platform if party in PARTIES else PLATFORMS[2]
    place = match(module, role, rest, method)
    return request_of(platform, address(sender), address(to), method, place, body)


def _cdr_token(party: PartyId) -> bytes:
    token = {"country_code": party.country_code.lower(), "party_id": party.party_id, "uid": "1"}
    return msgspec.json.encode({"id": "1", "cdr_token": token, "more": 1.5})


# --- TO names a party -----------------------------------------------------------------------------

DIRECT = [
    pytest.param(route, method, id=f"{method} {route.module} {route.role} {route.shape}")
    for route in ROUTES
    for method in route.methods
    if route.module != "chargingprofiles"
]


def _rest(shape: str) -> str:
    for name, value in (("{country_code}", "NL"), ("{party_id}", "CPO")):
        shape = shape.replace(name, value)
    return shape.replace("{", "").replace("}", "")


@pytest.mark.parametrize(("route", "method"), DIRECT)
def test_a_named_party_gets_every_message_at_its_own_endpoint(route, method):
    rest = _rest(route.shape)
    message = _message(method, route.module, route.role, rest, sender="cpo", to="emsp")
    decision = decide(message, DIRECTORY)
    wanted = PLATFORMS[2].endpoints[route.module, route.role]
    assert decision == Forward(CPO, PARTIES[EMSP], wanted)


@pytest.mark.parametrize("role", InterfaceRole)
def test_a_custom_module_goes_to_whom_is_named_and_nowhere_else(role):
    decision = decide(_message("PATCH", "custom", role, "a/b", to="cpo"), DIRECTORY)
    assert isinstance(decision, Forward)
    assert decision.endpoint_url == f"https://p1.example/{role.lower()}/custom"
    with pytest.raises(UnknownReceiver):
        decide(_message("PATCH", "custom", role, "a/b"), DIRECTORY)
    with pytest.raises(HubError, match="OCPI-to"):
        decide(_message("PATCH", "custom", SENDER, "a/b", to="hub"), DIRECTORY)


def test_ids_are_compared_without_case():
    message = _message(
        "GET", "tokens", SENDER, sender=Address("de", "mSp"), to=Address("nl", "cpo")
    )
    decision = decide(message, DIRECTORY)
    assert isinstance(decision, Forward)
    assert (decision.sender, decision.receiver.identity) == (EMSP, CPO)


@pytest.mark.parametrize(
    "address", [("NL", ""), ("", "CPO"), ("NLD", "CPO"), ("NL", "A B"), ("é", "x")]
)
def test_half_an_address_is_2001(address):
    with pytest.raises(InvalidParameters, match="OCPI-to"):
        decide(_message("GET", "tokens", SENDER, to=Address(*address)), DIRECTORY)
    with pytest.raises(InvalidParameters, match="OCPI-from"):
        decide(_message("GET", "tokens", SENDER, sender=Address(*address), to="cpo"), DIRECTORY)


def _refusal(message: OcpiRequest, directory: Directory = DIRECTORY) -> OcpiError:
    with pytest.raises(OcpiError) as caught:
        decide(message, directory)
    return caught.value


def test_an_unknown_receiver_is_4001():
    error = _refusal(_message("GET", "tokens", SENDER, to="nobody"))
    assert (type(error), error.code, error.http_status) == (UnknownReceiver, 4001, 200)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": ConnectionStatus.SUSPENDED},
        {"status": ConnectionStatus.PLANNED},
        {"platform": _platform(1, CPO, is_registered=False)},
    ],
    ids=str,
)
def test_a_receiver_that_is_not_connected_is_4003(changes):
    error = _refusal(_message("GET", "tokens", SENDER, to="cpo"), _with(CPO, **changes))
    assert (type(error), error.code, error.http_status) == (ConnectionProblem, 4003, 200)


def test_an_offline_receiver_is_tried():
    directory = _with(CPO, status=ConnectionStatus.OFFLINE)
    assert isinstance(decide(_message("GET", "tokens", SENDER, to="cpo"), directory), Forward)


def test_a_receiver_without_the_interface_is_4000():
    bare = PlatformEntry(1, "P", True, "", "", {("tokens", RECEIVER): "https://x"}, (CPO,))
    error = _refusal(_message("GET", "tokens", SENDER, to="cpo"), _with(CPO, platform=bare))
    assert (type(error), error.code) == (HubError, 4000)


@pytest.mark.parametrize("module", ["tokens", ""])
def test_a_closed_pair_is_4003_with_the_note(module):
    agreements = {(frozenset({CPO, EMSP}), module): (False, "no contract")}
    directory = Directory(1, HUB, True, PLATFORMS, PARTIES, {}, agreements)
    error = _refusal(_message("GET", "tokens", SENDER, to="cpo"), directory)
    assert error.code == 4003
    assert "no contract" in error.message
    assert isinstance(decide(_message("GET", "tokens", SENDER, to="other"), directory), Forward)


def test_a_contract_hub_is_closed_unless_opened():
    opened = {(frozenset({CPO, EMSP}), "tokens"): (True, "")}
    directory = Directory(1, HUB, False, PLATFORMS, PARTIES, {}, opened)
    assert isinstance(decide(_message("GET", "tokens", SENDER, to="cpo"), directory), Forward)
    for message in (
        _message("GET", "tariffs", SENDER, to="cpo"),
        _message("GET", "tokens", SENDER, to="other"),
    ):
        assert _refusal(message, directory).code == 4003


# --- FROM -----------------------------------------------------------------------------------------


def test_from_of_somebody_else_is_2001():
    for forged in ("cpo", "nobody", "hub"):
        message = _message("GET", "tokens", SENDER, sender=forged, to="cpo", platform=PLATFORMS[2])
        assert _refusal(message).code == 2001


def test_a_missing_from_is_the_only_party_of_the_platform():
    message = _message("GET", "locations", SENDER, sender=None, to="cpo")
    decision = decide(message, DIRECTORY)
    assert isinstance(decision, Forward)
    assert decision.sender == EMSP


@pytest.mark.parametrize("owner", [CPO, SECOND_CPO])
def test_a_missing_from_of_several_parties_is_the_owner_in_the_url(owner):
    rest = f"{owner.country_code.lower()}/{owner.party_id.lower()}/1"
    message = _message(
        "PUT", "tariffs", RECEIVER, rest, sender=None, to="emsp", platform=PLATFORMS[1]
    )
    decision = decide(message, DIRECTORY)
    assert isinstance(decision, Forward)
    assert decision.sender == owner


@pytest.mark.parametrize("rest", ["FR/MSP/1", "X%20/Y/1", "%20/%20/1"])
def test_a_missing_from_that_the_url_does_not_tell_either_is_2001(rest):
    message = _message(
        "PUT", "tariffs", RECEIVER, rest, sender=None, to="emsp", platform=PLATFORMS[1]
    )
    assert _refusal(message).code == 2001
    listing = _message("GET", "tokens", SENDER, sender=None, to="emsp", platform=PLATFORMS[1])
    assert _refusal(listing).code == 2001


@pytest.mark.parametrize(
    "changes",
    [
        {"status": ConnectionStatus.SUSPENDED},
        {"status": ConnectionStatus.PLANNED},
    ],
    ids=str,
)
def test_a_sender_that_is_suspended_or_planned_is_refused_with_403(changes):
    error = _refusal(_message("GET", "tokens", SENDER, to="cpo"), _with(EMSP, **changes))
    assert isinstance(error, ClientError)
    assert (error.code, error.http_status) == (2000, 403)


def test_a_party_that_is_only_claimed_sends_nothing():
    """Its platform names it in a role that the operator has not agreed to."""
    claimed = replace(PLATFORMS[2], claims=(OTHER_EMSP,))
    error = _refusal(_message("GET", "locations", SENDER, sender="other", platform=claimed))
    assert (error.code, error.http_status) == (2000, 403)
    assert error.message.startswith("FR-MSP is PLANNED")


def test_a_platform_without_any_agreed_party_sends_nothing():
    nobody = replace(PLATFORMS[2], parties=(), claims=(EMSP,))
    error = _refusal(_message("GET", "locations", SENDER, sender=None, platform=nobody))
    assert (error.code, error.http_status) == (2000, 403)
    assert "No party of your platform is agreed to" in error.message


# --- TO is the hub --------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["locations", "tariffs", "tokens"])
def test_a_push_to_the_hub_is_the_hubs_to_spread(module):
    message = _message("PUT", module, RECEIVER, "NL/CPO/1", sender="cpo", to="hub")
    assert decide(message, DIRECTORY) == Hub(CPO, None)


@pytest.mark.parametrize("module", ["locations", "tariffs", "tokens", "sessions", "cdrs"])
def test_get_all_is_answered_by_the_hub(module):
    assert decide(_message("GET", module, SENDER, to="hub"), DIRECTORY) == Hub(EMSP, None)


@pytest.mark.parametrize("module", ["locations", "tariffs", "tokens", "sessions", "cdrs"])
def test_a_list_without_to_is_get_all_and_noted(module):
    decision = decide(_message("GET", module, SENDER), DIRECTORY)
    assert isinstance(decision, Hub)
    assert (decision.sender, decision.receiver) == (EMSP, None)
    assert [one.rule for one in decision.noted] == ["list-without-to"]


def test_what_the_hub_itself_does_not_take_is_4000_with_what_to_do():
    message = _message("POST", "commands", RECEIVER, "STOP_SESSION", to="hub")
    error = _refusal(message)
    assert error.code == 4000
    assert "name the receiver in OCPI-to" in error.message


@pytest.mark.parametrize("module", ["locations", "tariffs", "tokens", "sessions"])
def test_a_get_cannot_be_broadcast(module):
    error = _refusal(_message("GET", module, RECEIVER, "NL/CPO/1", sender="cpo", to="hub"))
    assert error.code == 4000
    assert "GET" in error.message


@pytest.mark.parametrize("body", [b"{}", _cdr_token(EMSP), b"[]", b'{"cdr_token":{"party_id":1}}'])
@pytest.mark.parametrize(
    ("method", "module", "rest"),
    [("PUT", "sessions", "NL/CPO/1"), ("PATCH", "sessions", "NL/CPO/1"), ("POST", "cdrs", "")],
)
def test_sessions_and_cdrs_are_never_spread(method, module, rest, body):
    message = _message(method, module, RECEIVER, rest, sender="cpo", to="hub", body=body)
    error = _refusal(message)
    assert (type(error), error.code) == (HubError, 4000)


# --- No TO: Open Routing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "module", "rest"),
    [("PUT", "sessions", "NL/CPO/1"), ("POST", "cdrs", ""), ("PATCH", "sessions", "NL/CPO/1")],
)
def test_sessions_and_cdrs_without_to_go_to_the_emsp_of_the_token(method, module, rest):
    message = _message(method, module, RECEIVER, rest, sender="cpo", body=_cdr_token(EMSP))
    decision = decide(message, DIRECTORY)
    assert isinstance(decision, Forward)
    assert decision.receiver.identity == EMSP
    other = _message(
        method, module, RECEIVER, rest, sender="cpo", body=_cdr_token(PartyId("XX", "XXX"))
    )
    assert _refusal(other).code == 4001


def test_a_patch_without_a_token_is_looked_up_among_the_senders_sessions():
    message = _message("PATCH", "sessions", RECEIVER, "NL/CPO/S1", sender="cpo")
    assert decide(message, DIRECTORY) == Lookup(LookupKind.SESSION, CPO)
    decision = decide(message, DIRECTORY, Found((EMSP,), "session 'S1'"))
    assert isinstance(decision, Forward)
    assert decision.receiver.identity == EMSP


def test_preferences_without_to_go_to_the_one_cpo_of_the_session():
    message = _message("PUT", "sessions", SENDER, "S1/charging_preferences")
    assert decide(message, DIRECTORY) == Lookup(LookupKind.SESSION, EMSP)
    decision = decide(message, DIRECTORY, Found((CPO,), "session 'S1'"))
    assert isinstance(decision, Forward)
    assert decision.receiver.identity == CPO


@pytest.mark.parametrize(
    ("method", "module", "role", "rest", "kind"),
    [
        ("GET", "locations", SENDER, "LOC1", LookupKind.LOCATION),
        ("POST", "commands", RECEIVER, "START_SESSION", LookupKind.COMMAND),
    ],
)
def test_an_object_without_to_is_looked_up_and_goes_to_its_one_cpo(
    method, module, role, rest, kind
):
    message = _message(method, module, role, rest)
    assert decide(message, DIRECTORY, sender=EMSP) == Lookup(kind, EMSP)
    decision = decide(message, DIRECTORY, Found((CPO,), "it"))
    assert isinstance(decision, Forward)
    assert decision.receiver.identity == CPO


@pytest.mark.parametrize(
    "message",
    [
        _message("PUT", "sessions", SENDER, "S1/charging_preferences"),
        _message("PATCH", "sessions", RECEIVER, "NL/CPO/S1", sender="cpo"),
        _message("PUT", "chargingprofiles", SENDER, "S1", sender="cpo"),
    ],
    ids=["preferences", "patch", "profile"],
)
def test_nobody_or_more_than_one_is_4001_and_never_guessed(message):
    for found in (
        Found((), "session 'S1'"),
        Found((EMSP, OTHER_EMSP), "session 'S1'"),
        Found((CPO, SECOND_CPO), "session 'S1'"),
    ):
        with pytest.raises(UnknownReceiver) as caught:
            decide(message, DIRECTORY, found)
        for party in found.parties:
            assert str(party) in caught.value.message


@pytest.mark.parametrize(
    ("method", "module", "role", "rest"),
    [
        ("POST", "commands", SENDER, "START_SESSION/1"),
        ("GET", "custom", SENDER, ""),
    ],
)
def test_what_does_not_say_whom_it_is_for_is_4001(method, module, role, rest):
    assert _refusal(_message(method, module, role, rest)).code == 4001


@pytest.mark.parametrize("module", ["sessions", "cdrs"])
def test_a_push_whose_token_cannot_be_read_is_4001(module):
    method, rest = ("PUT", "NL/CPO/S1") if module == "sessions" else ("POST", "")
    for body in (b"[]", b'{"cdr_token":{"country_code":"NLD","party_id":"X"}}', b'"x"'):
        message = _message(method, module, RECEIVER, rest, sender="cpo", body=body)
        assert _refusal_or_lookup(message) == 4001


def _refusal_or_lookup(message: OcpiRequest) -> int:
    try:
        decision = decide(message, DIRECTORY)
    except OcpiError as error:
        return error.code
    # A session may be known from before: with nothing found it is refused as well.
    assert isinstance(decision, Lookup)
    with pytest.raises(OcpiError) as caught:
        decide(message, DIRECTORY, Found((), "session 'S1'"))
    return caught.value.code


# --- Charging profiles ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_profile_command_is_carried_by_the_hub_for_the_party_that_to_names(method):
    def receiver(to: str | None):
        return decide(_message(method, "chargingprofiles", RECEIVER, "S1", to=to), DIRECTORY)

    assert receiver("cpo") == Hub(EMSP, CPO)
    assert receiver(None) == receiver("hub") == Hub(EMSP, None)
    assert _refusal(_message(method, "chargingprofiles", RECEIVER, "S1", to="nobody")).code == 4001


@pytest.mark.parametrize("to", ["emsp", "hub", None])
def test_an_active_profile_goes_to_the_fsp_of_now_whomever_the_cpo_addresses(to):
    message = _message("PUT", "chargingprofiles", SENDER, "S1", sender="cpo", to=to)
    assert decide(message, DIRECTORY) == Lookup(LookupKind.SESSION_FSP, CPO)
    decision = decide(message, DIRECTORY, Found((OTHER_EMSP,), "session 'S1'"))
    assert isinstance(decision, Forward)
    assert decision.receiver.identity == OTHER_EMSP


def test_an_active_profile_of_a_session_without_fsp_goes_to_whom_is_named_else_4001():
    def sent(to: str | None) -> OcpiRequest:
        return _message("PUT", "chargingprofiles", SENDER, "S1", sender="cpo", to=to)

    decision = decide(sent("emsp"), DIRECTORY, Found((), "session 'S1'"))
    assert isinstance(decision, Forward)
    assert decision.receiver.identity == EMSP
    for to in ("hub", None):
        with pytest.raises(UnknownReceiver):
            decide(sent(to), DIRECTORY, Found((), "session 'S1'"))


# --- Whose Token is this? -------------------------------------------------------------------------

NOBODY = Found((), "a Token of this uid and type")


def test_an_unknown_token_is_asked_of_all_emsps_by_a_cpo_alone():
    message = _message("POST", "tokens", SENDER, "uid/authorize", sender="cpo")
    assert decide(message, DIRECTORY) == Lookup(LookupKind.TOKEN, CPO)
    asked = decide(message, DIRECTORY, NOBODY)
    assert isinstance(asked, Ask)
    assert [forward.receiver.identity for forward in asked.forwards] == [EMSP, OTHER_EMSP]
    with pytest.raises(UnknownReceiver, match="not a CPO"):
        decide(_message("POST", "tokens", SENDER, "uid/authorize"), DIRECTORY, NOBODY)


def test_a_token_is_unknown_when_there_is_no_emsp_to_ask():
    lonely = replace(DIRECTORY, parties={CPO: PARTIES[CPO]})
    message = _message("POST", "tokens", SENDER, "uid/authorize", sender="cpo")
    with pytest.raises(UnknownToken) as caught:
        decide(message, lonely, NOBODY)
    assert (caught.value.http_status, caught.value.code) == (404, 2004)


# --- What is remembered of earlier messages -------------------------------------------------------


def test_what_is_remembered_of_earlier_messages_is_bounded():
    """Custom modules have any names: a platform must not fill the memory with them."""
    directory = replace(DIRECTORY)
    known = directory.memo.setdefault(Forward, {})
    message = _message("GET", "locations", SENDER, to="cpo")
    first = decide(message, directory)
    assert len(known) == 1
    known |= dict.fromkeys(range(decisions._MOST_KNOWN), first)
    assert decide(message, directory) is first
    other = decide(_message("GET", "tariffs", SENDER, to="cpo"), directory)
    assert list(known.values()) == [other]
