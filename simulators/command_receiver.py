"""What a CPO does with commands of eMSPs (mod_commands, Receiver Interface)."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from cdrs.objects import CdrToken
from commands.objects import (
    CommandResponse,
    CommandResponseType,
    CommandResult,
    CommandResultType,
    CommandType,
    StartSession,
    StopSession,
)
from hub.ocpi.errors import InvalidParameters, UnknownLocation
from party.callbacks import post_result
from party.messages import Handler, Received, Reply

if TYPE_CHECKING:
    from simulators.cpo import Cpo

COMMAND_TIMEOUT: Final = 30


class CommandReceiver:
    """START_SESSION and STOP_SESSION, with results posted later; the others are not supported."""

    def __init__(self, cpo: "Cpo") -> None:
        self._cpo = cpo

    def handlers(self) -> dict[str, Handler]:
        """The Receiver interface."""
        return {"POST": self._post}

    async def _post(self, message: Received) -> Reply:
        command = message.parts[0].upper() if len(message.parts) == 1 else ""
        if command == CommandType.START_SESSION:
            return self._start(message)
        if command == CommandType.STOP_SESSION:
            return self._stop(message)
        if command in CommandType.__members__:
            return _answered(CommandResponseType.NOT_SUPPORTED)
        raise InvalidParameters(f"{command!r} is not a command.")

    def _start(self, message: Received) -> Reply:
        wanted = message.read(StartSession)
        cpo = self._cpo
        if wanted.location_id.upper() != cpo.site.id.upper():
            raise UnknownLocation(f"There is no Location {wanted.location_id}.")
        evse = cpo.site.evse(wanted.evse_uid) if wanted.evse_uid else cpo.free_evse()
        if evse is None or not cpo.is_free(evse):
            return _answered(CommandResponseType.REJECTED)
        token = wanted.token
        driver = CdrToken(
            token.country_code, token.party_id, token.uid, token.type, token.contract_id
        )

        async def start() -> None:
            await cpo.start_session(evse.uid, token=driver)

        return self._accepted(message, wanted.response_url, start)

    def _stop(self, message: Received) -> Reply:
        wanted = message.read(StopSession)
        session = self._cpo.session(wanted.session_id)
        if session is None or not session.is_active:
            return _answered(CommandResponseType.UNKNOWN_SESSION)
        session_id = session.id

        async def stop() -> None:
            await self._cpo.end_session(session_id)

        return self._accepted(message, wanted.response_url, stop)

    def _accepted(
        self, message: Received, response_url: str, carry_out: Callable[[], Awaitable[None]]
    ) -> Reply:
        """Answer at once; then the Charge Point's result, and what comes of it."""
        reply = _answered(CommandResponseType.ACCEPTED)

        async def afterwards() -> None:
            result = CommandResult(CommandResultType.ACCEPTED)
            await post_result(self._cpo, message, response_url, result)
            await carry_out()

        reply.afterwards = afterwards
        return reply


def _answered(result: CommandResponseType) -> Reply:
    return Reply(CommandResponse(result, COMMAND_TIMEOUT))
