"""Whatever its receiver accepts is never missing from what the hub does with it.

The examples of the specification, each value changed in every way that strangers spell it.
"""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from cdrs.models import Cdr
from charging_profiles.models import ProfileCommand
from commands.models import Reservation
from flex.models import FlexAgreement, PreferenceCopy
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from party.messages import Reply
from sessions.models import Session
from tests import mutations
from tests.flex.agreements import agree
from tests.hub.strangers import Stranger, ask, raw
from tests.minimal import as_json, token
from tests.running_hub import RunningHub
from tests.scripted import Actor, Cast, code, url_given

HUB = PartyId("NL", "HUB")
EXAMPLES = Path(__file__).parents[1] / "data" / "ocpi"
MORE = 25


@pytest.fixture(scope="module")
def cast(hub: RunningHub) -> Cast:
    """Parties that accept everything."""
    return Cast(hub)


@pytest.fixture
def fsp(cast) -> Any:
    """Who is to hear of all sessions of the CPO."""
    agree(cast.scsp, cpo=cast.cpo)
    yield cast.scsp
    FlexAgreement.objects.all().delete()


def example(name: str) -> dict[str, Any]:
    found = json.loads((EXAMPLES / f"{name}.json").read_text())
    assert isinstance(found, dict)
    return found


def spelled(
    document: dict[str, Any],
    *identity: str,
    seed: int = 1,
    known: Collection[tuple[str, ...]] = (),
) -> list[tuple[str, dict[str, Any]]]:
    """Each change with its name; of what names the object only what contradicts nothing.

    Changes of what names it stand alone; the others come with some elsewhere. Those of a kind that
    is `known` are left out.
    """
    harmless = {"null", "absent", "empty", "an object", "a list", "lower case", "blanks"}
    kinds = {
        mutations.kind_of(one): one
        for one in mutations.mutations(document)
        if one[1][0] not in identity or one[0].partition(" ")[2] in harmless
    }
    found = [one for kind, one in kinds.items() if kind not in known]
    alone = [one for one in found if one[1][0] in identity]
    within = mutations.together(document, [one for one in found if one[1][0] not in identity])
    several = mutations.several(document, MORE, seed=seed, spare=lambda path: path[0] in identity)
    return [(name, changed) for name, _, changed in [*alone, *within]] + [
        (f"several {number}", one) for number, one in enumerate(several)
    ]


def listed(viewer: Actor, module: str) -> set[str]:
    """Every object of a GET All, as a text that can be compared."""
    found: list[dict[str, Any]] = []
    url = f"sender/{module}?limit=100"
    while url:
        response = viewer.send("GET", url, to=HUB)
        assert code(response) == 1000
        found += response.json()["data"]
        url = response.headers.get("Link", "").partition(">")[0].removeprefix("<")
    return {canonical(one) for one in found}


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def of(cast: Cast, document: dict[str, Any]) -> dict[str, Any]:
    """The example as one of the CPO's, of a driver of the eMSP's."""
    return (
        document
        | cast.cpo.party._asdict()
        | {"cdr_token": document["cdr_token"] | cast.emsp.party._asdict()}
    )


SESSIONS = ("session_example_1_simple_start", "session_example_2_short_finished")


@pytest.mark.parametrize("name", SESSIONS)
def test_sessions_are_kept_listed_relayed_and_found(cast, fsp, name):
    whole = of(cast, example(name))
    first = mutations.mutations(example(SESSIONS[0])) if name != SESSIONS[0] else ()
    known = {mutations.kind_of(one) for one in first}
    # One that has ended has no use for a flexibility provider.
    whole["status"] = "ACTIVE"
    sent = []
    identity = ("country_code", "party_id", "id")
    for number, (what, document) in enumerate(
        spelled(whole, *identity, seed=len(name), known=known)
    ):
        session_id = f"{name[16]}-{number}"
        named(document, whole["id"], session_id)
        body = f"\n{json.dumps(document)} ".encode()
        path = cast.cpo.session_path(session_id)
        assert code(cast.cpo.send("PUT", path, body, to=cast.emsp)) == 1000, what
        session = kept(cast, session_id, what)
        assert bytes(session.document) == body, what
        sent.append((what, session_id, body))
    seen = listed(cast.cpo, "sessions")
    for what, session_id, body in sent:
        assert canonical(json.loads(body)) in seen, what
        patch = {"kwh": 1, "last_updated": "2099-01-01T00:00:00Z"}
        response = cast.cpo.send("PATCH", cast.cpo.session_path(session_id), patch, to=cast.emsp)
        assert code(response) == 1000, what
        assert kept(cast, session_id, what).kwh == 1, what
    for what, session_id, _ in sent:
        session = kept(cast, session_id, what)
        if not session.is_over:
            fsp.running.wait_for(
                lambda one=session: any(
                    given.body == bytes(one.document) for given in fsp.got(one.session_id)
                )
            )


def named(document: dict[str, Any], before: str, now: str) -> None:
    """Give an object its own id, in the spelling that it has."""
    if isinstance(document.get("id"), str):
        document["id"] = re.sub(re.escape(before), now, document["id"], flags=re.IGNORECASE)


def kept(cast: Cast, session_id: str, what: str) -> Session:
    """A Session that the hub has, of whom it should be."""
    session = Session.find(cast.cpo.party, session_id)
    assert session is not None, what
    assert session.is_accepted, what
    assert session.emsp == cast.emsp.party or "cdr_token" in what or "several" in what, what
    return session


def test_preferences_reach_the_fsp_and_are_kept(cast, fsp):
    whole = {
        "profile_type": "GREEN",
        "departure_time": "2026-03-01T18:00:00Z",
        "energy_need": 12.5,
        "discharge_allowed": True,
    }
    cast.cpo.put_session("WISHES", cast.emsp)
    sent = []
    for number, (what, document) in enumerate(spelled(whole)):
        session_id = f"W-{number}"
        cast.cpo.put_session(session_id, cast.emsp)
        body = f" {json.dumps(document)}".encode()
        path = f"sender/sessions/{session_id}/charging_preferences"
        assert cast.emsp.send("PUT", path, body).json()["data"] == "ACCEPTED"
        sent.append((session_id, what, body))
    for session_id, what, body in sent:
        copy = PreferenceCopy.objects.get(session__session_id=session_id)
        assert bytes(copy.document) == body, what
        given = fsp.wait_for(session_id, count=2)
        assert [one.body for one in given if one.interface == "sender"] == [body], what


def test_bills_are_kept_once_and_listed(hub):
    cpo, emsp = hub.join(Stranger(Role.CPO)), hub.join(Stranger(Role.EMSP))
    emsp.simulator.says = lambda message: raw()
    whole = example("cdr_example") | cpo.simulator.party._asdict()
    whole["cdr_token"] |= emsp.simulator.party._asdict()
    expected = []
    for number, (what, document) in enumerate(spelled(whole, "country_code", "party_id", "id")):
        named(document, whole["id"], f"C-{number}")
        document["x_number"] = number
        body = as_json(document)
        before = len(emsp.simulator.got)
        for _ in range(2):
            assert ask(hub, cpo, "POST", "receiver/cdrs", to=emsp, body=body).code == 1000, what
        assert len(emsp.simulator.got) == before + 1, what
        if document.get("id") == f"C-{number}":
            other = as_json(document | {"x_number": -1})
            assert ask(hub, cpo, "POST", "receiver/cdrs", to=emsp, body=other).code == 2001, what
        expected.append((what, canonical(document)))
        cpo.simulator.got.clear()
    found: list[str] = []
    url = "sender/cdrs?limit=100"
    while url:
        answer = ask(hub, emsp, "GET", url, to=HUB)
        found += [canonical(one) for one in answer.envelope["data"]]
        url = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    for what, document in expected:
        assert found.count(document) == 1, what
    assert Cdr.objects.filter(owner=str(cpo.simulator.party)).count() == len(expected)


def test_results_reach_who_asked_and_end_their_command(cast):
    whole = {
        "result": "ACCEPTED",
        "profile": {
            "start_date_time": "2026-03-01T10:00:00Z",
            "charging_profile": {
                "charging_rate_unit": "A",
                "duration": 900,
                "charging_profile_period": [{"start_period": 0, "limit": 8.0}],
            },
        },
    }
    cast.cpo.put_session("RESULTS", cast.emsp)
    sent = []
    several = mutations.several(whole, 30, seed=3, spare=lambda path: path[0] == "result")
    changed = [one for one in mutations.mutations(whole) if one[1][0] != "result"]
    odd = [(what, one) for what, _, one in mutations.together(whole, changed)]
    for number, (what, document) in enumerate([*odd, *(("several", one) for one in several)]):
        name = f"RES-{number}"
        url = cast.emsp.response_url(name)
        assert cast.emsp.put_profile("RESULTS", response_url=url).json()["data"]["result"] == (
            "ACCEPTED"
        )
        body = f" {json.dumps(document)}".encode()
        given = url_given(cast.cpo.got("RESULTS", module="chargingprofiles")[-1])
        assert code(cast.cpo.post_result(given, body)) == 1000, what
        sent.append((name, what, body))
    for name, what, body in sent:
        assert cast.emsp.results(name)[0].body == body, what
    states = set(ProfileCommand.objects.values_list("state", flat=True))
    assert states == {"RESULT_ACCEPTED"}


def test_commands_are_passed_on_and_reservations_known(hub):
    cpo, emsp = hub.join(Stranger(Role.CPO)), hub.join(Stranger(Role.EMSP))
    accepted = {"data": {"result": "ACCEPTED", "timeout": 30}, "status_code": 1000}
    accepted["timestamp"] = "2026-01-01T00:00:00Z"
    cpo.simulator.says = lambda message: raw(as_json(accepted))
    driver = token(emsp.simulator.party, "APP1", type="APP_USER")
    whole = {
        "token": driver,
        "expiry_date": "2099-01-01T00:00:00Z",
        "reservation_id": "R",
        "location_id": "LOC1",
        "evse_uid": "3256",
    }
    for number, (what, document) in enumerate(spelled(whole, "reservation_id")):
        if document.get("reservation_id") != "R":
            continue
        document |= {
            "reservation_id": f"R-{number}",
            "response_url": f"{emsp.simulator.endpoint_url('commands', 'sender')}/{number}",
        }
        body = as_json(document)
        answer = ask(hub, emsp, "POST", "receiver/commands/RESERVE_NOW", to=cpo, body=body)
        assert answer.code == 1000, what
        got = cpo.simulator.got[-1].json()
        assert got | {"response_url": ""} == document | {"response_url": ""}, what
        assert Reservation.holders(emsp.simulator.party, f"R-{number}") == (cpo.simulator.party,)
        cancel = as_json(
            {"reservation_id": f"R-{number}", "response_url": document["response_url"]}
        )
        path = "receiver/commands/CANCEL_RESERVATION"
        assert ask(hub, emsp, "POST", path, body=cancel).code == 1000, what


def test_every_answer_to_preferences_is_understood_or_passed(cast):
    cast.cpo.put_session("SAID", cast.emsp)
    for said in ("ACCEPTED", "accepted", ["ACCEPTED"], {"result": "ACCEPTED"}, None, 5, {}):
        cast.cpo.answers("SAID", Reply(said))
        path = "sender/sessions/SAID/charging_preferences"
        response = cast.emsp.send("PUT", path, {"profile_type": "FAST"})
        assert response.json().get("data") == said
        copy = PreferenceCopy.objects.filter(session__session_id="SAID").latest("pk")
        assert copy.cpo_answer == ("" if said in (None, 5, {}) else "ACCEPTED")
