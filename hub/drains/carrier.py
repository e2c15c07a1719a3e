"""One call to a receiver, and what its answer means (transport_and_format, status_codes)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from hub import token_forms
from hub.directory import Directory, PlatformEntry
from hub.drains.merging import Call, Push
from hub.ocpi import envelope, headers, masking
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole
from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, HubError
from hub.ocpi.modules import Match, match
from hub.ocpi.party import PartyId
from hub.outbound import AsyncCaller, Response
from hub.record.calls import noted
from hub.record.note import Kind

_BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class Verdict(Enum):
    """What came of a call."""

    TAKEN = auto()
    REFUSED = auto()
    BUSY = auto()
    NO_ANSWER = auto()
    # Nothing was sent: there is nobody to send it to.
    UNWANTED = auto()
    BROKEN = auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call, in words too."""

    verdict: Verdict
    text: str
    # What a busy receiver has asked for.
    pause: float | None = None
    # A newer directory may know better: another token, an endpoint, a registration.
    is_doubtful: bool = False


class Carrier:
    """The calls of one drain, over connections that are kept alive."""

    def __init__(self, in_django: Callable[..., Awaitable[Any]]) -> None:
        self._caller = AsyncCaller()
        self._in_django = in_django

    def close(self) -> None:
        """Close all connections."""
        self._caller.close()

    async def carry(self, call: Call, directory: Directory) -> Outcome:
        """Send it; whatever the receiver does becomes an Outcome."""
        platform = directory.platforms.get(call.last.platform_id)
        if platform is None or not platform.is_registered:
            return _unwanted("the receiver is not registered any more")
        if _is_suspended(call.last, directory):
            return _unwanted("the receiver is SUSPENDED")
        url = _url(call.last, platform)
        if url is None:
            return _unwanted(f"the receiver offers no {call.last.route.module}")
        try:
            return _read(await self._sent(call, platform, url), call)
        except (ConnectionProblem, ForwardTimeout) as error:
            return Outcome(Verdict.NO_ANSWER, error.message)
        except (HubError, ValueError) as error:
            # An answer that is of no use, or what cannot be said in HTTP: always the same.
            return Outcome(Verdict.REFUSED, str(error))

    async def _sent(self, call: Call, platform: PlatformEntry, url: str) -> Response:
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
        self, call: Call, platform: PlatformEntry, url: str, authorization: str
    ) -> Response:
        sent = _headers(call.last, authorization)
        route = call.last.route
        role = InterfaceRole(route.interface_role) if route.interface_role else None
        with noted(
            Kind.DELIVERY if role else Kind.CALLBACK,
            call.method,
            sent,
            platform,
            module=route.module,
            role=role,
            rest=route.path,
            body=call.body,
        ) as note:
            return note.answered(
                await self._caller.call(
                    platform.id,
                    call.method,
                    url,
                    sent,
                    call.body,
                    seconds=settings.DELIVERY_TIMEOUT,
                )
            )


def _unwanted(reason: str) -> Outcome:
    return Outcome(Verdict.UNWANTED, reason, is_doubtful=True)


def _is_suspended(push: Push, directory: Directory) -> bool:
    if not push.route.receiver[1]:
        return False
    party = directory.parties.get(PartyId.of(*push.route.receiver))
    return party is not None and party.status == ConnectionStatus.SUSPENDED


def _url(push: Push, platform: PlatformEntry) -> str | None:
    """Where it goes; None when the receiver does not offer the interface any more."""
    route = push.route
    if not route.interface_role:
        return route.path
    endpoint = platform.endpoint(route.module, InterfaceRole(route.interface_role))
    return None if endpoint is None else f"{endpoint.rstrip('/')}/{route.path}"


def _headers(push: Push, authorization: str) -> dict[str, str]:
    sent = {
        "Authorization": authorization,
        "Content-Type": "application/json",
        headers.REQUEST_ID: headers.new_id(),
        headers.CORRELATION_ID: push.correlation_id,
    }
    route = push.route
    if route.receiver[1]:
        sent |= {
            headers.FROM_COUNTRY_CODE: route.sender[0],
            headers.FROM_PARTY_ID: route.sender[1],
            headers.TO_COUNTRY_CODE: route.receiver[0],
            headers.TO_PARTY_ID: route.receiver[1],
        }
    return sent


def _read(response: Response, call: Call) -> Outcome:
    """The receiver has answered: taken, refused for good, or not now."""
    answer = response.said
    text = f"HTTP {response.status}, OCPI {answer.status_code}"
    if envelope.is_accepted(response.status, response.body):
        return Outcome(Verdict.TAKEN, text)
    said = masking.without_secrets(answer.status_message or "no message", _place(call), call.body)
    text = f"{text}: {said}"
    if response.status in _BUSY:
        return Outcome(Verdict.BUSY, text, _pause(response.headers.get("retry-after", "")))
    return Outcome(Verdict.REFUSED, text, is_doubtful=response.status == HTTPStatus.UNAUTHORIZED)


def _place(call: Call) -> Match | None:
    """What the URL of a Token's push names: its uid is a secret."""
    route = call.last.route
    if route.module != "tokens":
        return None
    path = route.path.partition("?")[0]
    return match(route.module, InterfaceRole(route.interface_role), path, call.method)


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
