"""Lists of a simulator: party.paging, made wrong as the switches want it (simulators.faults)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hub.ocpi import headers
from party.messages import Received, Reply
from party.paging import MAX_PAGE, Window, next_link, page_of
from simulators.faults import Switches
from simulators.faulty_platform import FaultyPlatform


def list_reply(
    documents: Sequence[dict[str, Any]], message: Received, platform: FaultyPlatform
) -> Reply:
    """The page that a message asks for."""
    switches = platform.faults.of(message.module)
    asked = Window.of(message.query)
    window = _spoiled(asked, switches)
    matching = _spoiled_objects(window.matching(documents), switches)
    url = platform.page_url(message.module, message.interface)
    reply = page_of(matching, window, message.query, url)
    if switches.no_link:
        reply.headers.pop("Link", None)
    if switches.looping_link and "Link" in reply.headers:
        reply.headers["Link"] = next_link(url, message.query, window.offset, window.limit)
    if switches.total_ignores_dates:
        reply.headers[headers.TOTAL_COUNT] = str(len(documents))
    if switches.total_of_page:
        reply.headers[headers.TOTAL_COUNT] = str(len(reply.data))
    if switches.bad_object and reply.data:
        reply.data[0] = reply.data[0] | {"last_updated": "yesterday"}
    return reply


def _spoiled(window: Window, switches: Switches) -> Window:
    if switches.ignores_dates:
        window = replace(window, date_from=None, date_to=None)
    if switches.dates_off_by_one:
        step = timedelta(milliseconds=1)
        begin, end = window.date_from, window.date_to
        window = replace(window, date_from=begin and begin + step, date_to=end and end + step)
    if switches.ignores_limit:
        window = replace(window, limit=MAX_PAGE)
    if switches.ignores_offset:
        window = replace(window, offset=0)
    if switches.overlapping_pages:
        window = replace(window, offset=max(0, window.offset - 1))
    return window


def _spoiled_objects(matching: list[dict[str, Any]], switches: Switches) -> list[dict[str, Any]]:
    if switches.newest_first:
        matching = matching[::-1]
    if switches.foreign_objects:
        matching = [document | {"party_id": "ZZZ"} for document in matching]
    if switches.wrong_objects:
        matching = [document | {"country_code": "NLD"} for document in matching]
    return matching
