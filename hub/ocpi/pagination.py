"""Paginated lists (transport_and_format, Pagination)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from urllib.parse import urlencode

import msgspec

from hub.ocpi import headers
from hub.ocpi.datatypes import utc
from hub.ocpi.errors import InvalidParameters

MAX_LIMIT = 100
# Larger than any list; keeps an absurd offset within a database's integers.
_MAX_OFFSET = 10**15


@dataclass(frozen=True, slots=True)
class Page:
    """What a client asks for; `date_from` is inclusive, `date_to` exclusive."""

    offset: int
    limit: int
    date_from: datetime | None
    date_to: datetime | None


def read_page(query: Mapping[str, str]) -> Page:
    """Read offset, limit, date_from and date_to; InvalidParameters names the wrong one."""
    return Page(
        offset=min(_integer(query, "offset", 0, least=0), _MAX_OFFSET),
        limit=min(_integer(query, "limit", MAX_LIMIT, least=1), MAX_LIMIT),
        date_from=_moment(query, "date_from"),
        date_to=_moment(query, "date_to"),
    )


def page_headers(
    page: Page,
    total: int,
    url: str,
    query: Mapping[str, str],
    *,
    has_next: bool | None = None,
    more: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """X-Total-Count, X-Limit and, unless this is the last page, Link with the same filters.

    `has_next` is for who knows better than `total` whether there is another page; `more` are
    further parameters of the Link.
    """
    sent = {headers.TOTAL_COUNT: str(total), headers.LIMIT: str(page.limit)}
    after = page.offset + page.limit
    if after < total if has_next is None else has_next:
        filters = {name: query[name] for name in ("date_from", "date_to") if name in query}
        following = urlencode({"offset": after, "limit": page.limit, **filters, **more})
        sent["Link"] = f'<{url}?{following}>; rel="next"'
    return sent


def _integer(query: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 30 or int(text) < least:
        raise InvalidParameters(f"{name}={text[:40]!r} is not a whole number of at least {least}.")
    return int(text)


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        # A '+' that was not encoded arrives as a space.
        return utc(msgspec.convert(text.strip().replace(" ", "+"), datetime))
    except (msgspec.ValidationError, InvalidParameters) as error:
        raise InvalidParameters(
            f"{name}={text[:40]!r} is not a DateTime such as 2015-06-29T20:39:09Z."
        ) from error
