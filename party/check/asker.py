"""Who asks when a party checks itself: a platform of its own that plays a hub (credentials)."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import aiohttp

from hub.ocpi.configuration import VersionDetails
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import VERSION
from party.check.asking import Came, NoAnswer, Result
from party.client import TooLong
from party.messages import Received, Reply
from party.ocpi_platform import Platform

RESULTS: Final = "check-result"
# Beyond that an answer is not read: a fault of its own (transport.SIZE).
MOST_BYTES: Final = 20_000_000


class CheckPlatform(Platform):
    """A hub without anybody behind it; results come in at an interface that only it names."""

    def __init__(self, party: PartyId, **listen: Any) -> None:
        super().__init__([(party, Role.HUB)], name="Party check", **listen)
        self.results: dict[str, asyncio.Future[Result]] = {}
        self.serve(RESULTS, InterfaceRole.SENDER, {"POST": self._post_result})

    def version_details(self) -> VersionDetails:
        """The interface for results is left out: it is not a module."""
        found = super().version_details().endpoints
        return VersionDetails(VERSION, [one for one in found if one.identifier != RESULTS])

    def check_sender(self, message: Received) -> None:
        """Without a registration nobody knows which token a party posts with: the key is enough."""
        if message.module != RESULTS or self.connections:
            super().check_sender(message)

    def new_response_url(self) -> str:
        """Has a query, since some drop it."""
        key = secrets.token_urlsafe(16)
        self.results[key] = asyncio.get_running_loop().create_future()
        return f"{self.endpoint_url(RESULTS, InterfaceRole.SENDER)}/{key}?check=1"

    async def _post_result(self, message: Received) -> Reply:
        waiting = self.results.get(message.parts[0]) if len(message.parts) == 1 else None
        if waiting is None:
            raise InvalidParameters("Nobody has given out this response_url.")
        if not waiting.done():
            waiting.set_result(Result(message.body, urlencode(list(message.query.items()))))
        return Reply()


class PlatformAsker:
    """Asker of a check that runs in a thread, while `platform` runs in the loop of another."""

    def __init__(self, platform: CheckPlatform, loop: asyncio.AbstractEventLoop) -> None:
        self.party = platform.parties[0]
        self._platform = platform
        self._loop = loop

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        module: str,
        seconds: float,
    ) -> Came:
        """One request by the platform's client."""
        host = urlsplit(url).netloc
        call = self._platform.client.exchange(
            method, url, headers, body, within=seconds, at_most=MOST_BYTES
        )
        try:
            answer = asyncio.run_coroutine_threadsafe(call, self._loop).result()
        except TimeoutError as error:
            raise NoAnswer(f"{host} did not answer in time.") from error
        except TooLong as error:
            raise NoAnswer(str(error), is_too_long=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise NoAnswer(f"{host} cannot be reached: {reason}.") from error
        return Came(answer.status, answer.headers, answer.body)

    def response_url(self) -> str:
        """Of the platform's server."""

        async def new() -> str:
            return self._platform.new_response_url()

        return asyncio.run_coroutine_threadsafe(new(), self._loop).result()

    def result(self, response_url: str, seconds: float) -> Result | None:
        """The first one."""
        key = urlsplit(response_url).path.rpartition("/")[2]

        async def awaited() -> Result | None:
            try:
                return await asyncio.wait_for(asyncio.shield(self._platform.results[key]), seconds)
            except TimeoutError:
                return None

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()
