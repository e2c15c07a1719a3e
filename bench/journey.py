"""The flexibility journey under load: from the driver's preferences to the profile at the CPO.

SCALE D2.3, 11.4. Simulated CPO, eMSP and SCSP do the whole life of each session through a whole
hub; each notes when a message came and when its own went out, so that what is left is the hub's.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from bench.measurements import percentile
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import OcpiError
from party.messages import Answered, Handler, Received, Reply
from sessions.objects import ProfileType
from simulators.charging import Evse
from simulators.cpo import Cpo
from simulators.documents import Site
from simulators.emsp import Emsp, preferences
from simulators.scsp import Scsp

SOCKETS = 2000
SESSION_SECONDS = 20.0


@dataclass
class Journey:
    """When what happened to one session, in seconds of one clock."""

    asked: float = 0.0
    at_cpo: float = 0.0
    answered_by_cpo: float = 0.0
    at_scsp: float = 0.0
    pushed_by_scsp: float = 0.0
    profile_at_cpo: float = 0.0
    profile_arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def legs(self) -> dict[str, float]:
        """The hub's three parts: what happens between the parties' own work."""
        return {
            "preferences to CPO": self.at_cpo - self.asked,
            "CPO's answer to SCSP": self.at_scsp - self.answered_by_cpo,
            "profile to CPO": self.profile_at_cpo - self.pushed_by_scsp,
        }

    @property
    def of_hub(self) -> float:
        """The hub's share of the way from preferences to profile."""
        return sum(self.legs.values())


Journeys = defaultdict[str, Journey]


class NotingCpo(Cpo):
    """Notes preferences and profiles."""

    journeys: Journeys

    def serve(self, module: str, interface: InterfaceRole, methods: dict[str, Handler]) -> None:
        """As always, except two handlers."""
        if module == "sessions":
            methods = methods | {"PUT": self._noting_preferences(methods["PUT"])}
        if module == "chargingprofiles":
            methods = methods | {"PUT": self._noting_profile(methods["PUT"])}
        super().serve(module, interface, methods)

    def _noting_preferences(self, handler: Handler) -> Handler:
        async def noting(message: Received) -> Reply:
            journey = self.journeys[message.parts[0].upper()]
            journey.at_cpo = time.monotonic()
            reply = await handler(message)
            journey.answered_by_cpo = time.monotonic()
            return reply

        return noting

    def _noting_profile(self, handler: Handler) -> Handler:
        async def noting(message: Received) -> Reply:
            journey = self.journeys[message.parts[0].upper()]
            journey.profile_at_cpo = time.monotonic()
            journey.profile_arrived.set()
            return await handler(message)

        return noting


class NotingScsp(Scsp):
    """Notes when it hears of preferences, and when its profile leaves."""

    journeys: Journeys

    def serve(self, module: str, interface: InterfaceRole, methods: dict[str, Handler]) -> None:
        """As always, except one handler."""
        if module == "sessions" and interface == InterfaceRole.SENDER:
            handler = methods["PUT"]

            async def noting(message: Received) -> Reply:
                self.journeys[message.parts[0].upper()].at_scsp = time.monotonic()
                return await handler(message)

            methods = {"PUT": noting}
        super().serve(module, interface, methods)

    async def call(
        self, module: str, interface: InterfaceRole, method: str, path: str = "", **more: Any
    ) -> Answered:
        """Notes a PUT of a profile."""
        if (module, method) == ("chargingprofiles", "PUT"):
            self.journeys[path.upper()].pushed_by_scsp = time.monotonic()
        return await super().call(module, interface, method, path, **more)


@dataclass
class Step:
    """What came of one rate."""

    per_second: float
    journeys: list[Journey] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0

    @property
    def p95(self) -> float:
        """Of the hub's share, in seconds."""
        return percentile([journey.of_hub for journey in self.journeys], 0.95)

    def holds(self, limit: float) -> bool:
        """Nothing failed, and the hub was quick enough."""
        return bool(self.journeys) and not self.errors and self.p95 < limit

    def as_json(self) -> dict[str, Any]:
        """In milliseconds."""
        shares = [journey.of_hub for journey in self.journeys]
        legs = {
            name: [
                round(1000 * percentile([j.legs[name] for j in self.journeys], part), 1)
                for part in (0.5, 0.95)
            ]
            for name in Journey().legs
        }
        return {
            "sessions_per_second": self.per_second,
            "sessions": len(self.journeys),
            "errors": self.errors[:5],
            "hub_cpu_ms_per_session": round(1000 * self.cpu_seconds / max(1, len(shares))),
            "hub_p50_ms": round(1000 * percentile(shares, 0.5), 1),
            "hub_p95_ms": round(1000 * percentile(shares, 0.95), 1),
            "legs_p50_p95_ms": legs,
        }


class Parties:
    """CPO, eMSP and SCSP in this process, and the sessions that they live through."""

    def __init__(self) -> None:
        self.journeys: Journeys = defaultdict(Journey)
        sockets = tuple(Evse(f"E{number}") for number in range(SOCKETS))
        self.cpo = NotingCpo(site=Site(limit_amps=1e6, evses=sockets))
        self.emsp = Emsp()
        self.scsp = NotingScsp()
        self.cpo.journeys = self.scsp.journeys = self.journeys
        self._arrivals = 0
        self._changed = asyncio.Event()
        self.scsp.on_change = self._wake

    async def step(self, per_second: float, seconds: float) -> Step:
        """Let cars come evenly at this rate, and wait for the last one's journey."""
        step = Step(per_second)
        begun = time.monotonic()
        lives = []
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(begun + number / per_second - time.monotonic())
            lives.append(asyncio.create_task(self._live(step)))
        await asyncio.gather(*lives)
        return step

    async def _live(self, step: Step) -> None:
        try:
            async with asyncio.timeout(SESSION_SECONDS):
                step.journeys.append(await self._session())
        except (TimeoutError, OcpiError, aiohttp.ClientError, LookupError) as error:
            step.errors.append(f"{type(error).__name__}: {error}")

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _until(self, has_come: Callable[[], bool]) -> None:
        while not has_come():
            await self._changed.wait()

    async def _session(self) -> Journey:
        """Arrival, the SCSP learns the limits, preferences, profile, departure."""
        self._arrivals += 1
        socket = f"E{self._arrivals % SOCKETS}"
        session = await self.cpo.start_session(socket)
        journey = self.journeys[session.id.upper()]
        task = self.scsp.task(session.id)
        await self._until(lambda: task.limits is not None and not task.is_running)
        departure = datetime.now(UTC) + timedelta(hours=8)
        wish = preferences(ProfileType.CHEAP, departure, 12.0)
        journey.asked = time.monotonic()
        answer = await self.emsp.send_preferences(session.id, wish)
        if answer.data != "ACCEPTED":
            raise LookupError(f"the CPO said {answer.envelope}")
        await journey.profile_arrived.wait()
        await self._until(lambda: not task.is_running)
        if not task.follows:
            raise LookupError("the active profile does not follow the pushed one")
        await self.cpo.end_session(session.id)
        del self.cpo.sessions[session.id], self.scsp.tasks[session.id.upper()]
        return journey
