"""Commands and their results: awaited, refused, late, nobody's (mod_commands, Flow)."""

from collections.abc import Iterator
from typing import Any

import pytest

from commands.objects import CommandResult, CommandResultType, CommandType
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.party import PartyId
from party.callbacks import CommandRefused, post_result
from party.messages import Received, Reply
from simulators.emsp import Emsp
from simulators.faulty_platform import FaultyPlatform
from simulators.testing import Running

CPO = PartyId("NL", "CPO")
STOP = CommandType.STOP_SESSION


class Station(FaultyPlatform):
    """Answers each command with `response`, and posts `results` afterwards."""

    def __init__(self) -> None:
        super().__init__([(CPO, Role.CPO)])
        self.response: Any = {"result": "ACCEPTED", "timeout": 10}
        self.results: list[CommandResult] = []
        self.serve("commands", InterfaceRole.RECEIVER, {"POST": self._take})

    async def _take(self, message: Received) -> Reply:
        async def afterwards() -> None:
            for result in self.results:
                await post_result(self, message, message.json()["response_url"], result)

        return Reply(self.response, afterwards=afterwards)


@pytest.fixture
def pair() -> Iterator[tuple[Running[Station], Running[Emsp]]]:
    with Running(Station()) as station, Running(Emsp()) as emsp:
        emsp.register(station.versions_url, station.simulator.invite())
        yield station, emsp


def stop(emsp: Running[Emsp]) -> CommandResult:
    return emsp.run(emsp.simulator.commands.carry_out(STOP, {"session_id": "S1"}, to=CPO))


def test_the_result_of_a_command_is_awaited(pair):
    station, emsp = pair
    station.simulator.results = [CommandResult(CommandResultType.EVSE_OCCUPIED)]
    assert stop(emsp).result is CommandResultType.EVSE_OCCUPIED
    [sent] = station.received(module="commands")
    assert sent.parts == (STOP,)
    assert sent.json()["session_id"] == "S1"
    [posted] = emsp.received(module="commands")
    assert (posted.from_party, posted.to_party) == (CPO, emsp.simulator.party)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        ({"result": "REJECTED", "timeout": 5}, "STOP_SESSION: REJECTED"),
        ({"result": "ACCEPTED", "timeout": 0}, "no result in time"),
        ({"result": "PERHAPS", "timeout": 5}, "not a CommandResponse"),
        ({"result": "ACCEPTED"}, "not a CommandResponse"),
        ("ACCEPTED", "not a CommandResponse"),
    ],
)
def test_what_is_not_carried_out_is_an_error(pair, response, words):
    station, emsp = pair
    station.simulator.response = response
    with pytest.raises(CommandRefused, match=words):
        stop(emsp)


def test_a_response_in_a_list_of_one_is_read(pair):
    station, emsp = pair
    station.simulator.response = [{"result": "ACCEPTED", "timeout": 10}]
    station.simulator.results = [CommandResult(CommandResultType.ACCEPTED)]
    assert stop(emsp).result is CommandResultType.ACCEPTED


def test_the_first_result_counts_and_later_ones_are_taken(pair):
    station, emsp = pair
    station.simulator.results = [
        CommandResult(CommandResultType.TIMEOUT),
        CommandResult(CommandResultType.ACCEPTED),
    ]
    assert stop(emsp).result is CommandResultType.TIMEOUT
    emsp.wait_for_message(module="commands", count=2)
    url = station.received(module="commands")[0].json()["response_url"]
    answers = [
        station.run(
            station.simulator.send(
                "POST", one, connection=station.simulator.connections[0],
                body=CommandResult(CommandResultType.FAILED),
            )
        )
        for one in (url, f"{url}x", url.rpartition("/")[0])
    ]  # fmt: skip
    assert [one.status_code for one in answers] == [1000, 2001, 2001]


def test_what_a_handler_did_wrong_is_an_envelope_and_logged(pair, caplog):
    station, emsp = pair
    station.simulator.modules["commands", "receiver"]["POST"] = _fails
    answer = emsp.call("commands", "RECEIVER", "POST", STOP, to=CPO, body={})
    assert (answer.http_status, answer.status_code) == (500, 3000)
    assert "KeyError" in caplog.text


async def _fails(message: Received) -> Reply:
    raise KeyError("of a handler")
