"""The bodies of requests that do not come whole at once: how long, and how large they may be."""

import asyncio
from http import HTTPStatus
from typing import Final

from django.conf import settings

from hub.fairness.memory import SMALL, BytesTaken
from hub.gateway.process import Receive
from hub.ocpi.errors import OcpiError, TooLarge

# A sender that is still writing would not see the answer: this much more is read and dropped.
_DROPPED_BYTES: Final = 16_000_000


class SenderGone(Exception):
    """The sender closed its connection before its body was whole: nobody waits for an answer."""


async def read_body(receive: Receive, limit: int, room: BytesTaken | None = None) -> bytes:
    """Read a body of at most `limit` bytes within BODY_TIMEOUT.

    TooLarge, 408 after that time, SenderGone where it breaks off; TooManyRequests when there is no
    `room` for a large one.
    """
    try:
        async with asyncio.timeout(settings.BODY_TIMEOUT):
            body = await _read(receive, limit, room)
    except TimeoutError as error:
        raise OcpiError(
            f"The body did not arrive within {settings.BODY_TIMEOUT:g} s.",
            http_status=HTTPStatus.REQUEST_TIMEOUT,
            headers={"Connection": "close"},
        ) from error
    if body is None:
        raise TooLarge(f"The body is larger than {limit} bytes.", headers={"Connection": "close"})
    if room is not None:
        room.settle(len(body))
    return body


async def _read(receive: Receive, limit: int, room: BytesTaken | None) -> bytes | None:
    """The body; None for one that is larger than `limit`."""
    parts, size, more = [], 0, True
    while more and size <= limit + _DROPPED_BYTES:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise SenderGone
        part = bytes(event.get("body", b""))
        size += len(part)
        more = event.get("more_body", False)
        if size <= limit:
            parts.append(part)
            if room is not None and size > SMALL:
                await room.grow(min(2 * size, limit) if more else size)
    return b"".join(parts) if size <= limit else None
