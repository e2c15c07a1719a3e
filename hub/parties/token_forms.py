"""The other form of the hub's token, where a platform refuses it (transport_and_format, NOTE).

"Many OCPI 2.1.1 and 2.2 implementations do not Base64 encode" the credentials token. A party may
call plain and want to be called Base64-encoded, or the reverse, and tells so by a 401 (or a 403)
alone. Such an answer says that nothing was done, so the message may be sent once more with the
token in the other form. What is learned of it, and why no platform is asked so for ever, is in
docs/decisions/0003.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from django.utils import timezone

from hub.models import Platform, TokenForm, handshake_turns, locking
from hub.ocpi import envelope
from hub.ocpi.errors import OcpiError
from hub.outbound.platform_calls import Response
from hub.record import counters
from hub.routing import directory
from hub.routing.directory import PlatformEntry

logger = logging.getLogger(__name__)
# How a platform says that it does not know the token, or not in this form.
REFUSALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class _Outcome(StrEnum):
    TAKEN = "taken"
    REFUSED = "refused"
    # Answered, but not so that it could only have been with a token that it knows.
    UNCLEAR = "unclear"


# How long the other form is not tried again.
_PAUSES: Final = {
    # It may have been out of order then; nobody else would ever find out.
    _Outcome.REFUSED: timedelta(hours=1),
    _Outcome.UNCLEAR: timedelta(minutes=1),
    # One that takes now this, now that form is not written down each time.
    _Outcome.TAKEN: timedelta(minutes=1),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What to send once more: the token in its other form, or a newer one."""

    platform_id: int
    authorization: str = field(repr=False)
    # None when the platform has had another token or form since the message was sent: then there
    # is nothing to be learned.
    form: TokenForm | None = None
    token_b_encrypted: bytes = field(default=b"", repr=False)


async def sent(
    platform: PlatformEntry,
    send: Callable[[str], Awaitable[Response]],
    in_django: Callable[..., Awaitable[Any]],
) -> Response:
    """The answer to a message, in the other form of the token where the first one is refused."""
    response = await send(platform.authorization)
    if response.status not in REFUSALS:
        return response
    return await sent_again(platform, response, send, in_django)


async def sent_again(
    platform: PlatformEntry,
    refused: Response,
    send: Callable[[str], Awaitable[Response]],
    in_django: Callable[..., Awaitable[Any]],
) -> Response:
    """What a platform that answered 401 or 403 (`refused`) says when it is sent the message again.

    `send` takes the Authorization header; `in_django` awaits a function that uses the database.
    `refused` itself when the other form is not to be tried, or was no better; else `send` may raise
    what it raises.
    """
    if time.time() < platform.other_form_not_before:
        return refused
    attempt: Attempt | None = await in_django(begin, platform)
    if attempt is None:
        return refused
    try:
        answer = await send(attempt.authorization)
    except OcpiError:
        await in_django(end, attempt, refused.status, None)
        raise
    await in_django(end, attempt, refused.status, answer)
    return answer if _is_better(answer, refused) else refused


def sent_now(platform: PlatformEntry, send: Callable[[str], Response]) -> Response:
    """Like `sent`, for a thread that waits for the answer."""
    refused = send(platform.authorization)
    if refused.status not in REFUSALS or time.time() < platform.other_form_not_before:
        return refused
    attempt = begin(platform)
    if attempt is None:
        return refused
    try:
        answer = send(attempt.authorization)
    except OcpiError:
        end(attempt, refused.status, None)
        raise
    end(attempt, refused.status, answer)
    return answer if _is_better(answer, refused) else refused


def begin(platform: PlatformEntry) -> Attempt | None:
    """What to send to a platform that has just refused `platform.authorization`, if anything."""
    row = Platform.objects.filter(pk=platform.id, registered_at__isnull=False).first()
    # In a handshake the token may be changing: a 401 says nothing about its form.
    if row is None or handshake_turns.is_going_on(row.pk):
        return None
    if (newer := directory.authorization(row)) != platform.authorization:
        return Attempt(row.pk, newer) if newer else None
    if not newer or not _may_be_tried(row):
        return None
    form = row.form_in_use.other
    authorization = form.authorization(row.token_b)
    return Attempt(row.pk, authorization, form, bytes(row.token_b_encrypted))


def _may_be_tried(row: Platform) -> bool:
    not_before = row.other_form_not_before
    return not row.fixed_token_form and (not_before is None or not_before <= timezone.now())


@locking.whole
def end(attempt: Attempt, refused_with: int, answer: Response | None) -> None:
    """Remember what came of it; None stands for no answer.

    Nothing is remembered of a token that is another one by now, or may be in a moment, nor against
    the operator's word.
    """
    form = attempt.form
    if form is None:
        return
    outcome = _outcome(refused_with, answer)
    counters.token_form_tried(attempt.platform_id, outcome)
    row = Platform.objects.select_for_update(no_key=True).filter(pk=attempt.platform_id).first()
    if (
        row is None
        or bytes(row.token_b_encrypted) != attempt.token_b_encrypted
        or row.token_form != form.other
        # Many messages may have been refused at once, and one of them was first.
        or not (_may_be_tried(row) or outcome is _Outcome.TAKEN)
        or row.fixed_token_form
        or handshake_turns.is_going_on(row.pk)
    ):
        return
    if outcome is _Outcome.TAKEN:
        row.token_form = form
    row.other_form_not_before = timezone.now() + _PAUSES[outcome]
    row.save(update_fields=["token_form", "other_form_not_before"])
    logger.warning(
        "platform %s (%s) refused the hub's token with HTTP %s; in the other form (%s) it was %s",
        row.pk,
        row.name,
        refused_with,
        form,
        outcome,
    )


def _outcome(refused_with: int, answer: Response | None) -> _Outcome:
    if answer is None:
        return _Outcome.UNCLEAR
    if envelope.is_accepted(answer.status, answer.body):
        return _Outcome.TAKEN
    # A 403 after a 401 may be its word about the message, from who knows the token now.
    if answer.status == HTTPStatus.UNAUTHORIZED or answer.status == refused_with:
        return _Outcome.REFUSED
    return _Outcome.UNCLEAR


def _is_better(answer: Response, refused: Response) -> bool:
    """Not a refusal again, nor of somebody who cannot even read the token in this form.

    A 403 with OCPI in it may be the platform's word about the message.
    """
    if answer.status in {*REFUSALS, HTTPStatus.BAD_REQUEST}:
        return False
    if refused.status == HTTPStatus.UNAUTHORIZED or refused.verdict.status_code is None:
        return True
    return answer.status < 500 and answer.verdict.status_code is not None
