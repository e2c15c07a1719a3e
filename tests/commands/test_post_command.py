"""POST of a command through the hub (mod_commands, Receiver Interface; Open Routing)."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from commands.models import Reservation
from commands.objects import CommandResponseType, CommandType
from hub.models import Agreement, Delivery, ForwardedUrl
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from tests.hub.strangers import Stranger, ask, raw, until
from tests.minimal import as_json, location, owned, session, token

HUB = PartyId("NL", "HUB")


@pytest.fixture(scope="module")
def second_cpo(hub):
    return hub.join(Stranger(Role.CPO))


@pytest.fixture(autouse=True)
def _second_says_yes(request):
    if "second_cpo" in request.fixturenames:
        stranger = request.getfixturevalue("second_cpo").simulator
        stranger.says = Stranger.says_yes
        stranger.got.clear()


def response(result: str, **more) -> bytes:
    data = {"timeout": 30, "result": result} | more
    return json.dumps({"data": data, "status_code": 1000, "timestamp": "2026-01-01Z"}).encode()


def url_of(emsp, name: str = "1") -> str:
    """Where the eMSP wants the result."""
    return f"{emsp.simulator.endpoint_url('commands', 'sender')}/START_SESSION/{name}?a=b"


def command(emsp, name: str, object_id: str, **more) -> dict:
    """A valid body of each command; `object_id` is the Location, Session or reservation."""
    driver = token(emsp.simulator.party, "APP1", type="APP_USER")
    bodies: dict[str, dict[str, Any]] = {
        "START_SESSION": {"token": driver, "location_id": object_id},
        "RESERVE_NOW": {
            "token": driver,
            "location_id": object_id,
            "reservation_id": f"R-{object_id}",
            "expiry_date": "2099-01-01T00:00:00Z",
        },
        "UNLOCK_CONNECTOR": {"location_id": object_id, "evse_uid": "3256", "connector_id": "1"},
        "STOP_SESSION": {"session_id": object_id},
        "CANCEL_RESERVATION": {"reservation_id": object_id},
    }
    return {"response_url": url_of(emsp)} | bodies[name] | more


def post(hub, emsp, name: str, body: dict | bytes, to=None):
    sent = body if isinstance(body, bytes) else as_json(body)
    return ask(hub, emsp, "POST", f"receiver/commands/{name}", to=to, body=sent)


def has_location(hub, cpo, location_id: str) -> None:
    party = cpo.simulator.party
    path = f"receiver/locations/{owned(party, location_id)}"
    answer = ask(hub, cpo, "PUT", path, to=HUB, body=as_json(location(party, location_id)))
    assert answer.code == 1000


def has_session(hub, cpo, emsp, session_id: str) -> None:
    party = cpo.simulator.party
    path = f"receiver/sessions/{owned(party, session_id)}"
    body = as_json(session(party, emsp.simulator.party, session_id))
    assert ask(hub, cpo, "PUT", path, to=emsp, body=body).code == 1000


def has_reservation(hub, cpo, emsp, reservation_id: str, **more) -> None:
    cpo.simulator.says = lambda message: raw(response("ACCEPTED"))
    body = command(emsp, "RESERVE_NOW", "L", reservation_id=reservation_id, **more)
    assert post(hub, emsp, "RESERVE_NOW", body, to=cpo).code == 1000


def known(hub, cpo, emsp, name: str, object_id: str) -> None:
    """Let the hub know whose this is."""
    if name == "STOP_SESSION":
        has_session(hub, cpo, emsp, object_id)
    elif name == "CANCEL_RESERVATION":
        has_reservation(hub, cpo, emsp, object_id)
    else:
        has_location(hub, cpo, object_id)


def commands_at(running) -> list:
    return [message for message in running.simulator.got if message.module == "commands"]


# --- Who gets it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CommandType)
@pytest.mark.parametrize("is_named", [True, False])
def test_each_command_reaches_the_cpo_as_sent_except_its_response_url(
    hub, cpo, emsp, second_cpo, name, is_named
):
    object_id = f"{name[:6]}-{is_named}"
    known(hub, cpo, emsp, name, object_id)
    cpo.simulator.got.clear()
    said = response("ACCEPTED", message=[{"language": "nl", "text": "goed"}], n=1.50)
    cpo.simulator.says = lambda message: raw(said)
    sent = command(emsp, name, object_id.lower(), x_vendor={"n": 1.5})
    answer = post(hub, emsp, name, sent, to=cpo if is_named else None)
    assert (answer.status, answer.body) == (200, said)
    assert answer.headers["ocpi-from-party-id"] == cpo.simulator.party.party_id
    (message,) = commands_at(cpo)
    assert message.parts == (name,)
    assert (message.from_party, message.to_party) == (emsp.simulator.party, cpo.simulator.party)
    got = message.json()
    assert got.pop("response_url").startswith(f"{hub.url}/ocpi/2.2.1/via/")
    assert got == {key: value for key, value in sent.items() if key != "response_url"}
    assert not commands_at(second_cpo)


@pytest.mark.parametrize("name", CommandType)
def test_what_the_hub_does_not_know_is_4001_with_its_id(hub, cpo, emsp, name):
    answer = post(hub, emsp, name, command(emsp, name, "NOWHERE"))
    assert answer.said == (200, 4001)
    assert "NOWHERE" in answer.envelope["status_message"]
    assert not commands_at(cpo)
    assert not ForwardedUrl.objects.filter(target=url_of(emsp, "NOWHERE")).exists()


@pytest.mark.parametrize("name", CommandType)
def test_what_two_cpos_have_is_refused_with_both_named(hub, cpo, emsp, second_cpo, name):
    object_id = f"{name[:6]}-TWICE"
    for one in (cpo, second_cpo):
        known(hub, one, emsp, name, object_id)
        one.simulator.got.clear()
    answer = post(hub, emsp, name, command(emsp, name, object_id))
    assert answer.said == (200, 4001)
    for one in (cpo, second_cpo):
        assert str(one.simulator.party) in answer.envelope["status_message"]
        assert not commands_at(one)
    assert post(hub, emsp, name, command(emsp, name, object_id), to=second_cpo).code == 1000
    assert len(commands_at(second_cpo)) == 1


@pytest.mark.parametrize("name", ["STOP_SESSION", "CANCEL_RESERVATION"])
def test_what_belongs_to_another_emsp_is_unknown_to_this_one(hub, cpo, emsp, name):
    object_id = f"{name[:6]}-OTHERS"
    known(hub, cpo, emsp, name, object_id)
    cpo.simulator.got.clear()
    other = hub.join(Stranger(Role.EMSP))
    answer = post(hub, other, name, command(other, name, object_id))
    assert answer.said == (200, 4001)
    assert str(cpo.simulator.party) not in answer.envelope["status_message"]
    assert not commands_at(cpo)


def test_a_location_of_a_cpo_without_an_agreement_is_not_found(hub, emsp):
    cpo = hub.join(Stranger(Role.CPO))
    has_location(hub, cpo, "CLOSED")
    body = command(emsp, "START_SESSION", "CLOSED")
    assert post(hub, emsp, "START_SESSION", body).code == 1000
    one, other = cpo.simulator.party, emsp.simulator.party
    Agreement.objects.create(
        country_code_a=one.country_code,
        party_id_a=one.party_id,
        country_code_b=other.country_code,
        party_id_b=other.party_id,
        is_open=False,
    )
    until(lambda: post(hub, emsp, "START_SESSION", body).code == 4001)
    assert post(hub, emsp, "START_SESSION", body, to=cpo).said == (200, 4003)


def test_a_reservation_is_known_once_its_cpo_has_accepted_it(hub, cpo, emsp):
    for result in ("REJECTED", "NOT_SUPPORTED"):
        cpo.simulator.says = lambda message, said=result: raw(response(said))
        body = command(emsp, "RESERVE_NOW", "L", reservation_id=result)
        post(hub, emsp, "RESERVE_NOW", body, to=cpo)
        cancel = command(emsp, "CANCEL_RESERVATION", result)
        assert post(hub, emsp, "CANCEL_RESERVATION", cancel).code == 4001
    in_a_list = b'{"data":[{"result":"ACCEPTED","timeout":1}],"status_code":1000,"timestamp":"Z"}'
    cpo.simulator.says = lambda message: raw(in_a_list)
    post(hub, emsp, "RESERVE_NOW", command(emsp, "RESERVE_NOW", "L", reservation_id="OK"), to=cpo)
    cancel = command(emsp, "CANCEL_RESERVATION", "ok")
    assert post(hub, emsp, "CANCEL_RESERVATION", cancel).code == 1000


def test_a_reservation_that_is_replaced_is_one_and_keeps_its_new_end(hub, cpo, emsp):
    for year in (2098, 2099):
        has_reservation(hub, cpo, emsp, "REPLACED", expiry_date=f"{year}-01-01T00:00:00Z")
        url = commands_at(cpo)[-1].json()["response_url"]
        assert ask(hub, cpo, "POST", url, body=b'{"result":"ACCEPTED"}').code == 1000
    (row,) = Reservation.objects.filter(reservation_id="REPLACED")
    assert row.expiry_date.year == 2099


def test_of_two_reservations_the_one_that_still_runs_is_meant(hub, cpo, emsp, second_cpo):
    for one in (cpo, second_cpo):
        has_reservation(hub, one, emsp, "ENDED")
    ended = Reservation.objects.filter(reservation_id="ENDED", cpo=str(cpo.simulator.party))
    ended.update(expiry_date=timezone.now() - timedelta(seconds=1))
    answer = post(hub, emsp, "CANCEL_RESERVATION", command(emsp, "CANCEL_RESERVATION", "ENDED"))
    assert answer.headers["ocpi-from-party-id"] == second_cpo.simulator.party.party_id


# --- The answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("result", CommandResponseType)
def test_every_immediate_answer_is_passed_on_unchanged(hub, cpo, emsp, result):
    said = response(result, timeout=0, n=1.50)
    cpo.simulator.says = lambda message: raw(said)
    answer = post(hub, emsp, "STOP_SESSION", command(emsp, "STOP_SESSION", "S"), to=cpo)
    assert (answer.status, answer.body) == (200, said)


@pytest.mark.parametrize(("status", "code"), [(200, 2003), (200, 3000), (404, 2000), (500, 3000)])
def test_a_refusal_of_the_cpo_is_passed_on_unchanged(hub, cpo, emsp, status, code):
    said = b'{"status_code":%d,"status_message":"no","timestamp":"2026-01-01T00:00:00Z"}' % code
    cpo.simulator.says = lambda message: raw(said, status)
    body = command(emsp, "RESERVE_NOW", "L", reservation_id="NOT-KEPT")
    answer = post(hub, emsp, "RESERVE_NOW", body, to=cpo)
    assert (answer.status, answer.body) == (status, said)
    assert not Reservation.objects.filter(reservation_id="NOT-KEPT").exists()


def test_a_cpo_that_is_gone_is_4003(hub, emsp):
    cpo = hub.join(Stranger(Role.CPO, listens=False))
    cpo.set_faults(gone=True)
    answer = post(hub, emsp, "STOP_SESSION", command(emsp, "STOP_SESSION", "S"), to=cpo)
    assert answer.said == (200, 4003)


def test_the_hub_says_nothing_in_the_cpos_stead_when_the_timeout_is_over(hub, cpo, emsp):
    cpo.simulator.says = lambda message: raw(response("ACCEPTED", timeout=0))
    post(hub, emsp, "START_SESSION", command(emsp, "START_SESSION", "L"), to=cpo)
    assert not Delivery.objects.filter(module="commands").exists()
    url = commands_at(cpo)[0].json()["response_url"]
    result = b'{"result":"TIMEOUT"}'
    assert ask(hub, cpo, "POST", url, body=result).said == (200, 1000)
    assert [message.body for message in commands_at(emsp)] == [result]


# --- What is malformed ----------------------------------------------------------------------------

UNROUTABLE = [
    ("START_SESSION", {"location_id": None}, "$.location_id"),
    ("START_SESSION", {"location_id": {}}, "$.location_id"),
    ("START_SESSION", {"location_id": ""}, "$.location_id"),
    ("UNLOCK_CONNECTOR", {"location_id": []}, "$.location_id"),
    ("STOP_SESSION", {"session_id": {}}, "$.session_id"),
    ("CANCEL_RESERVATION", {"reservation_id": True}, "$.reservation_id"),
]
# What the CPO may judge otherwise than the text.
ODD = [
    ("START_SESSION", {"token": "x"}),
    ("START_SESSION", {"token": {"uid": "x"}}),
    ("START_SESSION", {"token": None}),
    ("START_SESSION", {"connector_id": "1"}),
    ("START_SESSION", {"evse_uid": "", "authorization_reference": "x" * 37}),
    ("RESERVE_NOW", {"expiry_date": "soon"}),
    ("RESERVE_NOW", {"expiry_date": "2099-01-01T00:00:00+00:00"}),
    ("RESERVE_NOW", {"reservation_id": []}),
    ("RESERVE_NOW", {"reservation_id": "a\u0000b"}),
    ("RESERVE_NOW", {"expiry_date": "9999-12-31T23:59:59-14:00"}),
    ("UNLOCK_CONNECTOR", {"evse_uid": None}),
    ("STOP_SESSION", {"x": 1e300}),
    ("CANCEL_RESERVATION", {"x": "x" * 3000}),
]


@pytest.mark.parametrize(("name", "changes", "where"), UNROUTABLE)
def test_without_to_a_body_that_says_not_whom_it_is_for_is_2001_with_the_place(
    hub, cpo, emsp, name, changes, where
):
    answer = post(hub, emsp, name, command(emsp, name, "X") | changes)
    assert answer.said == (200, 2001)
    assert where in answer.envelope["status_message"]
    assert not commands_at(cpo)


@pytest.mark.parametrize("object_id", ["x" * 37, "a\u0000b"])
@pytest.mark.parametrize("name", CommandType)
def test_without_to_an_odd_id_that_nobody_has_is_4001(hub, cpo, emsp, name, object_id):
    assert post(hub, emsp, name, command(emsp, name, object_id)).said == (200, 4001)
    assert not commands_at(cpo)


@pytest.mark.parametrize("name", CommandType)
def test_without_to_the_field_that_says_whom_it_is_for_is_required(hub, emsp, name):
    body = command(emsp, name, "X")
    field = next(one for one in ("location_id", "session_id", "reservation_id") if one in body)
    del body[field]
    answer = post(hub, emsp, name, body)
    assert answer.said == (200, 2001)
    assert f"`{field}`" in answer.envelope["status_message"]


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize(("name", "changes"), ODD)
def test_all_else_is_the_cpos_to_judge_and_its_acceptance_is_passed_on(
    hub, cpo, emsp, name, changes, is_named
):
    known(hub, cpo, emsp, name, f"ODD-{name[:6]}")
    cpo.simulator.got.clear()
    said = response("ACCEPTED")
    cpo.simulator.says = lambda message: raw(said)
    body = command(emsp, name, f"ODD-{name[:6]}") | changes
    answer = post(hub, emsp, name, body, to=cpo if is_named else None)
    assert (answer.status, answer.body) == (200, said)
    got = commands_at(cpo)[0].json()
    assert got | {"response_url": ""} == body | {"response_url": ""}


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"null", b"{}"])
def test_json_that_is_no_command_is_2001_without_to_and_passed_on_with_it(hub, cpo, emsp, body):
    assert post(hub, emsp, "STOP_SESSION", body).said == (200, 2001)
    assert not commands_at(cpo)
    assert post(hub, emsp, "STOP_SESSION", body, to=cpo).said == (200, 1000)
    assert commands_at(cpo)[0].body == body


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 5000])
def test_what_is_not_json_is_400(hub, cpo, emsp, body):
    for to in (None, cpo):
        assert post(hub, emsp, "STOP_SESSION", body, to=to).status == 400
    assert not commands_at(cpo)


def test_no_body_is_2001_without_to(hub, cpo, emsp):
    answer = post(hub, emsp, "STOP_SESSION", b"")
    assert 2000 <= answer.code < 3000
    assert not commands_at(cpo)


def test_a_command_that_ocpi_does_not_know_is_404_without_to_and_passed_on_with_it(hub, cpo, emsp):
    body = command(emsp, "STOP_SESSION", "S")
    answer = post(hub, emsp, "REBOOT", body)
    assert answer.status == 404
    assert "STOP_SESSION" in answer.envelope["status_message"]
    assert post(hub, emsp, "REBOOT", body, to=cpo).said == (200, 1000)
    assert commands_at(cpo)[0].parts == ("REBOOT",)


@pytest.mark.parametrize("name", ["x" * 3000, "%FF", "STOP_SESSION%20", "a%2Fb"])
def test_absurd_names_are_no_error_of_the_hub(hub, emsp, name):
    assert post(hub, emsp, name, command(emsp, "STOP_SESSION", "S")).status == 404


def test_the_hub_itself_takes_no_commands(hub, emsp):
    for name in CommandType:
        answer = post(hub, emsp, name, command(emsp, name, "X"), to=HUB)
        assert answer.said == (200, 4000)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_commands_are_posted_alone(hub, cpo, emsp, method):
    answer = ask(hub, emsp, method, "receiver/commands/STOP_SESSION", to=cpo, body=b"{}")
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
