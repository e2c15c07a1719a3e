"""Asynchronous results: response_urls given out and awaited, and results posted to others' ones.

mod_commands and mod_charging_profiles, Flow: the Receiver answers at once whether it will ask the
Charge Point, and posts later to the response_url what that one said.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

import aiohttp
import msgspec

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import InvalidParameters
from party.messages import Answered, Received, Reply
from party.recent import Recent

if TYPE_CHECKING:
    from party.ocpi_platform import Platform

logger = logging.getLogger(__name__)
R = TypeVar("R", bound=msgspec.Struct)
A = TypeVar("A", bound=msgspec.Struct)


class CommandRefused(Exception):
    """A command was not accepted, or its result was not ACCEPTED, or never came."""


class Callback(Generic[R]):
    """One response_url that was given out."""

    def __init__(self, key: str, url: str) -> None:
        self.key = key
        self.url = url
        self.first: asyncio.Future[R] = asyncio.get_running_loop().create_future()

    async def result(self, within: float) -> R:
        """The first result; CommandRefused when none has come `within` seconds."""
        try:
            return await asyncio.wait_for(self.first, within)
        except TimeoutError as error:
            raise CommandRefused("no result in time") from error


class Callbacks(Generic[R]):
    """The response_urls of a module's Sender interface; results are objects of type `expected`."""

    def __init__(self, platform: "Platform", module: str, expected: type[R]) -> None:
        self._platform = platform
        self._module = module
        self._expected = expected
        self._open: dict[str, Callback[R]] = {}
        # By the key of the response_url, all that was posted; empty until something is.
        self.results: Recent[str, list[R]] = Recent()

    @contextmanager
    def given_out(self, below: str) -> Iterator[Callback[R]]:
        """A new response_url `{endpoint}/{below}/{key}`.

        It may be awaited within the block; what is posted after that is only kept in `results`.
        """
        key = secrets.token_hex(8)
        url = self._platform.endpoint_url(self._module, InterfaceRole.SENDER)
        callback: Callback[R] = Callback(key, f"{url}/{below}/{key}")
        self._open[key] = callback
        self.results[key] = []
        try:
            yield callback
        finally:
            del self._open[key]
            callback.first.cancel()

    async def post(self, message: Received) -> Reply:
        """The handler of POST: `/{below}/{key}`; InvalidParameters (2001) for any other."""
        key = message.parts[-1] if len(message.parts) == 2 else ""
        if key not in self.results:
            raise InvalidParameters("Nobody has given out this response_url.")
        result = message.read(self._expected)
        self.results[key] = [*self.results[key], result]
        callback = self._open.get(key)
        if callback is not None and not callback.first.done():
            callback.first.set_result(result)
        return Reply()


def read_response(answer: Answered, expected: type[A]) -> A:
    """The Receiver's immediate answer; CommandRefused when it is an error, or not of its type."""
    if not answer.is_success:
        raise CommandRefused(answer.summary)
    data = answer.data
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    try:
        return msgspec.convert(data, expected)
    except msgspec.ValidationError as error:
        raise CommandRefused(f"not a {expected.__name__}: {error}") from error


async def post_result(
    platform: "Platform", message: Received, response_url: str, result: msgspec.Struct
) -> None:
    """As Receiver: POST of a result to the response_url that came with `message`.

    Sent with the routing headers of an answer. Failures of the network are logged: the other side
    takes a result that does not come within `timeout` for one that never will.
    """
    if message.connection is None:
        raise RuntimeError("a command is carried out only for a connected platform")
    try:
        await platform.send(
            "POST",
            response_url,
            connection=message.connection,
            routing=(message.from_party, message.to_party or platform.parties[0]),
            module=message.module,
            body=result,
        )
    except (aiohttp.ClientError, TimeoutError) as error:
        logger.warning("posting a result failed: %s", error or type(error).__name__)
