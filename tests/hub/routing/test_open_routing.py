"""The table of Open Routing: what each message without TO does (transport_and_format)."""

from typing import NamedTuple

import pytest

from hub.ocpi.datatypes import Role
from hub.ocpi.modules import ROUTES
from hub.ocpi.party import PartyId
from tests.hub.strangers import CUSTOM, Stranger, ask
from tests.minimal import as_json, cdr, location, owned, session, token

HUB = PartyId("NL", "HUB")
LATER = {"last_updated": "2026-02-01T00:00:00Z"}
OWNED = "{country_code}/{party_id}"
START = {"location_id": "OPEN", "response_url": "http://127.0.0.1:9/x"}


class Row(NamedTuple):
    """One message without TO: who sends it, where it ends, and what the answer says."""

    module: str
    role: str
    shape: str
    method: str
    sender: str
    # "cpo" or "emsp": forwarded to that party; "hub": answered by the hub itself.
    ends_at: str
    said: tuple[int, int] = (200, 1000)


TABLE = (
    Row("locations", "sender", "", "GET", "emsp", "hub"),
    Row("locations", "sender", "{location_id}", "GET", "emsp", "cpo"),
    Row("locations", "sender", "{location_id}/{evse_uid}", "GET", "emsp", "cpo"),
    Row("locations", "sender", "{location_id}/{evse_uid}/{connector_id}", "GET", "emsp", "cpo"),
    Row("locations", "receiver", OWNED + "/{location_id}", "GET", "cpo", "hub"),
    Row("locations", "receiver", OWNED + "/{location_id}", "PUT", "cpo", "hub"),
    Row("locations", "receiver", OWNED + "/{location_id}", "PATCH", "cpo", "hub"),
    Row("tariffs", "sender", "", "GET", "emsp", "hub"),
    Row("tariffs", "receiver", OWNED + "/{tariff_id}", "PUT", "cpo", "hub", (201, 1000)),
    Row("tariffs", "receiver", OWNED + "/{tariff_id}", "GET", "cpo", "hub"),
    Row("tariffs", "receiver", OWNED + "/{tariff_id}", "DELETE", "cpo", "hub"),
    Row("tokens", "sender", "", "GET", "cpo", "hub"),
    Row("tokens", "sender", "{token_uid}/authorize", "POST", "cpo", "emsp"),
    Row("tokens", "receiver", OWNED + "/{token_uid}", "GET", "emsp", "hub"),
    Row("tokens", "receiver", OWNED + "/{token_uid}", "PUT", "emsp", "hub"),
    Row("tokens", "receiver", OWNED + "/{token_uid}", "PATCH", "emsp", "hub"),
    Row("sessions", "sender", "", "GET", "emsp", "hub"),
    Row("sessions", "sender", "{session_id}/charging_preferences", "PUT", "emsp", "cpo"),
    Row("sessions", "receiver", OWNED + "/{session_id}", "GET", "cpo", "emsp"),
    Row("sessions", "receiver", OWNED + "/{session_id}", "PUT", "cpo", "emsp"),
    Row("sessions", "receiver", OWNED + "/{session_id}", "PATCH", "cpo", "emsp"),
    Row("cdrs", "sender", "", "GET", "emsp", "hub"),
    Row("cdrs", "receiver", "", "POST", "cpo", "emsp"),
    Row("commands", "receiver", "{command}", "POST", "emsp", "cpo"),
    Row("commands", "sender", "{command}/{uid}", "POST", "cpo", "hub", (200, 4001)),
    Row(CUSTOM, "sender", "a/b", "GET", "emsp", "hub", (200, 4001)),
    Row(CUSTOM, "receiver", "a/b", "PUT", "emsp", "hub", (200, 4001)),
    Row(CUSTOM, "receiver", "a/b", "PATCH", "cpo", "hub", (200, 4001)),
    Row(CUSTOM, "receiver", "a/b", "POST", "cpo", "hub", (200, 4001)),
    Row(CUSTOM, "sender", "a/b", "DELETE", "cpo", "hub", (200, 4001)),
)
# The parts of a Location go as the whole does; profiles have their own tests.
ELSEWHERE = {
    ("locations", "receiver", OWNED + "/{location_id}/{evse_uid}"),
    ("locations", "receiver", OWNED + "/{location_id}/{evse_uid}/{connector_id}"),
}
IDS = {
    "{location_id}": "OPEN",
    "{evse_uid}": "3256",
    "{connector_id}": "1",
    "{tariff_id}": "OPEN",
    "{token_uid}": "OPEN",
    "{session_id}": "OPEN",
    "{command}": "UNLOCK_CONNECTOR",
    "{uid}": "1",
}


def test_the_table_is_whole():
    wanted = {
        (route.module, route.role.lower(), route.shape, method)
        for route in ROUTES
        for method in route.methods
        if route.module != "chargingprofiles"
    }
    here = {row[:4] for row in TABLE if row.module != CUSTOM}
    assert {one for one in wanted if one[:3] not in ELSEWHERE} == here


@pytest.fixture(scope="module")
def parties(hub):
    """A CPO and an eMSP, whose Location, Token and Session the hub knows."""
    found = {"cpo": hub.join(Stranger(Role.CPO)), "emsp": hub.join(Stranger(Role.EMSP))}
    for row in (
        Row("locations", "receiver", OWNED + "/{location_id}", "PUT", "cpo", "hub"),
        Row("tokens", "receiver", OWNED + "/{token_uid}", "PUT", "emsp", "hub"),
        Row("sessions", "receiver", OWNED + "/{session_id}", "PUT", "cpo", "emsp"),
    ):
        assert send(hub, found, row).code == 1000
    return found


def send(hub, parties, row: Row):
    path = row.shape.replace(OWNED, owned(parties[row.sender].simulator.party, "").rstrip("/"))
    for name, value in IDS.items():
        path = path.replace(name, value)
    body = None if row.method in {"GET", "DELETE"} else as_json(body_of(parties, row))
    target = f"{row.role}/{row.module}/{path}".rstrip("/")
    return ask(hub, parties[row.sender], row.method, target, body=body)


def body_of(parties, row: Row) -> dict:
    cpo, emsp = (parties[name].simulator.party for name in ("cpo", "emsp"))
    if row.method == "PATCH":
        return LATER
    if row.module == "commands" and row.role == "receiver":
        return START | {"evse_uid": "3256", "connector_id": "1"}
    whole = {
        "locations": location(cpo, "OPEN"),
        "tokens": token(emsp, "OPEN") if row.role == "receiver" else {"location_id": "OPEN"},
        "sessions": session(cpo, emsp, "OPEN")
        if row.role == "receiver"
        else {"profile_type": "FAST"},
        "cdrs": cdr(cpo, emsp, "OPEN"),
        "tariffs": {
            "country_code": cpo.country_code,
            "party_id": cpo.party_id,
            "id": "OPEN",
            "currency": "EUR",
            "elements": [{"price_components": [{"type": "FLAT", "price": 1, "step_size": 1}]}],
            "last_updated": "2026-01-01T00:00:00Z",
        },
    }
    return whole.get(row.module, {})


@pytest.mark.parametrize("row", TABLE, ids=lambda r: f"{r.method} {r.role} {r.module} {r.shape}")
def test_without_to_each_message_goes_to_whom_its_content_names_or_is_refused(hub, parties, row):
    for running in parties.values():
        running.simulator.got.clear()
    answer = send(hub, parties, row)
    assert answer.said == row.said
    named = parties[row.ends_at].simulator.party if row.ends_at != "hub" else HUB
    back = answer.headers["ocpi-from-country-code"], answer.headers["ocpi-from-party-id"]
    assert back == named
    if row.ends_at == "hub":
        assert not [
            message
            for running in parties.values()
            for message in running.simulator.got
            if message.from_party != HUB
        ]
        return
    receiver = parties[row.ends_at].simulator
    (message,) = [one for one in receiver.got if one.from_party != HUB]
    assert (message.method, message.module) == (row.method, row.module)
    assert message.from_party == parties[row.sender].simulator.party
    assert message.to_party == receiver.party


NOBODYS: tuple[tuple[str, str, str, dict | None], ...] = (
    ("emsp", "GET", "sender/locations/NONE", None),
    ("emsp", "PUT", "sender/sessions/NONE/charging_preferences", {"profile_type": "FAST"}),
    ("cpo", "GET", "receiver/sessions/{owner}/NONE", None),
    ("cpo", "PATCH", "receiver/sessions/{owner}/NONE", LATER),
    ("cpo", "PUT", "receiver/sessions/{owner}/NONE", {}),
    ("cpo", "POST", "receiver/cdrs", {}),
    ("emsp", "POST", "receiver/commands/STOP_SESSION", {"session_id": "N", "response_url": "x"}),
)


@pytest.mark.parametrize(("sender", "method", "path", "body"), NOBODYS)
def test_what_names_nobody_is_4001_that_says_so(hub, parties, sender, method, path, body):
    running = parties[sender]
    path = path.replace("{owner}", owned(running.simulator.party, "").rstrip("/"))
    sent = None if body is None else as_json(body)
    answer = ask(hub, running, method, path, body=sent)
    assert answer.said == (200, 4001)
    assert "OCPI-to" in answer.envelope["status_message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
def test_somebody_elses_session_goes_nowhere_without_to(hub, parties, method):
    owner, other = parties["cpo"].simulator.party, hub.join(Stranger(Role.CPO))
    body = as_json(session(owner, parties["emsp"].simulator.party, "OPEN"))
    sent = None if method == "GET" else body
    path = f"receiver/sessions/{owned(owner, 'OPEN')}"
    parties["emsp"].simulator.got.clear()
    wanted = (404, 2000) if method == "GET" else (200, 2001)
    assert ask(hub, other, method, path, body=sent).said == wanted
    assert not parties["emsp"].simulator.got
