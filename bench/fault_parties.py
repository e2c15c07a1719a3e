"""The parties of the fault drive: one tells numbered things, the others write them down."""

import asyncio
import itertools
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import aiohttp

from hub.ocpi.datatypes import InterfaceRole, Role, decode
from hub.ocpi.party import PartyId
from simulators import documents
from simulators.charging import Ev, Evse, Meter, Plug
from simulators.clock import SessionClock
from simulators.cpo import DEMO_TOKEN
from simulators.documents import SimulatedSession, Site
from simulators.messages import Answered, Received, Reply, moment
from simulators.ocpi_platform import Platform

RECEIVER, SENDER = InterfaceRole.RECEIVER, InterfaceRole.SENDER
CPO = PartyId("NL", "CPO")
PAUSE = 0.05


class Witness(Platform):
    """An eMSP that writes down the numbers that EVSEs are told with, and all CDRs, as they come.

    Of several changes the hub tells the newest, as a PUT of the EVSE or of the whole Location.
    """

    def __init__(self, party: PartyId) -> None:
        super().__init__([(party, Role.EMSP)], name=str(party))
        self.party = party
        self.updates: dict[str, list[int]] = defaultdict(list)
        self.cdrs: dict[str, int] = defaultdict(int)
        self.serve("locations", RECEIVER, {"PUT": self._tell, "PATCH": self._tell})
        self.serve("cdrs", RECEIVER, {"POST": self._post_cdr})

    async def _tell(self, message: Received) -> Reply:
        told = decode(message.body, dict[str, Any])
        self._note("/".join(message.parts[2:]), told)
        for evse in told.get("evses", []):
            self._note(f"{message.parts[2]}/{evse['uid']}", evse)
        return Reply()

    def _note(self, path: str, told: dict[str, Any]) -> None:
        if "number" in told:
            self.updates[path].append(told["number"])

    async def _post_cdr(self, message: Received) -> Reply:
        self.cdrs[decode(message.body, dict[str, Any])["id"]] += 1
        return Reply(http_status=HTTPStatus.CREATED)


@dataclass
class Told:
    """What the hub has acknowledged."""

    updates: dict[str, int] = field(default_factory=dict)
    cdrs: dict[str, PartyId] = field(default_factory=dict)
    repeated: int = 0


class Teller(Platform):
    """A CPO whose EVSEs change all the time; what is not acknowledged is told again."""

    def __init__(self, evses: int) -> None:
        super().__init__([(CPO, Role.CPO)], name=str(CPO))
        self.told = Told()
        self.site = Site(evses=tuple(Evse(f"E{number}") for number in range(evses)))
        self.serve("locations", SENDER, {})
        self.serve("cdrs", SENDER, {})
        self._stopping = asyncio.Event()
        self._work: list[asyncio.Task[None]] = []

    async def begin(self, witnesses: list[Witness], cdrs_per_second: float) -> None:
        """PUT the Location; then let its EVSEs change and sessions end, until `end`."""
        location = documents.location(self.site, CPO, datetime.now(UTC), set())
        await self._until_taken("locations", "PUT", f"NL/CPO/{self.site.id}", location)
        self._work = [asyncio.create_task(self._change(evse)) for evse in self.site.evses]
        self._work.append(asyncio.create_task(self._end_sessions(witnesses, 1 / cdrs_per_second)))

    async def end(self) -> None:
        """Tell what has been begun to its end, and nothing more."""
        self._stopping.set()
        await asyncio.gather(*self._work)

    async def _change(self, evse: Evse) -> None:
        path = f"{self.site.id}/{evse.uid}"
        for number in itertools.count(1):
            if self._stopping.is_set():
                return
            status = "CHARGING" if number % 2 else "AVAILABLE"
            body = {"status": status, "number": number, "last_updated": moment(datetime.now(UTC))}
            await self._until_taken("locations", "PATCH", f"NL/CPO/{path}", body)
            self.told.updates[path] = number
            await asyncio.sleep(random.uniform(0, 0.4))  # noqa: S311 - no secret

    async def _end_sessions(self, witnesses: list[Witness], seconds: float) -> None:
        for number in itertools.count(1):
            if self._stopping.is_set():
                return
            emsp = witnesses[number % len(witnesses)].party
            document = _cdr(self.site, f"CDR-{number}", emsp)
            await self._until_taken("cdrs", "POST", "", document)
            self.told.cdrs[document["id"]] = emsp
            await asyncio.sleep(seconds)

    async def _until_taken(self, module: str, method: str, path: str, body: Any) -> Answered:
        """The same message until the hub says that it has it, as a careful CPO would."""
        while True:
            try:
                answer = await self.call(
                    module, RECEIVER, method, path, from_=CPO, body=body, within=10
                )
                if answer.is_success:
                    return answer
            except (aiohttp.ClientError, TimeoutError):
                pass  # The hub is away for a moment: that is what this is about.
            self.told.repeated += 1
            await asyncio.sleep(PAUSE)

    async def all_cdrs(self) -> list[str]:
        """The ids of all CDRs in the hub's store, page by page."""
        found: list[str] = []
        hub = next(iter(self.hub.parties))
        answer = await self.call("cdrs", SENDER, "GET", to=hub, from_=CPO, query={"limit": "100"})
        while True:
            found += [cdr["id"] for cdr in answer.data]
            link = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
            if not link:
                return found
            answer = await self.send(
                "GET", link, connection=self.hub, routing=(hub, CPO), switches=self.faults.general
            )


def _cdr(site: Site, cdr_id: str, emsp: PartyId) -> dict[str, Any]:
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    clock = SessionClock(begun, 1)
    token = DEMO_TOKEN.__class__(
        emsp.country_code, emsp.party_id, "CARD", DEMO_TOKEN.type, "DE-MSP-C1"
    )
    session = SimulatedSession(
        id=cdr_id,
        owner=CPO,
        site=site,
        plug=Plug(site.evses[0], Ev(), clock.start),
        meter=Meter(clock.start),
        clock=clock,
        token=token,
        last_updated=datetime.now(UTC),
        ended_at=begun + timedelta(minutes=30),
    )
    return documents.cdr(session)
