"""The demo: a CPO, an eMSP and two SCSPs at the hub, and cars that come and go."""

import asyncio
import logging
import random
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from hub.ocpi.datatypes import ocpi_now
from hub.ocpi.errors import OcpiError
from hub.ocpi.party import PartyId
from party import memory
from party.messages import to_json
from sessions.objects import CdrToken, ProfileType, TokenType
from simulators import documents
from simulators.charging import VOLTS, Ev
from simulators.cpo import Cpo
from simulators.documents import SimulatedSession, called
from simulators.driving_data import PRICE_DAY, SOURCES, Day, Visit
from simulators.emsp import Emsp, preferences
from simulators.episodes import Episodes
from simulators.faulty_platform import FaultyPlatform
from simulators.hub_app import HubApp
from simulators.scsp import Scsp

logger = logging.getLogger(__name__)
story = logging.getLogger("simulators.story")

PROJECT: Final = Path(__file__).resolve().parent.parent
CPO, EMSP, SCSP = PartyId("NL", "CPO"), PartyId("DE", "MSP"), PartyId("NL", "SCS")
# Gets sessions by the operator's word alone.
SUCCESSOR: Final = PartyId("NL", "GRN")
CARS: Final = (
    Ev(max_amps=16, phases=1),
    Ev(max_amps=16, phases=3),
    Ev(max_amps=32, phases=1),
    Ev(max_amps=16, phases=3),
)
WISHES: Final = (ProfileType.CHEAP,) * 6 + (ProfileType.REGULAR, ProfileType.FAST)
DRIVERS_WHO_ASK: Final = 0.75
SECONDS_BETWEEN_CARS: Final = (15.0, 40.0)
SECONDS_TO_ASK: Final = (2.0, 6.0)


class DemoFailed(Exception):
    """The demo cannot go on; the message says why in one line."""


class _Invitation(msgspec.Struct):
    token: str
    versions_url: str


@dataclass
class Demo:
    """`run` until somebody stops it."""

    hub_versions_url: str
    data: Path
    speed_up: float
    page_port: int
    hour: int

    async def run(self, stop: asyncio.Event) -> None:
        """Join the hub, then let cars come until `stop` is set."""
        day = Day.at(self.hour, datetime.now(UTC))
        speed_up, port = self.speed_up, self.page_port
        cpo = Cpo(CPO, day=day, speed_up=speed_up, name="Demo CPO", port=port + 1)
        emsp = Emsp(EMSP, speed_up=speed_up, name="Demo eMSP", port=port)
        scsp = Scsp(SCSP, day=day, speed_up=speed_up, name="Demo SCSP", port=port + 2)
        successor = Scsp(SUCCESSOR, day=day, speed_up=speed_up, name="Demo SCSP 2", port=port + 3)
        platforms: tuple[FaultyPlatform, ...] = (cpo, emsp, scsp, successor)
        try:
            for platform in platforms:
                await self._start(platform)
            newcomers = [await self._join(platform) for platform in platforms]
            if any(newcomers) or not self._mandate.exists():
                await _manage("grant_mandate", "--scsp", str(SCSP), "--cpo", str(CPO))
                self._mandate.touch()
            story.info("the driver's page of the demo: %s/", emsp.url)
            story.info(
                "each car has a clock of its own, which begins with the time of day at its "
                "arrival; an hour takes %.0f s; arrivals and prices (%s) begin at %s:00",
                3600 / self.speed_up,
                PRICE_DAY,
                self.hour,
            )
            story.info("figures: %s", SOURCES)
            leftovers = Leftovers(self.data / "demo" / "sessions.json")
            await leftovers.declare_invalid(cpo)
            cpo.on_sessions = leftovers.keep
            await emsp.publish()
            await cpo.publish()
            story.info("%s has told all parties its Location and Tariff", cpo.name)
            api = self.hub_versions_url.removesuffix("/ocpi/versions") + "/flex/v1"
            emsp.hub_app = HubApp(api, await _key(EMSP, "EMSP"))
            emsp.later(emsp.hub_app.follow())
            episodes = Episodes(cpo, emsp, SUCCESSOR, api, await _key(CPO, "CPO"), _manage)
            cars = cars_come(cpo, emsp, random.Random())  # noqa: S311 - no secret
            await until(stop, together(cars, episodes.happen()))
        finally:
            for platform in platforms:
                if platform.connections:
                    # The hub may have changed tokens in the meantime.
                    memory.write(platform, platform.hub, self._file(platform))
                await platform.stop()

    @property
    def _mandate(self) -> Path:
        return self.data / "demo" / "mandate"

    def _file(self, platform: FaultyPlatform) -> Path:
        return self.data / "demo" / f"{platform.parties[0]}.json"

    async def _start(self, platform: FaultyPlatform) -> None:
        try:
            await platform.start()
        except OSError as error:
            raise DemoFailed(
                f"{platform.name} cannot listen on port {platform.port}, choose others with "
                f"DEMO_PORT: {error.strerror}"
            ) from error

    async def _join(self, platform: FaultyPlatform) -> bool:
        """True when the party is new at the hub."""
        file = self._file(platform)
        remembered = memory.read(file)
        if remembered is not None:
            connection = await memory.resume(platform, remembered)
            if connection is not None:
                memory.write(platform, connection, file)
                story.info("%s is known at the hub", platform.name)
                return False
        party, role = platform.roles[0]
        told = await _manage(
            "invite_party", party.country_code, party.party_id,
            "--role", role, "--name", platform.name, "--json",
        )  # fmt: skip
        invitation = msgspec.json.decode(told, type=_Invitation)
        connection = await platform.register(
            invitation.versions_url or self.hub_versions_url, invitation.token
        )
        memory.write(platform, connection, file)
        story.info("%s (%s) has registered with the hub", platform.name, party)
        return True


@dataclass(frozen=True)
class Leftovers:
    """The running sessions, in a file: after a restart nobody can meter them any more."""

    file: Path

    def keep(self, running: Sequence[SimulatedSession]) -> None:
        """Write down what would have to be ended."""
        self.file.write_bytes(to_json([documents.session(session) for session in running]))

    async def declare_invalid(self, cpo: Cpo) -> None:
        """INVALID: "declared invalid and will not be billed" (mod_sessions, SessionStatus)."""
        if not self.file.exists():
            return
        for session in msgspec.json.decode(self.file.read_bytes(), type=list[dict[str, Any]]):
            ended = {"status": "INVALID", "end_date_time": ocpi_now(), "last_updated": ocpi_now()}
            token = session["cdr_token"]
            await cpo.push(
                "sessions",
                "PUT",
                f"{cpo.party.country_code}/{cpo.party.party_id}/{session['id']}",
                to=PartyId.of(token["country_code"], token["party_id"]),
                body=session | ended,
            )
        self.file.unlink()


async def cars_come(cpo: Cpo, emsp: Emsp, chance: random.Random) -> None:
    """A car whenever a socket is free; most drivers say what they want."""
    drivers: set[asyncio.Task[None]] = set()
    arrivals = 0
    while True:
        evse = cpo.free_evse()
        if evse is not None:
            # The first driver always asks, so that there is something to see at once.
            asks = arrivals == 0 or chance.random() < DRIVERS_WHO_ASK
            arrivals += 1
            arrived = await _arrive(cpo, emsp, evse.uid, arrivals, chance)
            if arrived is not None and asks:
                session, wanted = arrived
                driver = asyncio.create_task(_ask(emsp, session, wanted, chance))
                drivers.add(driver)
                driver.add_done_callback(drivers.discard)
        await asyncio.sleep(chance.uniform(*SECONDS_BETWEEN_CARS))


async def _arrive(
    cpo: Cpo, emsp: Emsp, evse_uid: str, number: int, chance: random.Random
) -> tuple[SimulatedSession, Visit] | None:
    """A driver holds a card to the charge point, whose CPO asks who issued it."""
    drawn = cpo.day.visit(datetime.now(UTC), chance)
    car = CARS[number % len(CARS)]
    kilowatts = car.max_amps * car.phases * VOLTS / 1000
    hours = drawn.stay.total_seconds() / 3600
    # Figures of stay and energy are drawn apart; no driver needs more than fits into the stay.
    need = min(drawn.energy_kwh, 0.8 * kilowatts * hours)
    car = Ev(battery_kwh=need + 3, charged_kwh=0, max_amps=car.max_amps, phases=car.phases)
    token = CdrToken(
        EMSP.country_code, EMSP.party_id, f"DEMO-{number:06}", TokenType.APP_USER,
        f"DE-MSP-C{number:08}",
    )  # fmt: skip
    emsp.issue(token.uid, token.type, token.contract_id)
    try:
        issuer = await cpo.authorize(token)
    except (OcpiError, aiohttp.ClientError, TimeoutError, LookupError) as error:
        logger.warning("a driver cannot be authorized: %s", error or type(error).__name__)
        return None
    if issuer is None:
        story.info("a driver is not allowed to charge")
        return None
    session = await cpo.start_session(evse_uid, token=token, ev=car, stay=drawn.stay)
    return session, Visit(drawn.stay, need)


async def _ask(emsp: Emsp, session: SimulatedSession, wanted: Visit, chance: random.Random) -> None:
    await asyncio.sleep(chance.uniform(*SECONDS_TO_ASK))
    departure = session.clock.start + wanted.stay
    wish = preferences(chance.choice(WISHES), departure, wanted.energy_kwh)
    try:
        await emsp.send_preferences(session.id, wish)
    except (OcpiError, aiohttp.ClientError, TimeoutError) as error:
        logger.warning("%s the wishes did not get through: %s", called(session.id), error)


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """All at once; the first that fails ends all, with its reason."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed


async def until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Let `work` go on until `stop` is set; a failure of it ends the demo with its reason."""
    working = asyncio.create_task(work)
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (working, waiting):
        if not task.done():
            task.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    try:
        await working
    except asyncio.CancelledError:
        logger.info("no more cars")


async def _key(party: PartyId, use: str) -> str:
    """A new key of the flex API."""
    return (await _manage("flex_key", str(party), "--use", use, "--name", "demo")).decode()


async def _manage(*arguments: str) -> bytes:
    """Run a command of the hub as its operator would; the last line that it wrote."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "manage.py", *arguments,
        cwd=PROJECT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    if process.returncode:
        lines: Sequence[bytes] = err.strip().splitlines() or [b"no message"]
        raise DemoFailed(f"manage.py {arguments[0]}: {lines[-1].decode(errors='replace')}")
    lines = out.strip().splitlines()
    return lines[-1] if lines else b""
