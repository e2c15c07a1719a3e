"""A CPO, an eMSP and an FSP that answer at once: what is left of a chain's time is the hub's.

A chain: the eMSP's preferences to the CPO, the hub tells the FSP, whose profile goes to the CPO,
and then a GET that verifies it (SCALE D2.3, 11.4; mod_sessions, mod_charging_profiles).
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import aiohttp

from bench.journey import Journey
from charging_profiles.objects import (
    ActiveChargingProfile,
    ChargingProfile,
    ChargingProfilePeriod,
    ChargingProfileResponse,
    ChargingProfileResponseType,
    ChargingProfileResultType,
    ChargingRateUnit,
    ProfileResult,
    SetChargingProfile,
)
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.errors import OcpiError
from hub.ocpi.party import PartyId
from party.callbacks import post_result
from party.messages import Received, Reply, moment
from party.ocpi_platform import Platform
from sessions.objects import ProfileType
from simulators.emsp import preferences

CPO, EMSP, FSP = PartyId("NL", "CPO"), PartyId("DE", "MSP"), PartyId("NL", "SCS")
RECEIVER, SENDER = InterfaceRole.RECEIVER, InterfaceRole.SENDER
FULL, LIMIT = Decimal(32), Decimal(10)
RESULT_WITHIN = 30
CHAIN_SECONDS = 20.0


@dataclass
class Chain(Journey):
    """One change of preferences, until the FSP has the result of its profile."""

    has_result: asyncio.Event = field(default_factory=asyncio.Event)


class ThinCpo(Platform):
    """Takes everything; one profile a session, told as active."""

    def __init__(self, chains: dict[str, Chain]) -> None:
        super().__init__([(CPO, Role.CPO)], name="Thin CPO")
        self.chains = chains
        self.limits: dict[str, Decimal] = {}
        self.serve("sessions", SENDER, {"GET": _nothing, "PUT": self._preferences})
        self.serve("chargingprofiles", RECEIVER, {"GET": self._get, "PUT": self._put})

    async def start_session(self, session_id: str) -> None:
        """PUT of an ACTIVE Session to its eMSP."""
        now = moment(datetime.now(UTC).replace(microsecond=0))
        token = {"country_code": EMSP[0], "party_id": EMSP[1], "uid": "T-1", "type": "RFID"}
        document = {
            "country_code": CPO[0],
            "party_id": CPO[1],
            "id": session_id,
            "start_date_time": now,
            "kwh": 0.0,
            "cdr_token": token | {"contract_id": "DE-MSP-C1"},
            "auth_method": "WHITELIST",
            "location_id": "LOC1",
            "evse_uid": "E1",
            "connector_id": "1",
            "currency": "EUR",
            "status": "ACTIVE",
            "last_updated": now,
        }
        path = f"{CPO[0]}/{CPO[1]}/{session_id}"
        answer = await self.call("sessions", RECEIVER, "PUT", path, to=EMSP, body=document)
        if not answer.is_success:
            raise LookupError(answer.summary)

    async def _preferences(self, message: Received) -> Reply:
        chain = self.chains[message.parts[0]]
        chain.at_cpo = chain.answered_by_cpo = time.monotonic()
        return Reply("ACCEPTED")

    async def _put(self, message: Received) -> Reply:
        session_id = message.parts[0]
        chain = self.chains[session_id]
        if not chain.profile_at_cpo:
            chain.profile_at_cpo = time.monotonic()
            chain.profile_arrived.set()
        wanted = message.read(SetChargingProfile)
        self.limits[session_id] = wanted.charging_profile.charging_profile_period[0].limit
        result = ProfileResult(ChargingProfileResultType.ACCEPTED)
        return self._accepted(message, wanted.response_url, result)

    async def _get(self, message: Received) -> Reply:
        # A clone of a session has the profile that its pattern had.
        limit = self.limits.get(message.parts[0].partition(".")[0], FULL)
        limit = self.limits.get(message.parts[0], limit)
        now = datetime.now(UTC).replace(microsecond=0)
        profile = _profile(limit, now)
        result = ProfileResult(
            ChargingProfileResultType.ACCEPTED, ActiveChargingProfile(now, profile)
        )
        return self._accepted(message, message.query["response_url"], result)

    def _accepted(self, message: Received, url: str, result: ProfileResult) -> Reply:
        reply = Reply(ChargingProfileResponse(ChargingProfileResponseType.ACCEPTED, RESULT_WITHIN))
        reply.afterwards = partial(post_result, self, message, url, result)
        return reply


class ThinFsp(Platform):
    """Sends a profile as soon as it hears of preferences."""

    def __init__(self, chains: dict[str, Chain]) -> None:
        super().__init__([(FSP, Role.SCSP)], name="Thin FSP")
        self.chains = chains
        self.serve("sessions", RECEIVER, {"PUT": _nothing, "PATCH": _nothing})
        self.serve("sessions", SENDER, {"PUT": self._preferences})
        self.serve("chargingprofiles", SENDER, {"POST": self._result, "PUT": _nothing})

    async def _preferences(self, message: Received) -> Reply:
        session_id = message.parts[0]
        self.chains[session_id].at_scsp = time.monotonic()
        self.later(self.push(session_id))
        return Reply()

    async def push(self, session_id: str) -> None:
        """PUT of a profile: of two limits, never the one before."""
        chain = self.chains[session_id]
        chain.pushed_by_scsp = time.monotonic()
        limit = LIMIT + int(chain.pushed_by_scsp) % 7
        body = SetChargingProfile(_profile(limit, None), self._url(session_id))
        await self._command("PUT", session_id, body=body)

    async def ask(self, session_id: str) -> None:
        """GET of the active profile."""
        query = {"duration": "3600", "response_url": self._url(session_id)}
        await self._command("GET", session_id, query=query)

    async def _command(self, method: str, session_id: str, **content: Any) -> None:
        answer = await self.call(
            "chargingprofiles", RECEIVER, method, session_id, to=CPO, **content
        )
        if not answer.is_success or answer.data.get("result") != "ACCEPTED":
            raise LookupError(f"{method}: {answer.envelope}")

    def _url(self, session_id: str) -> str:
        return f"{self.endpoint_url('chargingprofiles', SENDER)}/results/{session_id}"

    async def _result(self, message: Received) -> Reply:
        """Of a PUT it asks what is active now, as whoever steers does; of a GET that is all."""
        session_id = message.parts[-1]
        if message.read(ProfileResult).profile is None:
            self.later(self.ask(session_id))
        else:
            self.chains[session_id].has_result.set()
        return Reply()


class ThinParties:
    """The three of one hub, and its chains."""

    def __init__(self) -> None:
        self.chains: dict[str, Chain] = defaultdict(Chain)
        self.cpo, self.fsp = ThinCpo(self.chains), ThinFsp(self.chains)
        self.emsp = Platform([(EMSP, Role.EMSP)], name="Thin eMSP")
        self.emsp.serve("sessions", RECEIVER, {"PUT": _nothing, "PATCH": _nothing})
        self.platforms = (self.cpo, self.emsp, self.fsp)

    async def pattern(self, session_id: str) -> None:
        """A session that goes on: preferences, a profile, and GETs before and after it."""
        await self.cpo.start_session(session_id)
        for step in (self.fsp.ask, self._change):
            self.chains.pop(session_id, None)
            await step(session_id)
            async with asyncio.timeout(CHAIN_SECONDS):
                await self.chains[session_id].has_result.wait()

    async def _change(self, session_id: str) -> Chain:
        """One chain, until the profile is at the CPO."""
        chain = self.chains[session_id] = Chain()
        wish = preferences(ProfileType.CHEAP, datetime.now(UTC) + timedelta(hours=8), 12.0)
        chain.asked = time.monotonic()
        path = f"{session_id}/charging_preferences"
        answer = await self.emsp.call("sessions", SENDER, "PUT", path, to=CPO, body=wish)
        if answer.data != "ACCEPTED":
            raise LookupError(f"preferences: {answer.envelope}")
        await chain.profile_arrived.wait()
        return chain

    async def run(
        self, sessions: Iterator[str], per_second: float, seconds: float
    ) -> tuple[list[Chain], list[str]]:
        """Begin chains evenly at this rate; those that came to an end, and what went wrong."""
        chains: list[Chain] = []
        errors: list[str] = []

        async def one() -> None:
            try:
                async with asyncio.timeout(CHAIN_SECONDS):
                    chains.append(await self._change(next(sessions)))
            except (TimeoutError, OcpiError, aiohttp.ClientError, LookupError) as error:
                errors.append(f"{type(error).__name__}: {error}")

        begun = time.monotonic()
        tasks = []
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(begun + number / per_second - time.monotonic())
            tasks.append(asyncio.create_task(one()))
        await asyncio.gather(*tasks)
        return chains, errors


async def _nothing(_: Received) -> Reply:
    return Reply([])


def _profile(limit: Decimal, begin: datetime | None) -> ChargingProfile:
    return ChargingProfile(
        charging_rate_unit=ChargingRateUnit.A,
        start_date_time=begin,
        charging_profile_period=[ChargingProfilePeriod(start_period=0, limit=limit)],
    )
