"""What is kept from the event loop, called as the gateway does, with connections of its own."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from hub.db.batch_writer import Writer
from hub.gateway import modules
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import match
from hub.ocpi.party import PartyId
from hub.outbound.forwarded import Forwarded
from hub.outbound.platform_calls import Response
from hub.routing.request import OcpiRequest
from simulators.testing import PATIENCE

T = TypeVar("T")


def accepted(
    module: str,
    method: str,
    ids: Sequence[str],
    body: Mapping[str, Any],
    parties: tuple[PartyId, PartyId],
) -> Forwarded:
    """A push of the first party that the second one has accepted; `ids` follow the owner's."""
    sender, receiver = parties
    request = OcpiRequest(
        method=method,
        path="",
        correlation_id="correlation-at-once",
        match=match(module, InterfaceRole.RECEIVER, "/".join((*sender, *ids)), method),
        body=json.dumps(body).encode(),
        sent_by=sender,
        sent_to=receiver,
    )
    answer = b'{"status_code":1000,"timestamp":"2026-03-01T10:00:00Z"}'
    return Forwarded(request, Response(200, {}, answer))


def is_kept_at_once(message: Forwarded) -> bool:
    """Whether it was, or a thread has to do it."""
    return run_at_once(lambda writer: modules.at_once(writer, message))


def run_at_once(call: Callable[[Writer], Awaitable[T]]) -> T:
    """What it returns, in an event loop with a connection."""

    async def run() -> T:
        writer = Writer(modules.STATEMENTS, 1)
        try:
            async with asyncio.timeout(PATIENCE):
                while not writer.connections:  # noqa: ASYNC110 - it connects by itself
                    await asyncio.sleep(0.01)
                return await call(writer)
        finally:
            await writer.close()

    return asyncio.run(run())


def keep_on_a_thread(message: Forwarded) -> None:
    """As where it cannot be kept at once."""
    keeper = modules.after_answer(message.request)
    assert keeper is not None
    keeper(message)
