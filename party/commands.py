"""Commands to a CPO and their later results (mod_commands, Sender Interface)."""

from collections.abc import Mapping
from typing import Any

from commands.objects import (
    CommandResponse,
    CommandResponseType,
    CommandResult,
    CommandType,
)
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.party import PartyId
from party.callbacks import Callback, Callbacks, CommandRefused, read_response
from party.messages import Handler
from party.ocpi_platform import Platform


class CommandsSender:
    """Sends commands; `wanted` is the command's object without its response_url.

    Both ways of sending raise CommandRefused, and what Platform.call raises.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._callbacks = Callbacks(platform, "commands", CommandResult)

    @property
    def results(self) -> Mapping[str, list[CommandResult]]:
        """All that was posted, by the key at the end of each response_url that was given out."""
        return self._callbacks.results

    def handlers(self) -> dict[str, Handler]:
        """The Sender interface: results by POST."""
        return {"POST": self._callbacks.post}

    async def send(
        self,
        command: CommandType,
        wanted: Mapping[str, Any],
        *,
        to: PartyId | None = None,
        from_: PartyId | None = None,
    ) -> CommandResponse:
        """POST of a command; returns the immediate answer, whatever it is."""
        with self._callbacks.given_out(command) as callback:
            return await self._post(callback, command, wanted, to, from_)

    async def carry_out(
        self,
        command: CommandType,
        wanted: Mapping[str, Any],
        *,
        to: PartyId | None = None,
        from_: PartyId | None = None,
    ) -> CommandResult:
        """POST of a command; returns its result, which is awaited for the answer's `timeout`."""
        with self._callbacks.given_out(command) as callback:
            response = await self._post(callback, command, wanted, to, from_)
            if response.result is not CommandResponseType.ACCEPTED:
                raise CommandRefused(f"{command}: {response.result}")
            return await callback.result(response.timeout)

    async def _post(
        self,
        callback: Callback[CommandResult],
        command: CommandType,
        wanted: Mapping[str, Any],
        to: PartyId | None,
        from_: PartyId | None,
    ) -> CommandResponse:
        answer = await self._platform.call(
            "commands",
            InterfaceRole.RECEIVER,
            "POST",
            command,
            to=to,
            from_=from_,
            body={**wanted, "response_url": callback.url},
        )
        return read_response(answer, CommandResponse)
