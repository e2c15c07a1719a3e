"""Commands to a CPO and their later results (mod_charging_profiles, Sender Interface)."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from charging_profiles.objects import (
    ActiveChargingProfile,
    ChargingProfile,
    ChargingProfileResponse,
    ChargingProfileResponseType,
    ProfileResult,
    SetChargingProfile,
)
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.party import PartyId
from simulators.messages import Answered, Handler, Received, Reply
from simulators.ocpi_platform import Platform
from simulators.recent import Recent


class CommandRefused(Exception):
    """The command was not accepted, or its result was not ACCEPTED, or never came."""


class ProfileCommands:
    """Sends GET, PUT and DELETE, and matches the results by their response_url."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._waiting: dict[str, asyncio.Future[ProfileResult]] = {}
        self.results: Recent[str, list[ProfileResult]] = Recent()
        self.updates: Recent[str, list[ActiveChargingProfile]] = Recent()
        self.on_update: Callable[[str, ActiveChargingProfile], None] = lambda *_: None

    def handlers(self) -> dict[str, Handler]:
        """The Sender interface: results by POST, updates by PUT."""
        return {"POST": self._post_result, "PUT": self._put_update}

    async def get_active(self, session_id: str, to: PartyId | None, duration: int) -> ProfileResult:
        """GET of the ActiveChargingProfile, and its result."""
        command_id, url = self._response_url()
        query = {"duration": str(duration), "response_url": url}
        return await self._wait(command_id, "GET", session_id, to, query=query)

    async def put(
        self, session_id: str, to: PartyId | None, profile: ChargingProfile
    ) -> ProfileResult:
        """PUT of a ChargingProfile, and its result."""
        command_id, url = self._response_url()
        body = SetChargingProfile(profile, url)
        return await self._wait(command_id, "PUT", session_id, to, body=body)

    async def delete(self, session_id: str, to: PartyId | None) -> ProfileResult:
        """DELETE of the ChargingProfile, and its result."""
        command_id, url = self._response_url()
        return await self._wait(command_id, "DELETE", session_id, to, query={"response_url": url})

    def _response_url(self) -> tuple[str, str]:
        command_id = secrets.token_hex(8)
        endpoint = self._platform.endpoint_url("chargingprofiles", InterfaceRole.SENDER)
        return command_id, f"{endpoint}/results/{command_id}"

    async def _wait(
        self, command_id: str, method: str, session_id: str, to: PartyId | None, **content: Any
    ) -> ProfileResult:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[command_id] = waiting
        try:
            answer = await self._platform.call(
                "chargingprofiles", InterfaceRole.RECEIVER, method, session_id, to=to, **content
            )
            response = _response(answer)
            if response.result is not ChargingProfileResponseType.ACCEPTED:
                raise CommandRefused(f"{method}: {response.result}")
            return await asyncio.wait_for(waiting, response.timeout)
        except TimeoutError as error:
            raise CommandRefused(f"{method}: no result in time") from error
        finally:
            del self._waiting[command_id]

    async def _post_result(self, message: Received) -> Reply:
        if len(message.parts) != 2 or message.parts[0] != "results":
            raise InvalidParameters("Nobody has given out this response_url.")
        result = message.read(ProfileResult)
        command_id = message.parts[1]
        self.results[command_id] = [*self.results.get(command_id, []), result]
        waiting = self._waiting.get(command_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(result)
        return Reply()

    async def _put_update(self, message: Received) -> Reply:
        if len(message.parts) != 1:
            raise InvalidParameters("The URL has to end in /{session_id}.")
        profile = message.read(ActiveChargingProfile)
        session_id = message.parts[0].upper()
        self.updates[session_id] = [*self.updates.get(session_id, []), profile]
        self.on_update(session_id, profile)
        return Reply()


def _response(answer: Answered) -> ChargingProfileResponse:
    if not answer.is_success:
        said = (answer.envelope or {}).get("status_message", "")
        raise CommandRefused(f"HTTP {answer.http_status}, OCPI {answer.status_code} {said}")
    data = answer.data
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    try:
        return msgspec.convert(data, ChargingProfileResponse)
    except msgspec.ValidationError as error:
        raise CommandRefused(f"no ChargingProfileResponse: {error}") from error
