"""Paginated answers of a Sender interface (transport_and_format, Pagination)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from hub.ocpi import headers
from hub.ocpi.datatypes import utc
from hub.ocpi.errors import InvalidParameters
from simulators.messages import Received, Reply

if TYPE_CHECKING:
    from simulators.ocpi_platform import Platform

MAX_PAGE = 50


def page_of(documents: Sequence[dict[str, Any]], message: Received, platform: "Platform") -> Reply:
    """The page that the query asks for: `date_from` inclusive, `date_to` exclusive."""
    switches = platform.faults.of(message.module)
    begin, end = _moment(message, "date_from"), _moment(message, "date_to")
    if switches.ignores_dates:
        begin = end = None
    if switches.dates_off_by_one:
        step = timedelta(milliseconds=1)
        begin, end = begin and begin + step, end and end + step
    matching = [
        document
        for document in documents
        if (begin is None or _updated(document) >= begin)
        and (end is None or _updated(document) < end)
    ]
    matching.sort(key=lambda document: str(document["last_updated"]), reverse=switches.newest_first)
    offset, limit = _number(message, "offset", 0), _number(message, "limit", MAX_PAGE)
    limit = MAX_PAGE if switches.ignores_limit else min(limit, MAX_PAGE)
    if switches.ignores_offset:
        offset = 0
    if switches.foreign_objects:
        matching = [document | {"party_id": "ZZZ"} for document in matching]
    if switches.wrong_objects:
        matching = [document | {"country_code": "NLD"} for document in matching]
    sent = {headers.TOTAL_COUNT: str(len(matching)), headers.LIMIT: str(MAX_PAGE)}
    if offset + limit < len(matching) and not switches.no_link:
        following = offset if switches.looping_link else offset + limit
        query = dict(message.query) | {"offset": str(following), "limit": str(limit)}
        url = platform.page_url(message.module, message.interface)
        sent["Link"] = f'<{url}?{urlencode(query)}>; rel="next"'
    page = matching[offset : offset + limit]
    if switches.bad_object and page:
        page = [page[0] | {"last_updated": "yesterday"}, *page[1:]]
    return Reply(page, headers=sent)


def _updated(document: dict[str, Any]) -> datetime:
    return _parsed(document["last_updated"])


def _moment(message: Received, name: str) -> datetime | None:
    text = message.query.get(name)
    # A "+00:00" that was not encoded arrives as a blank.
    return None if text is None else _parsed(text.replace(" ", "+"))


def _parsed(text: str) -> datetime:
    try:
        return utc(datetime.fromisoformat(text))
    except ValueError as error:
        raise InvalidParameters(f"{text!r} is no DateTime.") from error


def _number(message: Received, name: str, default: int) -> int:
    text = message.query.get(name, "")
    if not text:
        return default
    if not text.isdigit():
        raise InvalidParameters(f"{name} has to be a number.")
    return int(text)
