"""The flex API of a hub, as a flexibility provider reads it (docs/flexibility.md, "Flex API").

OCPI carries no limit of a site and few of a driver's wishes; the hub tells both here. Who has no
key does without: each session is then planned by itself.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from charging_profiles.objects import ChargingRateUnit

logger = logging.getLogger(__name__)
# Seconds: how long an answer about changes may wait, how long any answer, and after a failure.
WAIT: Final = 20
PATIENCE: Final = 40
AGAIN: Final = 5
# Sessions themselves come by OCPI.
TOPICS: Final = "ASSIGNMENT,PREFERENCES,SITE"
# Changes that come at once are read once.
PAUSE: Final = 1
T = TypeVar("T")


class LimitPeriod(msgspec.Struct):
    """A limit from `start` until the next one; None: none."""

    start: datetime
    limit: float | None


class SiteLimits(msgspec.Struct):
    """Of one unit: W in all, or A of each phase."""

    unit: ChargingRateUnit
    periods: list[LimitPeriod]


class Strangers(msgspec.Struct):
    """What others' sessions take of a site, in W or in A of each phase."""

    unit: ChargingRateUnit
    taken: float


class SiteTold(msgspec.Struct):
    """A site of sessions that we may steer, and which of them are there."""

    cpo: str
    name: str
    limits: list[SiteLimits] = []
    sessions: list[str] = []
    strangers: list[Strangers] = []


class Wishes(msgspec.Struct):
    """What the driver's app told and OCPI has no field for."""

    min_soc: float | None = None
    target_soc: float | None = None
    max_soc: float | None = None
    priority_charging: bool | None = None
    green_level: float | None = None
    # The price of a kWh that the driver wants to be planned with.
    tariff_override: float | None = None


class SessionTold(msgspec.Struct):
    """A session that we may steer."""

    session_id: str
    wishes: Wishes | None = None


class _Page(msgspec.Struct):
    sessions: list[SessionTold]
    after: int | None = None


class _Changes(msgspec.Struct):
    cursor: str
    changes: list[Any] = []


class Told(msgspec.Struct):
    """All that is read at once: sites, and the wishes of sessions by id in upper case."""

    sites: list[SiteTold]
    wishes: dict[str, Wishes]


class FlexApi:
    """`url` ends in /flex/v1; `key` is one of the back-end of this flexibility provider."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}

    async def follow(self, tell: Callable[[Told], None]) -> None:
        """Tell what the hub knows, at once and whenever it may have changed; until cancelled."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(headers=self._headers, timeout=timeout) as http:
            cursor = ""
            while True:
                try:
                    cursor = await self._changed(http, cursor)
                    tell(await self._read(http))
                except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
                    logger.warning("flex API: %s", error or type(error).__name__)
                    if getattr(error, "status", None) == HTTPStatus.GONE:
                        cursor = ""
                    await asyncio.sleep(AGAIN)
                else:
                    await asyncio.sleep(PAUSE)

    async def _changed(self, http: aiohttp.ClientSession, cursor: str) -> str:
        """The next cursor: at once for the first, else when something has changed, or in time."""
        query = {"cursor": cursor, "wait": str(WAIT), "topics": TOPICS} if cursor else {}
        return (await self._get(http, "fsp/changes", query, _Changes)).cursor

    async def _read(self, http: aiohttp.ClientSession) -> Told:
        sites = await self._get(http, "fsp/sites", {}, list[SiteTold])
        wishes: dict[str, Wishes] = {}
        after: int | None = 0
        while after is not None:
            page = await self._get(http, "fsp/sessions", {"after": str(after)}, _Page)
            wishes |= {one.session_id.upper(): one.wishes for one in page.sessions if one.wishes}
            after = page.after
        return Told(sites, wishes)

    async def _get(
        self, http: aiohttp.ClientSession, path: str, query: Mapping[str, str], expected: type[T]
    ) -> T:
        async with http.get(f"{self._url}/{path}", params=query) as answer:
            body = await answer.read()
            answer.raise_for_status()
            return msgspec.json.decode(body, type=expected)
