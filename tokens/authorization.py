"""Real-time authorization of a Token whose eMSP the hub does not know (mod_tokens, POST Method).

The hub asks every eMSP that the agreements allow (ocpi/ocpi#420), and passes on the answer that
says most; "When the eMSP does not know the Token, the eMSP SHALL respond with .. 404".
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from django.conf import settings

from hub.ocpi import heads
from hub.ocpi.errors import (
    ConnectionProblem,
    ForwardTimeout,
    HubError,
    NotEnoughInformation,
    NotJson,
    UnknownToken,
)
from hub.outbound.platform_calls import Response
from hub.routing.decisions import Forward
from tokens.objects import AllowedType

logger = logging.getLogger(__name__)


class TokenAnswer(IntEnum):
    """What an eMSP's answer says of the Token; the most telling first."""

    ALLOWED = 0
    KNOWN = 1
    # Its `allowed` is a word that OCPI does not have, or is missing.
    KNOWN_SOMEHOW = 2
    NEEDS_LOCATION = 3
    UNKNOWN = 4


class EmspAnswer(NamedTuple):
    """An eMSP that was asked, its URL, and its answer."""

    forward: Forward
    url: str
    response: Response


class _Info(msgspec.Struct):
    allowed: Any = None
    token: Any = None


_read = heads.reader(_Info)


def verdict(response: Response) -> TokenAnswer:
    """What this answer to an authorization request says."""
    answer = response.said
    if answer.status_code == NotEnoughInformation.code:
        return TokenAnswer.NEEDS_LOCATION
    if response.status >= 300 or not answer.is_success:
        return TokenAnswer.UNKNOWN
    return _verdict_of(bytes(answer.data))


def _verdict_of(data: bytes) -> TokenAnswer:
    """What an AuthorizationInfo says, however it is spelled: its eMSP knows the Token."""
    try:
        document = heads.object_of(data)
        info = _Info(allowed=heads.word_of(data)) if document is None else _read(document)
    except (msgspec.DecodeError, NotJson):  # A text in it is not UTF-8.
        return TokenAnswer.UNKNOWN
    word = heads.word(info.allowed)
    if word in AllowedType.__members__:
        return TokenAnswer.ALLOWED if word == AllowedType.ALLOWED else TokenAnswer.KNOWN
    return (
        TokenAnswer.KNOWN_SOMEHOW if word or isinstance(info.token, dict) else TokenAnswer.UNKNOWN
    )


async def ask_all(
    forwards: Sequence[Forward], ask: Callable[[Forward], Awaitable[EmspAnswer]]
) -> EmspAnswer:
    """The first ALLOWED at once, or else the most telling answer within AUTHORIZE_TIMEOUT.

    UnknownToken (HTTP 404, 2004) when nobody knows the Token; ForwardTimeout (4002) or
    ConnectionProblem (4003) when nobody has answered at all.
    """
    at_once = asyncio.Semaphore(settings.AUTHORIZE_AT_ONCE)

    async def ask_one(forward: Forward) -> EmspAnswer:
        async with at_once:
            return await ask(forward)

    asked = [asyncio.create_task(ask_one(forward)) for forward in forwards]
    best, said_most = None, TokenAnswer.UNKNOWN
    unknown = failed = 0
    try:
        for next_one in asyncio.as_completed(asked, timeout=settings.AUTHORIZE_TIMEOUT):
            try:
                answered = await next_one
            except HubError as error:
                logger.info("asked whether it issued a token: %s", error.message)
                failed += 1
                continue
            said = verdict(answered.response)
            unknown += said is TokenAnswer.UNKNOWN
            if said < said_most:
                best, said_most = answered, said
            if said is TokenAnswer.ALLOWED:
                break
    except TimeoutError:
        logger.info("not every eMSP said in time whether it issued a token")
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    if best is None:
        raise _nobody(len(asked), unknown, failed)
    return best


def _nobody(asked: int, unknown: int, failed: int) -> HubError | UnknownToken:
    """Why nobody authorizes the Token: it is unknown only if an eMSP has said so."""
    if unknown:
        silent = f"; {asked - unknown} did not answer" if asked > unknown else ""
        return UnknownToken(
            f"{unknown} of {asked} eMSPs do not know this Token{silent}.",
            http_status=HTTPStatus.NOT_FOUND,
        )
    if failed < asked:
        return ForwardTimeout(f"None of {asked} eMSPs said in time whether it knows this Token.")
    return ConnectionProblem(f"None of {asked} eMSPs could be asked for this Token.")
