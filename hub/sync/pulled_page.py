"""One page of another party's GET List, as real ones serve it (transport_and_format, Pagination).

What the text asks is read strictly enough to find the end; what real ones do wrong is tolerated: a
Link to another host or scheme, one that leads nowhere new, or none although there is more.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import msgspec
from django.conf import settings
from django.utils import timezone

from hub.ocpi import envelope, headers, links
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import HubError
from hub.ocpi.party import PartyId
from hub.outbound.message import Message
from hub.outbound.platform_calls import Response
from hub.outbound.rewritten_urls import mended
from hub.parties import token_forms
from hub.record.note import Kind
from hub.routing.directory import PartyEntry

logger = logging.getLogger(__name__)
MAX_URL: Final = 2048  # characters
# A list may grow while it is read, and an object may be read again, but no more than this.
_SLACK: Final = 1000
_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class PageFailed(Exception):
    """This page could not be read now; the party asked to wait for `seconds`."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class PageRefused(PageFailed):
    """The party understood the request and will not answer it: asking again changes nothing."""


@dataclass(frozen=True, slots=True)
class PulledPage:
    """What was asked, the objects with their bytes, and what the headers say of the rest."""

    url: str
    items: Sequence[msgspec.Raw]
    digest: bytes
    link: str | None
    total: int | None
    correlation_id: str

    def is_short(self, read: int) -> bool:
        """X-Total-Count says that there is more than the objects read up to here."""
        return self.total is not None and read < self.total

    def followers(self, read: int) -> list[str]:
        """Where the next page may be, the likeliest first; none at the end of the list.

        Link is what counts. Without one, or with one that leads back, X-Total-Count and our own
        counting lead on. An empty page is the end, also where Link goes on and on.
        """
        if not self.items:
            return []
        if self.total is not None and read > 2 * self.total + _SLACK:
            return []  # A circle of Links that is too long to be noticed in one turn.
        found = [] if self.link is None else [_at_home(self.link, self.url)]
        if self.is_short(read):
            found.append(with_query(self.url, offset=str(read)))
        return [url for url in found if len(url) <= MAX_URL]


def first_url(endpoint: str, date_from: datetime | None) -> str:
    """The URL of a list's first page; `date_from` is inclusive."""
    asked = {"offset": "0", "limit": str(settings.PULL_LIMIT)}
    if date_from is not None:
        asked["date_from"] = date_from.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return with_query(endpoint, **asked)


def with_query(url: str, **changes: str) -> str:
    """The URL with these parameters in its query, in place of others of the same names."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True)) | changes
    return parts._replace(query=urlencode(query)).geturl()


def read(url: str, module: str, party: PartyEntry, hub: PartyId) -> PulledPage:
    """GET one page FROM the hub TO the party; PageFailed, or PageRefused."""
    message = Message(
        kind=Kind.PULL,
        method="GET",
        url=url,
        platform=party.platform,
        module=module,
        role=InterfaceRole.SENDER,
        routing=headers.routing(hub, (party.country_code, party.party_id)),
    )
    try:
        response = token_forms.sent_now(party.platform, message.send_now)
    except HubError as error:
        raise PageFailed(error.message) from error
    answer = envelope.read_answer(response.body)
    if response.status >= 400 or not answer.is_success:
        raise _failure(response, answer)
    items = _items(bytes(answer.data))
    return PulledPage(
        url=url,
        items=items,
        digest=hashlib.sha256(answer.data).digest(),
        link=_next_page(response.headers.get("link", "")),
        total=_number(response.headers.get(headers.TOTAL_COUNT.lower())),
        correlation_id=message.correlation_id,
    )


def _failure(response: Response, answer: envelope.Answer) -> PageFailed:
    said = f"HTTP {response.status}, OCPI {answer.status_code}"
    if answer.status_message:
        said += f": {answer.status_message}"
    is_refused = (
        (400 <= response.status < 500 and response.status not in _LATER)
        or (answer.status_code is not None and 2000 <= answer.status_code <= 2999)
    )  # fmt: skip
    if is_refused:
        return PageRefused(said)
    return PageFailed(said, _seconds(response.headers.get("retry-after", "")))


def _items(data: bytes) -> list[msgspec.Raw]:
    """The objects of `data`, not looked at yet; a single object counts as a list of one."""
    try:
        return msgspec.json.decode(data or b"[]", type=list[msgspec.Raw])
    except msgspec.ValidationError:
        if data.lstrip()[:1] == b"{":
            return [msgspec.Raw(data)]
        if data.strip() == b"null":
            return []
        raise PageFailed("data is not a list.") from None


def _next_page(field: str) -> str | None:
    try:
        return links.next_page(field)
    except links.LinkTooLong as error:
        raise PageFailed(f"{error}.") from error


def _at_home(link: str, asked: str) -> str:
    """The Link as a URL of the host that was asked: the credentials token goes nowhere else.

    Real ones name the host behind their proxy, with a path that is another one outside.
    """
    try:
        target, own = urlsplit(mended(urljoin(asked, link), asked)), urlsplit(asked)
    except ValueError:
        logger.warning("a Link that is not a URL is not followed: %r", link[:200])
        return asked
    if target.netloc != own.netloc:
        target = target._replace(scheme=own.scheme, netloc=own.netloc, path=own.path)
    return target._replace(fragment="").geturl()


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def _seconds(retry_after: str) -> float | None:
    """Retry-After: seconds, or a date (RFC 9110, 10.2.3)."""
    if (seconds := _number(retry_after.strip())) is not None:
        return float(seconds)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - timezone.now()).total_seconds(), 0.0)
