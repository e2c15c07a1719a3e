"""The CommandResult's way back (mod_commands, Sender Interface, POST Method)."""

import asyncio
import json

import pytest

from commands.objects import CommandResultType, CommandType
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from tests.commands.test_post_command import command, commands_at, known, post, response, url_of
from tests.hub.strangers import Stranger, ask, raw

HUB = PartyId("NL", "HUB")


def given(hub, emsp, cpo, name: str = "START_SESSION", to=None, **more) -> str:
    """The response_url that the CPO gets."""
    said = response("ACCEPTED")
    cpo.simulator.says = lambda message: raw(said)
    assert post(hub, emsp, name, command(emsp, name, "GIVEN", **more), to=to).body == said
    return commands_at(cpo)[-1].json()["response_url"]


@pytest.mark.parametrize("name", CommandType)
@pytest.mark.parametrize("is_named", [True, False])
def test_the_result_of_each_command_reaches_the_senders_own_url(hub, cpo, emsp, name, is_named):
    known(hub, cpo, emsp, name, "GIVEN")
    url = given(hub, emsp, cpo, name, to=cpo if is_named else None)
    body = b'{ "result":"ACCEPTED", "n":1.50}'
    said = b'{"status_code":1000, "timestamp":"2026-01-01T00:00:00Z"}'
    emsp.simulator.says = lambda message: raw(said)
    answer = ask(hub, cpo, "POST", url, body=body)
    assert (answer.status, answer.body) == (200, said)
    (message,) = commands_at(emsp)
    assert message.body == body
    (target,) = (target for target in emsp.simulator.targets if "/commands/" in target)
    assert url_of(emsp).endswith(target)
    assert (message.from_party, message.to_party) == (cpo.simulator.party, emsp.simulator.party)
    assert answer.headers["ocpi-from-party-id"] == emsp.simulator.party.party_id
    assert answer.headers["ocpi-to-party-id"] == cpo.simulator.party.party_id


@pytest.mark.parametrize("result", CommandResultType)
def test_every_result_is_passed_on_unchanged(hub, cpo, emsp, result):
    url = given(hub, emsp, cpo, to=cpo)
    message = [{"language": "de", "text": "läuft"}]
    body = json.dumps({"message": message, "result": result}, ensure_ascii=False).encode()
    assert ask(hub, cpo, "POST", url, to=emsp, body=body).said == (200, 1000)
    assert commands_at(emsp)[-1].body == body


def test_a_cpo_cancels_a_reservation_later_on_the_same_url(hub, cpo, emsp):
    url = given(hub, emsp, cpo, "RESERVE_NOW", to=cpo, reservation_id="R-LATER")
    for result in ("ACCEPTED", "CANCELED_RESERVATION"):
        body = json.dumps({"result": result}).encode()
        assert ask(hub, cpo, "POST", url, body=body).said == (200, 1000)
    told = [message.json()["result"] for message in commands_at(emsp)]
    assert told == ["ACCEPTED", "CANCELED_RESERVATION"]


def test_two_commands_have_two_urls_and_each_result_its_own_way(hub, cpo, emsp):
    urls = [
        given(hub, emsp, cpo, to=cpo, response_url=url_of(emsp, name)) for name in ("one", "two")
    ]
    for url in reversed(urls):
        ask(hub, cpo, "POST", url, body=b'{"result":"ACCEPTED"}')
    assert [message.parts[-1] for message in commands_at(emsp)] == ["two", "one"]


def test_a_result_may_come_before_the_answer(hub, cpo, emsp):
    async def posts_first(message):
        url, body = message.json()["response_url"], b'{"result":"FAILED"}'
        answer = await asyncio.to_thread(ask, hub, cpo, "POST", url, body=body)
        assert answer.said == (200, 1000)
        return raw(response("ACCEPTED"))

    cpo.simulator.says = posts_first
    body = command(emsp, "START_SESSION", "L")
    assert post(hub, emsp, "START_SESSION", body, to=cpo).code == 1000
    assert [message.json()["result"] for message in commands_at(emsp)] == ["FAILED"]


@pytest.mark.parametrize("role", [Role.CPO, Role.EMSP])
def test_somebody_elses_url_is_404_and_nothing_is_passed_on(hub, cpo, emsp, role):
    url = given(hub, emsp, cpo, to=cpo)
    thief = hub.join(Stranger(role))
    for to in (None, emsp):
        assert ask(hub, thief, "POST", url, to=to, body=b'{"result":"ACCEPTED"}').status == 404
    assert ask(hub, emsp, "POST", url, body=b'{"result":"ACCEPTED"}').status == 404
    assert not commands_at(emsp)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"result":"PERHAPS"}', b'{"result":5}'])
def test_what_is_no_result_is_the_senders_to_refuse(hub, cpo, emsp, body):
    url = given(hub, emsp, cpo, to=cpo)
    refusal = b'{"status_code":2001,"timestamp":"2026-01-01T00:00:00Z"}'
    emsp.simulator.says = lambda message: raw(refusal)
    assert ask(hub, cpo, "POST", url, body=body).body == refusal
    assert commands_at(emsp)[-1].body == body


def test_the_senders_endpoint_may_be_called_by_name_as_any_module_is(hub, cpo, emsp):
    path, body = "sender/commands/START_SESSION/1", b'{"result":"ACCEPTED"}'
    assert ask(hub, cpo, "POST", path, to=emsp, body=body).said == (200, 1000)
    assert commands_at(emsp)[0].parts == ("START_SESSION", "1")
    assert ask(hub, cpo, "POST", path, body=body).said == (200, 4001)
    assert ask(hub, cpo, "POST", path, to=HUB, body=body).said == (200, 4000)
