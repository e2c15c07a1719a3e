"""One call to a receiver, and what its answer means (transport_and_format, status_codes)."""

from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone

from hub.deliveries.calls import DeliveryCall
from hub.deliveries.shard import Shard
from hub.ocpi import headers, masking
from hub.ocpi.datatypes import ConnectionStatus
from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, HubError, UnknownLocation
from hub.ocpi.party import PartyId
from hub.outbound.message import Message, url_below
from hub.outbound.platform_calls import AsyncCaller, LeaseEnded, NotArrived, Response
from hub.parties import token_forms
from hub.parties.alive_checks import NOT_ITS_OWN
from hub.record.note import Kind
from hub.routing.directory import Directory, PlatformEntry
from hub.startup.quick_settings import setting


class SendResult(Enum):
    """What came of a call."""

    TAKEN = auto()
    REFUSED = auto()
    # The receiver does not know of what this is a part.
    UNKNOWN = auto()
    BUSY = auto()
    # The lease had ended: not a byte has left.
    UNSENT = auto()
    NO_ANSWER = auto()
    # Nothing was sent: there is nobody to send it to.
    UNWANTED = auto()
    BROKEN = auto()


class SendOutcome(NamedTuple):
    """What came of a call, in words too."""

    verdict: SendResult
    text: str
    # What a busy receiver has asked for.
    pause: float | None = None
    # A newer directory may know better: another token, an endpoint, a registration.
    is_doubtful: bool = False
    # It may have arrived all the same.
    may_be_taken: bool = False


class Sender:
    """The calls of one drain, over connections that are kept alive."""

    def __init__(self, in_django: Callable[..., Awaitable[Any]], shard: Shard) -> None:
        self._caller = AsyncCaller()
        self._in_django = in_django
        self._shard = shard

    def close(self) -> None:
        """Close all connections."""
        self._caller.close()

    async def carry(self, call: DeliveryCall, directory: Directory) -> SendOutcome:
        """Send it; whatever the receiver does becomes an Outcome."""
        platform = directory.platforms.get(call.platform_id)
        if platform is None or not platform.is_registered:
            return _unwanted("the receiver is not registered any more")
        if _is_suspended(call, directory):
            return _unwanted("the receiver is SUSPENDED")
        message = _message(call, platform)
        if message is None:
            return _unwanted(f"the receiver offers no {call.module}")

        async def send(authorization: str) -> Response:
            seconds, lease = setting("DELIVERY_TIMEOUT"), self._shard.lease
            return await message.send(self._caller, authorization, seconds=seconds, lease=lease)

        try:
            return _read(await token_forms.sent(platform, send, self._in_django), message)
        except LeaseEnded as error:
            return SendOutcome(SendResult.UNSENT, error.message)
        except (ConnectionProblem, ForwardTimeout) as error:
            is_certain = isinstance(error, NotArrived)
            return SendOutcome(SendResult.NO_ANSWER, error.message, may_be_taken=not is_certain)
        except (HubError, ValueError) as error:
            # An answer that is of no use, or what cannot be said in HTTP: always the same.
            return SendOutcome(SendResult.REFUSED, str(error))


def _unwanted(reason: str) -> SendOutcome:
    return SendOutcome(SendResult.UNWANTED, reason, is_doubtful=True)


def _is_suspended(call: DeliveryCall, directory: Directory) -> bool:
    if not call.receiver[1]:
        return False
    party = directory.parties.get(PartyId.of(*call.receiver))
    return party is not None and party.status == ConnectionStatus.SUSPENDED


def _message(call: DeliveryCall, platform: PlatformEntry) -> Message | None:
    """What is sent; None when the receiver does not offer the interface any more."""
    url = call.path
    if call.role is not None:
        endpoint = platform.endpoint(call.module, call.role)
        if endpoint is None:
            return None
        path, _, query = call.path.partition("?")
        url = url_below(endpoint, path, query)
    routing = headers.routing(call.sender, call.receiver) if call.receiver[1] else {}
    if call.unanswered_by:
        routing[headers.UNANSWERED_BY] = call.unanswered_by
    return Message(
        kind=Kind.DELIVERY if call.role else Kind.CALLBACK,
        method=call.method,
        url=url,
        platform=platform,
        module=call.module,
        role=call.role,
        path=call.path,
        routing=routing,
        correlation_id=call.correlation_id,
        body=call.body,
        merged=call.merged,
    )


def _read(response: Response, message: Message) -> SendOutcome:
    """The receiver has answered: taken, refused for good, or not now."""
    answer = response.said
    text = f"HTTP {response.status}, OCPI {answer.status_code}"
    if response.is_accepted:
        return SendOutcome(SendResult.TAKEN, text)
    said = answer.status_message or "no message"
    said = masking.without_secrets(said, message.place, message.body)
    text = f"{text}: {said}"
    pause = _pause(response.headers.get("retry-after", ""))
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return SendOutcome(SendResult.BUSY, text, pause)
    if response.status in NOT_ITS_OWN:
        return SendOutcome(SendResult.NO_ANSWER, text, pause, may_be_taken=True)
    if response.status == HTTPStatus.NOT_FOUND or answer.status_code == UnknownLocation.code:
        return SendOutcome(SendResult.UNKNOWN, text)
    return SendOutcome(
        SendResult.REFUSED, text, is_doubtful=response.status == HTTPStatus.UNAUTHORIZED
    )


def _pause(retry_after: str) -> float | None:
    """The seconds that a Retry-After asks for, within reason; None when it cannot be read."""
    try:
        if retry_after.isdecimal():
            seconds = float(retry_after)
        else:
            seconds = (parsedate_to_datetime(retry_after) - timezone.now()).total_seconds()
    except (ValueError, TypeError):
        return None
    longest: float = settings.DELIVERY_MAX_PAUSE
    return min(max(seconds, 0.0), longest)
