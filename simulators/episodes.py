"""What happens in the demo beside cars: another FSP, a silent CPO, a site limit that falls.

One after the other, each to a session that is steered; the story in the log tells what to look at.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiohttp

from hub.ocpi.datatypes import ocpi_now
from hub.ocpi.errors import OcpiError
from hub.ocpi.party import PartyId
from party.messages import to_json
from sessions.objects import ProfileType
from simulators.cpo import Cpo
from simulators.documents import SimulatedSession, called
from simulators.emsp import Emsp, preferences

logger = logging.getLogger(__name__)
story = logging.getLogger("simulators.story")

EVERY: Final = 45.0  # seconds between two of them
LASTS: Final = 25.0  # how long a CPO is silent, and a limit is lower
LOWER: Final = 0.4  # of the site's limit
PATIENCE: Final = 30


@dataclass
class Episodes:
    """`manage` runs a command of the hub; `api` is its flex API, `key` the CPO's key of that."""

    cpo: Cpo
    emsp: Emsp
    successor: PartyId
    api: str
    key: str
    manage: Callable[..., Awaitable[bytes]]

    async def happen(self) -> None:
        """Until it is cancelled; one that fails is told, and the next one comes."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        headers = {"Authorization": f"Bearer {self.key}"}
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
            await self._tell_limit(http)
            while True:
                for episode in (self._switch, self._silence, lambda one: self._limit(http, one)):
                    await asyncio.sleep(EVERY)
                    steered = self._steered()
                    if steered is None:
                        continue
                    try:
                        await episode(steered)
                    except (OcpiError, aiohttp.ClientError, TimeoutError) as error:
                        logger.warning("the demo goes on: %s", error or type(error).__name__)

    def _steered(self) -> SimulatedSession | None:
        """The newest session that has a profile."""
        found = [one for one in self.cpo.sessions.values() if one.is_active and one.profile_senders]
        return max(found, key=lambda one: one.clock.start, default=None)

    async def _switch(self, session: SimulatedSession) -> None:
        """The operator gives the session to the other SCSP, half-way."""
        before = ", ".join(str(one) for one in session.profile_senders)
        story.info(
            "%s the operator gives it to %s (%s until now): manage.py set_fsp",
            called(session.id),
            self.successor,
            before,
        )
        await self.manage("set_fsp", str(self.cpo.party), session.id, str(self.successor))

    async def _silence(self, session: SimulatedSession) -> None:
        """The CPO accepts profiles and tells no result, as one back-end does; the driver asks."""
        story.info("%s tells no results of profiles for %.0f s", self.cpo.name, LASTS)
        self.cpo.faults.set(module="chargingprofiles", silent_after_accepted=True, timeout=5)
        try:
            await self._ask_anew(session)
            await asyncio.sleep(LASTS)
        finally:
            self.cpo.faults.by_module.pop("chargingprofiles", None)
            story.info("%s tells results again; the hub has asked what is in force", self.cpo.name)

    async def _ask_anew(self, session: SimulatedSession) -> None:
        asked = self.emsp.asked.get(session.id.upper())
        leaves: datetime | None = session.leaves_at
        energy = asked.preferences.energy_need if asked else None
        wish = preferences(ProfileType.CHEAP, leaves, None if energy is None else float(energy))
        await self.emsp.send_preferences(session.id, wish)

    async def _limit(self, http: aiohttp.ClientSession, _: SimulatedSession) -> None:
        """The grid allows the site less for a while; the CPO tells the hub, and its EVSEs."""
        usual = self.cpo.site.limit_amps
        try:
            await self._set_limit(http, round(usual * LOWER, 1))
            await asyncio.sleep(LASTS)
        finally:
            await self._set_limit(http, usual)

    async def _set_limit(self, http: aiohttp.ClientSession, amperes: float) -> None:
        site = self.cpo.site
        story.info("the limit of %s is %g A of each phase from now on", site.name, amperes)
        await self.cpo.set_site_limit(amperes)
        await self._tell_limit(http)

    async def _tell_limit(self, http: aiohttp.ClientSession) -> None:
        site = self.cpo.site
        limit = {"unit": "A", "periods": [{"start": ocpi_now(), "limit": site.limit_amps}]}
        await self._put(http, site.name, {"members": [{"location_id": site.id}], "limits": [limit]})

    async def _put(self, http: aiohttp.ClientSession, name: str, site: dict[str, Any]) -> None:
        url = f"{self.api}/cpo/sites/{name}"
        async with http.put(url, data=to_json(site)) as answer:
            if not answer.ok:
                story.warning("the hub refuses the site: %s", await answer.text())
