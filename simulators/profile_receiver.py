"""What a CPO does with charging profiles (mod_charging_profiles, Receiver Interface)."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from charging_profiles.objects import (
    ChargingProfile,
    ChargingProfileResponse,
    ChargingProfileResponseType,
    ChargingProfileResultType,
    ProfileResult,
    SetChargingProfile,
)
from hub.ocpi.datatypes import InterfaceRole, utc
from hub.ocpi.errors import InvalidParameters, OcpiError
from hub.ocpi.party import PartyId
from party.callbacks import post_result
from party.messages import Handler, Received, Reply
from simulators.documents import SimulatedSession

if TYPE_CHECKING:
    from simulators.cpo import Cpo

logger = logging.getLogger(__name__)

PROFILE_TIMEOUT: Final = 30
MAX_PERIODS: Final = 20
UPDATE_SECONDS: Final = 3600  # "As a guide: between 5 and 60 minutes"


class ProfileReceiver:
    """GET, PUT and DELETE, with results posted later, and updates to who has set a profile."""

    def __init__(self, cpo: "Cpo") -> None:
        self._cpo = cpo

    def handlers(self) -> dict[str, Handler]:
        """The Receiver interface."""
        return {"GET": self._get_profile, "PUT": self._put_profile, "DELETE": self._delete_profile}

    async def _get_profile(self, message: Received) -> Reply:
        duration = message.query.get("duration", "")
        if not duration.isdigit():
            raise InvalidParameters("duration is required, in seconds.")

        def active(session: SimulatedSession) -> ProfileResult:
            profile = session.plug.active_profile(session.clock.now(), int(duration))
            return ProfileResult(ChargingProfileResultType.ACCEPTED, profile)

        return await self._command(message, message.query.get("response_url"), active)

    async def _put_profile(self, message: Received) -> Reply:
        wanted = message.read(SetChargingProfile)
        profile = wanted.charging_profile
        if profile.start_date_time is not None:
            profile.start_date_time = utc(profile.start_date_time)

        def put(session: SimulatedSession) -> ProfileResult:
            if len(profile.charging_profile_period) > MAX_PERIODS:
                return ProfileResult(ChargingProfileResultType.REJECTED)
            self._set_profile(session, message.from_party, profile)
            return ProfileResult(ChargingProfileResultType.ACCEPTED)

        return await self._command(message, wanted.response_url, put)

    async def _delete_profile(self, message: Received) -> Reply:
        def delete(session: SimulatedSession) -> ProfileResult:
            if not session.plug.set_profiles:
                return ProfileResult(ChargingProfileResultType.UNKNOWN)
            self._set_profile(session, message.from_party, None)
            return ProfileResult(ChargingProfileResultType.ACCEPTED)

        return await self._command(message, message.query.get("response_url"), delete)

    def _set_profile(
        self, session: SimulatedSession, sender: PartyId | None, profile: ChargingProfile | None
    ) -> None:
        """One slot, as with one ChargingStationExternalConstraints profile: the last one holds."""
        switches = self._cpo.faults.of("chargingprofiles")
        session.meter.advance(session.plug, session.clock.now())
        session.plug.ignores_profiles = switches.ignores_profiles or switches.claims_profiles
        session.plug.claims_profiles = switches.claims_profiles
        session.plug.set_profiles = [] if profile is None else [profile]
        session.profile_senders = {} if profile is None else {sender: profile}

    async def _command(
        self,
        message: Received,
        response_url: str | None,
        carry_out: Callable[[SimulatedSession], ProfileResult],
    ) -> Reply:
        """Answer at once whether the EVSE can be asked, and post later what it said."""
        if not response_url or len(message.parts) != 1:
            raise InvalidParameters("{session_id} in the URL and a response_url are required.")
        switches = self._cpo.faults.of("chargingprofiles")
        session = self._cpo.session(message.parts[0])
        answer = ChargingProfileResponseType.ACCEPTED
        if session is None or not session.is_active:
            answer = ChargingProfileResponseType.UNKNOWN_SESSION
        elif "CHARGING_PROFILE_CAPABLE" not in session.plug.evse.capabilities:
            answer = ChargingProfileResponseType.NOT_SUPPORTED
        elif switches.profile_response is not None:
            answer = switches.profile_response
        reply = Reply(ChargingProfileResponse(answer, PROFILE_TIMEOUT))
        if session is None or answer is not ChargingProfileResponseType.ACCEPTED:
            return reply
        if switches.profile_result in (None, ChargingProfileResultType.ACCEPTED):
            result = carry_out(session)
        else:
            result = ProfileResult(switches.profile_result)
        if switches.silent_after_accepted:
            return reply

        async def post() -> None:
            await asyncio.sleep(switches.late_result)
            await self._post_result(message, response_url, result)
            if switches.duplicate_result:
                await self._post_result(message, response_url, result)

        if switches.result_before_answer:
            await post()
        else:
            reply.afterwards = post
        return reply

    async def _post_result(
        self, message: Received, response_url: str, result: ProfileResult
    ) -> None:
        switches = self._cpo.faults.of("chargingprofiles")
        if switches.drop_callback_query:
            response_url = urlunsplit(urlsplit(response_url)._replace(query=""))
        await post_result(self._cpo, message, response_url, result)

    async def send_update(self, session: SimulatedSession, sender: PartyId | None) -> None:
        """PUT of the ActiveChargingProfile to whoever has set one on this session."""
        profile = session.plug.active_profile(session.clock.now(), UPDATE_SECONDS)
        try:
            await self._cpo.call(
                "chargingprofiles",
                InterfaceRole.SENDER,
                "PUT",
                session.id,
                to=sender,
                from_=self._cpo.party,
                body=profile,
            )
        except (aiohttp.ClientError, TimeoutError, LookupError, OcpiError) as error:
            logger.warning("update to %s: %s", sender, error or type(error).__name__)
