"""Paginated lists: answered as Sender, read page by page as Receiver (transport_and_format)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

from hub.ocpi import headers, links
from hub.ocpi.datatypes import InterfaceRole, utc
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.party import PartyId
from party.connection import Connection
from party.messages import Answered, Received, Reply

if TYPE_CHECKING:
    from party.ocpi_platform import Platform

# X-Limit: the most objects of one page.
MAX_PAGE: Final = 50


class ListUnreadable(Exception):
    """A list of another platform ends before its last page; `answer` is what was said instead."""

    def __init__(self, message: str, answer: Answered) -> None:
        super().__init__(message)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Window:
    """What a query asks for: `date_from` inclusive, `date_to` exclusive, offset and limit."""

    date_from: datetime | None
    date_to: datetime | None
    offset: int
    limit: int

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Window":
        """InvalidParameters (2001) for what is not a DateTime or a number."""
        limit = _number(query, "limit", MAX_PAGE)
        if limit < 1:
            raise InvalidParameters("limit has to be at least 1.")
        return cls(
            _moment(query, "date_from"),
            _moment(query, "date_to"),
            _number(query, "offset", 0),
            min(limit, MAX_PAGE),
        )

    def matching(self, documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The documents that were changed within the dates, the oldest change first."""
        found = [
            document
            for document in documents
            if (self.date_from is None or _updated(document) >= self.date_from)
            and (self.date_to is None or _updated(document) < self.date_to)
        ]
        return sorted(found, key=lambda document: str(document["last_updated"]))


def list_reply(documents: Sequence[dict[str, Any]], message: Received, url: str) -> Reply:
    """The page of `documents` that a message asks for; `url` is the endpoint's, for the Link.

    Each document has a `last_updated`.
    """
    window = Window.of(message.query)
    return page_of(window.matching(documents), window, message.query, url)


def page_of(
    matching: Sequence[dict[str, Any]], window: Window, query: Mapping[str, str], url: str
) -> Reply:
    """One page, with X-Total-Count, X-Limit and, unless it is the last one, Link."""
    end = window.offset + window.limit
    sent = {headers.TOTAL_COUNT: str(len(matching)), headers.LIMIT: str(MAX_PAGE)}
    if end < len(matching):
        sent["Link"] = next_link(url, query, end, window.limit)
    return Reply(list(matching[window.offset : end]), headers=sent)


def next_link(url: str, query: Mapping[str, str], offset: int, limit: int) -> str:
    """The Link header field to the page at `offset`, with the filters of the query."""
    following = dict(query) | {"offset": str(offset), "limit": str(limit)}
    return f'<{url}?{urlencode(following)}>; rel="next"'


async def objects_of(
    platform: "Platform",
    module: str,
    *,
    to: PartyId | None = None,
    from_: PartyId | None = None,
    connection: Connection | None = None,
    query: Mapping[str, str] | None = None,
    most: int = 1_000_000,
    within: float = 30.0,
) -> AsyncIterator[dict[str, Any]]:
    """The objects of another platform's list, page after page, as they came.

    `query` are its filters and its limit; `most` objects are read at most. ListUnreadable for
    an answer that is not a page, for a Link that leads back or to another host (the credentials
    token goes to the endpoint's own host alone); else as Platform.call.
    """
    connection = connection or platform.connection_for(to)
    url = connection.endpoint(module, InterfaceRole.SENDER)
    routing = (to, from_ or platform.parties[0])
    seen, read = {url}, 0
    while True:
        answer = await platform.send(
            "GET", url, connection=connection, routing=routing, module=module, query=query,
            within=within,
        )  # fmt: skip
        for document in _page(answer, url):
            if read >= most:
                return
            yield document
            read += 1
        following = links.next_page(", ".join(_all(answer.headers, "Link")))
        if following is None:
            return
        target = urljoin(url, following)
        if target in seen or urlsplit(target)[:2] != urlsplit(url)[:2]:
            raise ListUnreadable(f"The Link of {url} leads to {target}.", answer)
        seen.add(target)
        # The Link has the filters in it.
        url, query = target, None


def _page(answer: Answered, url: str) -> list[dict[str, Any]]:
    data = answer.data
    if not answer.is_success or not isinstance(data, list):
        raise ListUnreadable(
            f"GET {url}: HTTP {answer.http_status}, OCPI {answer.status_code}, and no list", answer
        )
    return [document for document in data if isinstance(document, dict)]


def _all(fields: Mapping[str, str], name: str) -> list[str]:
    """All fields of that name; aiohttp's multidict gives the first alone by [name]."""
    return [value for key, value in fields.items() if key.lower() == name.lower()]


def _updated(document: dict[str, Any]) -> datetime:
    return _parsed(document["last_updated"])


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    # A "+00:00" that was not encoded arrives as a blank.
    return None if text is None else _parsed(text.replace(" ", "+"))


def _parsed(text: str) -> datetime:
    try:
        return utc(datetime.fromisoformat(text))
    except ValueError as error:
        raise InvalidParameters(f"{text!r} is not a DateTime.") from error


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    # More digits than Python converts end in an error of its own kind.
    if not (text.isascii() and text.isdigit()) or len(text) > 30:
        raise InvalidParameters(f"{name} has to be a number.")
    return int(text)
