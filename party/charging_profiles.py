"""Requests to a CPO and their later results (mod_charging_profiles, Sender Interface)."""

from collections.abc import Callable
from typing import Unpack

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
from party.callbacks import Callback, Callbacks, CommandRefused, read_response
from party.client import Content
from party.messages import Handler, Received, Reply
from party.ocpi_platform import Platform
from party.recent import Recent


class ChargingProfilesSender:
    """GET, PUT and DELETE of profiles; each waits for its result, for `timeout` of the answer.

    All three raise CommandRefused, and what Platform.call raises.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._callbacks = Callbacks(platform, "chargingprofiles", ProfileResult)
        # By session_id in upper case.
        self.updates: Recent[str, list[ActiveChargingProfile]] = Recent()
        self.on_update: Callable[[str, ActiveChargingProfile], None] = lambda *_: None

    def handlers(self) -> dict[str, Handler]:
        """The Sender interface: results by POST, updates of active profiles by PUT."""
        return {"POST": self._callbacks.post, "PUT": self._put_update}

    async def get_active(self, session_id: str, to: PartyId | None, duration: int) -> ProfileResult:
        """GET of the ActiveChargingProfile for `duration` seconds from now."""
        with self._callbacks.given_out("results") as callback:
            query = {"duration": str(duration), "response_url": callback.url}
            return await self._result(callback, "GET", session_id, to, query=query)

    async def put(
        self, session_id: str, to: PartyId | None, profile: ChargingProfile
    ) -> ProfileResult:
        """PUT of a ChargingProfile."""
        with self._callbacks.given_out("results") as callback:
            body = SetChargingProfile(profile, callback.url)
            return await self._result(callback, "PUT", session_id, to, body=body)

    async def delete(self, session_id: str, to: PartyId | None) -> ProfileResult:
        """DELETE of the ChargingProfile."""
        with self._callbacks.given_out("results") as callback:
            query = {"response_url": callback.url}
            return await self._result(callback, "DELETE", session_id, to, query=query)

    async def _result(
        self,
        callback: Callback[ProfileResult],
        method: str,
        session_id: str,
        to: PartyId | None,
        **content: Unpack[Content],
    ) -> ProfileResult:
        answer = await self._platform.call(
            "chargingprofiles", InterfaceRole.RECEIVER, method, session_id, to=to, **content
        )
        response = read_response(answer, ChargingProfileResponse)
        if response.result is not ChargingProfileResponseType.ACCEPTED:
            raise CommandRefused(f"{method}: {response.result}")
        return await callback.result(response.timeout)

    async def _put_update(self, message: Received) -> Reply:
        if len(message.parts) != 1:
            raise InvalidParameters("The URL has to end in /{session_id}.")
        profile = message.read(ActiveChargingProfile)
        session_id = message.parts[0].upper()
        self.updates[session_id] = [*self.updates.get(session_id, []), profile]
        self.on_update(session_id, profile)
        return Reply()
