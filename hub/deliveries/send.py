"""One call to a receiver, and what its answer means (transport_and_format, status_codes)."""

from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone

from hub.deliveries.calls import DeliveryCall, platform_of
from hub.deliveries.shard import Shard
from hub.ocpi import headers, masking
from hub.ocpi.datatypes import ConnectionStatus
from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, HubError, UnknownLocation
from hub.ocpi.modules import SECRET_IDS, Match, match
from hub.ocpi.party import PartyId
from hub.outbound.platform_calls import AsyncCaller, LeaseEnded, NotArrived, Response
from hub.outbound.recorded import noted
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
        platform = platform_of(call, directory)
        if platform is None:
            return _unwanted("the receiver is not registered any more")
        if _is_suspended(call, directory):
            return _unwanted("the receiver is SUSPENDED")
        url = _url(call, platform)
        if url is None:
            return _unwanted(f"the receiver offers no {call.module}")
        try:
            return _read(await self._sent(call, platform, url), call)
        except LeaseEnded as error:
            return SendOutcome(SendResult.UNSENT, error.message)
        except (ConnectionProblem, ForwardTimeout) as error:
            is_certain = isinstance(error, NotArrived)
            return SendOutcome(SendResult.NO_ANSWER, error.message, may_be_taken=not is_certain)
        except (HubError, ValueError) as error:
            # An answer that is of no use, or what cannot be said in HTTP: always the same.
            return SendOutcome(SendResult.REFUSED, str(error))

    async def _sent(self, call: DeliveryCall, platform: PlatformEntry, url: str) -> Response:
        response = await self._send(call, platform, url, platform.authorization)
        if response.status not in token_forms.REFUSALS:
            return response
        return await token_forms.sent_again(
            platform,
            response,
            lambda authorization: self._send(call, platform, url, authorization),
            self._in_django,
        )

    async def _send(
        self, call: DeliveryCall, platform: PlatformEntry, url: str, authorization: str
    ) -> Response:
        sent = _headers(call, authorization)
        with noted(
            Kind.DELIVERY if call.role else Kind.CALLBACK,
            call.method,
            sent,
            platform,
            module=call.module,
            role=call.role,
            rest=call.path,
            body=call.body,
            merged=call.merged,
        ) as note:
            return note.answered(
                await self._caller.call(
                    platform.id,
                    call.method,
                    url,
                    sent,
                    call.body,
                    seconds=setting("DELIVERY_TIMEOUT"),
                    lease=self._shard.lease,
                )
            )


def _unwanted(reason: str) -> SendOutcome:
    return SendOutcome(SendResult.UNWANTED, reason, is_doubtful=True)


def _is_suspended(call: DeliveryCall, directory: Directory) -> bool:
    if not call.receiver[1]:
        return False
    party = directory.parties.get(PartyId.of(*call.receiver))
    return party is not None and party.status == ConnectionStatus.SUSPENDED


def _url(call: DeliveryCall, platform: PlatformEntry) -> str | None:
    """Where it goes; None when the receiver does not offer the interface any more."""
    if call.role is None:
        return call.path
    endpoint = platform.endpoint(call.module, call.role)
    return None if endpoint is None else f"{endpoint.rstrip('/')}/{call.path}"


def _headers(call: DeliveryCall, authorization: str) -> dict[str, str]:
    sent = {
        "Authorization": authorization,
        "Content-Type": "application/json",
        headers.REQUEST_ID: headers.new_id(),
        headers.CORRELATION_ID: call.correlation_id,
    }
    if call.unanswered_by:
        sent[headers.UNANSWERED_BY] = call.unanswered_by
    if call.receiver[1]:
        sent |= {
            headers.FROM_COUNTRY_CODE: call.sender[0],
            headers.FROM_PARTY_ID: call.sender[1],
            headers.TO_COUNTRY_CODE: call.receiver[0],
            headers.TO_PARTY_ID: call.receiver[1],
        }
    return sent


def _read(response: Response, call: DeliveryCall) -> SendOutcome:
    """The receiver has answered: taken, refused for good, or not now."""
    answer = response.said
    text = f"HTTP {response.status}, OCPI {answer.status_code}"
    if response.is_accepted:
        return SendOutcome(SendResult.TAKEN, text)
    said = masking.without_secrets(answer.status_message or "no message", _place(call), call.body)
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


def _place(call: DeliveryCall) -> Match | None:
    """What the URL of a Token's push names: its uid is a secret."""
    if call.module not in SECRET_IDS or call.role is None:
        return None
    return match(call.module, call.role, call.path.partition("?")[0], call.method)


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
