"""Who sends numbered profile commands in the fault drive, and the CPO that writes down their order.

mod_charging_profiles: PUT and DELETE; of several for one session the last one counts.
"""

import asyncio
import itertools
from collections.abc import Callable
from decimal import Decimal
from http import HTTPStatus

import aiohttp

from charging_profiles.objects import (
    ChargingProfile,
    ChargingProfilePeriod,
    ChargingRateUnit,
    SetChargingProfile,
)
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.party import PartyId
from party.messages import Answered, Handler, Received, Reply
from simulators.cpo import Cpo
from simulators.faulty_platform import FaultyPlatform

RECEIVER, SENDER = InterfaceRole.RECEIVER, InterfaceRole.SENDER
SESSION = "COMMANDED"
PAUSE = 0.3
# Every so many commands a DELETE.
DELETES = 5


class Commanded(Cpo):
    """A CPO with one session; `arrived` are the numbers of its commands as they came."""

    def __init__(self, party: PartyId, deleted_by: Callable[[], int]) -> None:
        self.arrived: list[int] = []
        self._deleted_by = deleted_by
        super().__init__(party, name=str(party))

    def serve(self, module: str, interface: InterfaceRole, methods: dict[str, Handler]) -> None:
        """As always, except the commands that change something."""
        if module == "chargingprofiles":
            methods = methods | {
                "PUT": self._noting(methods["PUT"], _number),
                "DELETE": self._noting(methods["DELETE"], lambda message: self._deleted_by()),
            }
        super().serve(module, interface, methods)

    def _noting(self, handler: Handler, number: Callable[[Received], int]) -> Handler:
        async def noting(message: Received) -> Reply:
            self.arrived.append(number(message))
            return await handler(message)

        return noting


def _number(message: Received) -> int:
    (period,) = message.read(SetChargingProfile).charging_profile.charging_profile_period
    return int(period.limit)


class Commander(FaultyPlatform):
    """An SCSP that sends one command after the other, whatever became of the one before."""

    def __init__(self, party: PartyId) -> None:
        super().__init__([(party, Role.SCSP)], name=str(party))
        self.party = party
        self.accepted = self.last = 0
        # A DELETE has no number of its own on the wire.
        self.last_delete = 0
        self._stopping = asyncio.Event()
        self.serve("chargingprofiles", SENDER, {"POST": _taken, "PUT": _taken})
        self.serve("sessions", RECEIVER, {"PUT": _taken, "PATCH": _taken})

    async def command_on(self, cpo: PartyId) -> None:
        """Until `end`; the last one is sent until it is accepted."""
        for self.last in itertools.count(1):
            is_last = self._stopping.is_set()
            is_delete = not is_last and self.last % DELETES == 0
            if is_delete:
                self.last_delete = self.last
            if await self._is_accepted(cpo, self.last, is_delete=is_delete):
                self.accepted += 1
                if is_last:
                    return
            await asyncio.sleep(PAUSE)

    def end(self) -> None:
        """One more, and no other."""
        self._stopping.set()

    async def _is_accepted(self, cpo: PartyId, number: int, *, is_delete: bool) -> bool:
        try:
            answer = await self._send(cpo, number, is_delete=is_delete)
        except (aiohttp.ClientError, TimeoutError):
            return False
        return (
            answer.is_success
            and isinstance(answer.data, dict)
            and answer.data.get("result") == "ACCEPTED"
        )

    async def _send(self, cpo: PartyId, number: int, *, is_delete: bool) -> Answered:
        url = f"{self.endpoint_url('chargingprofiles', SENDER)}/results/{number}"
        if is_delete:
            return await self.call(
                "chargingprofiles",
                RECEIVER,
                "DELETE",
                SESSION,
                to=cpo,
                query={"response_url": url},
                within=10,
            )
        period = ChargingProfilePeriod(start_period=0, limit=Decimal(number))
        profile = ChargingProfile(
            charging_rate_unit=ChargingRateUnit.W, charging_profile_period=[period]
        )
        body = SetChargingProfile(profile, url)
        return await self.call(
            "chargingprofiles", RECEIVER, "PUT", SESSION, to=cpo, body=body, within=10
        )


async def _taken(message: Received) -> Reply:
    return Reply(http_status=HTTPStatus.OK)
