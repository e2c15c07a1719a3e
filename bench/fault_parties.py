"""The parties of the fault drive: one tells numbered things, the others write them down."""

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import aiohttp
from msgspec import UNSET

from cdrs.objects import CdrToken
from hub.ocpi.datatypes import InterfaceRole, Role, decode
from hub.ocpi.party import PartyId
from party.messages import Answered, Received, Reply, moment
from simulators import documents
from simulators.charging import Ev, Evse, Meter, Plug
from simulators.clock import SessionClock
from simulators.cpo import DEMO_TOKEN
from simulators.documents import SimulatedSession, Site
from simulators.driving_data import REAL_DAY
from simulators.faulty_platform import FaultyPlatform

RECEIVER, SENDER = InterfaceRole.RECEIVER, InterfaceRole.SENDER
CPO = PartyId("NL", "CPO")
PAUSE = 0.05
TARIFFS = 3


class Witness(FaultyPlatform):
    """An eMSP that writes down the numbers of EVSEs and Tariffs, and all CDRs, as they come.

    Of several changes the hub tells the newest, as a PUT of the EVSE or of the whole Location. The
    number of a Tariff that is deleted is 0. `answers_after`: seconds. `is_busy`: two of three
    pushes are answered with 429.
    """

    def __init__(
        self, party: PartyId, *, answers_after: float = 0.0, is_busy: bool = False
    ) -> None:
        super().__init__([(party, Role.EMSP)], name=str(party))
        self.party = party
        self.updates: dict[str, list[int]] = defaultdict(list)
        self.tariffs: dict[str, list[int]] = defaultdict(list)
        self.cdrs: dict[str, int] = defaultdict(int)
        # What it has read in lists, where it has come anew.
        self.read: dict[str, int] = {}
        self._answers_after = answers_after
        self._is_busy = is_busy
        self._asked = itertools.count(1)
        self.serve("locations", RECEIVER, {"PUT": self._tell, "PATCH": self._tell})
        self.serve("tariffs", RECEIVER, {"PUT": self._put_tariff, "DELETE": self._delete_tariff})
        self.serve("sessions", RECEIVER, {"PUT": self._take, "PATCH": self._take})
        self.serve("cdrs", RECEIVER, {"POST": self._post_cdr})

    def state(self) -> dict[str, int]:
        """The newest number that it has of each EVSE."""
        told = {path: numbers[-1] for path, numbers in self.updates.items()}
        return {path: max(told.get(path, 0), self.read.get(path, 0)) for path in told | self.read}

    def tariff(self, tariff_id: str) -> int:
        """The number that it has of a Tariff; 0 where it has none."""
        told = self.tariffs.get(tariff_id)
        return told[-1] if told else self.read.get(tariff_id, 0)

    def forget(self) -> None:
        """It begins anew."""
        self.updates.clear()
        self.tariffs.clear()
        self.read.clear()

    async def read_all(self, hub: PartyId) -> None:
        """GET what there is, as one that has just come."""
        for module in ("locations", "tariffs"):
            answer = await self.call(
                module, SENDER, "GET", to=hub, from_=self.party, query={"limit": "100"}
            )
            for one in answer.data:
                for path, told in _numbered(one, one["id"]):
                    self.read[path] = told

    async def _take(self, message: Received) -> Reply:
        return Reply()

    async def _is_refused(self) -> bool:
        await asyncio.sleep(self._answers_after)
        return self._is_busy and next(self._asked) % 3 != 0

    async def _tell(self, message: Received) -> Reply:
        if await self._is_refused():
            return Reply(http_status=HTTPStatus.TOO_MANY_REQUESTS)
        told = decode(message.body, dict[str, Any])
        for path, number in _numbered(told, "/".join(message.parts[2:])):
            self.updates[path].append(number)
        return Reply()

    async def _put_tariff(self, message: Received) -> Reply:
        if await self._is_refused():
            return Reply(http_status=HTTPStatus.TOO_MANY_REQUESTS)
        number = decode(message.body, dict[str, Any])["number"]
        self.tariffs[message.parts[2]].append(number)
        return Reply()

    async def _delete_tariff(self, message: Received) -> Reply:
        if await self._is_refused():
            return Reply(http_status=HTTPStatus.TOO_MANY_REQUESTS)
        self.tariffs[message.parts[2]].append(0)
        return Reply()

    async def _post_cdr(self, message: Received) -> Reply:
        self.cdrs[decode(message.body, dict[str, Any])["id"]] += 1
        return Reply(http_status=HTTPStatus.CREATED)


def _numbered(told: dict[str, Any], path: str) -> Iterator[tuple[str, int]]:
    """What is numbered in a document: itself, and its EVSEs."""
    if "number" in told:
        yield path, told["number"]
    for evse in told.get("evses", []):
        if "number" in evse:
            yield f"{path}/{evse['uid']}", evse["number"]


@dataclass
class Told:
    """What the hub has acknowledged."""

    updates: dict[str, int] = field(default_factory=dict)
    cdrs: dict[str, PartyId] = field(default_factory=dict)
    # 0: it was deleted.
    tariffs: dict[str, int] = field(default_factory=dict)
    tariff_changes: int = 0
    repeated: int = 0
    slowest: float = 0.0


class Teller(FaultyPlatform):
    """A CPO whose EVSEs change all the time; what is not acknowledged is told again."""

    def __init__(self, evses: int) -> None:
        super().__init__([(CPO, Role.CPO)], name=str(CPO))
        self.told = Told()
        self.site = Site(evses=tuple(Evse(f"E{number}") for number in range(evses)))
        self.serve("locations", SENDER, {})
        self.serve("tariffs", SENDER, {})
        self.serve("cdrs", SENDER, {})
        self._stopping = asyncio.Event()
        self._work: list[asyncio.Task[None]] = []

    async def begin(self, witnesses: list[Witness], cdrs_per_second: float) -> None:
        """PUT the Location; then let its EVSEs change and sessions end, until `end`."""
        location = documents.location(self.site, CPO, datetime.now(UTC), set())
        await self._until_taken("locations", "PUT", f"NL/CPO/{self.site.id}", location)
        self._work = [asyncio.create_task(self._change(evse)) for evse in self.site.evses]
        self._work.append(asyncio.create_task(self._end_sessions(witnesses, 1 / cdrs_per_second)))
        self._work += [asyncio.create_task(self._price(f"T{number}")) for number in range(TARIFFS)]

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

    async def _price(self, tariff_id: str) -> None:
        """PUT it, and DELETE it now and then; its number goes on all the same."""
        for number in itertools.count(1):
            if self._stopping.is_set():
                return
            path = f"NL/CPO/{tariff_id}"
            if number % 4:
                document = documents.tariff(CPO, datetime.now(UTC), REAL_DAY)
                document |= {"id": tariff_id, "number": number}
                await self._until_taken("tariffs", "PUT", path, document)
            else:
                await self._until_taken("tariffs", "DELETE", path, UNSET)
            self.told.tariffs[tariff_id] = number if number % 4 else 0
            self.told.tariff_changes += 1
            await asyncio.sleep(random.uniform(0, 1.5))  # noqa: S311 - no secret

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
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                answer = await self.call(
                    module, RECEIVER, method, path, from_=CPO, body=body, within=10
                )
                # Where the answer was lost, a DELETE that is repeated finds nothing.
                is_gone = method == "DELETE" and answer.http_status == HTTPStatus.NOT_FOUND
                if answer.is_success or is_gone:
                    self.told.slowest = max(self.told.slowest, loop.time() - began)
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
            answer = await self.send("GET", link, connection=self.hub, routing=(hub, CPO))


def _cdr(site: Site, cdr_id: str, emsp: PartyId) -> dict[str, Any]:
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    clock = SessionClock(begun, 1)
    session = SimulatedSession(
        id=cdr_id,
        owner=CPO,
        site=site,
        plug=Plug(site.evses[0], Ev(), clock.start),
        meter=Meter(clock.start),
        clock=clock,
        token=cdr_token(emsp),
        last_updated=datetime.now(UTC),
        ended_at=begun + timedelta(minutes=30),
    )
    return documents.cdr(session)


def cdr_token(emsp: PartyId) -> CdrToken:
    """A card of a driver of this eMSP."""
    return CdrToken(emsp.country_code, emsp.party_id, "CARD", DEMO_TOKEN.type, "DE-MSP-C1")
