"""Lists, by two requests: is the offset applied, is date_from (transport_and_format, Pagination)?

What a page says about itself may be right though all pages are the same page. So two answers are
held against each other. Lists of a live party change in between: what differs is asked once more.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from hub.ocpi import headers, links
from hub.ocpi.datatypes import InterfaceRole
from party.check.findings import Finding, Outcome, Rule
from party.check.lists import (
    CHAPTER,
    OBJECTS,
    filters,
    first_page,
    items_of,
    key_of,
    moment_of,
    number_in,
)
from party.check.probe import Call, Probe

CONTINUES = Rule(
    "lists.offset-applied",
    CHAPTER,
    "A second page continues where the first one ended, and counts the same total",
    "Skip offset objects of the same list in the same order: no object twice, none left out; "
    "X-Total-Count is the same on each page, however long the page is.",
)
APPLIED = Rule(
    "lists.date-from-applied",
    CHAPTER,
    "With date_from nothing older comes back, nothing newer is lost, and X-Total-Count follows",
    "Compare last_updated of each object with date_from before you count and page: what is older "
    "is not sent and not counted, what is as new or newer is.",
)
RULES = (CONTINUES, APPLIED)


def check(probe: Probe) -> Iterator[Finding]:
    """Each list that the party offers, and that can be read."""
    for module in OBJECTS:
        url = probe.endpoint(module, InterfaceRole.SENDER)
        if url is None:
            continue
        page = first_page(probe, module, url)
        if not page.is_success or not isinstance(page.data, list):
            for rule in RULES:
                yield rule.not_tried("there is no list to read", module)
            continue
        yield _twice(_continues, probe, module, url)
        yield _twice(_applied, probe, module, url)


def _twice(
    judge: Callable[[Probe, str, str], Finding], probe: Probe, module: str, url: str
) -> Finding:
    """Two requests see two states of a list that changes; two pairs of them hardly do."""
    finding = judge(probe, module, url)
    return judge(probe, module, url) if finding.outcome is Outcome.FAILED else finding


def _asked(probe: Probe, module: str, url: str, **query: str) -> Call:
    return probe.get(url, module, {**filters(module), **query}, anew=True)


def _continues(probe: Probe, module: str, url: str) -> Finding:
    whole = _asked(probe, module, url)
    items = items_of(whole)
    if len(items) < 2:
        return CONTINUES.not_tried("the list has fewer than two objects", module)
    size = len(items) // 2
    first = _asked(probe, module, url, offset="0", limit=str(size))
    begun = items_of(first)[:size]
    if not begun:
        return CONTINUES.judge(False, first, "no object, though the list has some", module)
    offset = len(begun)
    second = _asked(probe, module, url, offset=str(offset), limit=str(size))
    problem = _discontinuity(items, begun, items_of(second)) if second.is_success else "no page"
    totals = [number_in(call, headers.TOTAL_COUNT) for call in (whole, first, second)]
    # Where it is absent, that is a rule of its own.
    if not problem and None not in totals and len(set(totals)) > 1:
        told = ", ".join(map(str, totals))
        problem = f"{headers.TOTAL_COUNT} is {told}: without a limit, on two pages of {size}"
    return CONTINUES.judge(not problem, second, problem or f"{offset} objects before it", module)


def _discontinuity(
    items: list[dict[str, Any]], begun: list[dict[str, Any]], then: list[dict[str, Any]]
) -> str:
    """What is wrong with the page `then` behind `begun`; `items` is the list without a limit."""
    if not then:
        return f"no object behind the {len(begun)} of the first page, though there are {len(items)}"
    known = {key_of(item) for item in begun}
    again = sum(key_of(item) in known for item in then)
    if again:
        return f"{again} objects of the first page come again"
    if key_of(then[0]) != key_of(items[len(begun)]):
        return "it begins with another object than stands there in the whole list"
    return ""


def _applied(probe: Probe, module: str, url: str) -> Finding:
    whole = _asked(probe, module, url)
    stamped = [(at, item) for item in items_of(whole) if (at := moment_of(item)) is not None]
    moments = sorted({at for at, _ in stamped})
    if len(moments) < 2:
        return APPLIED.not_tried("fewer than two moments of last_updated are in the list", module)
    middle = moments[len(moments) // 2]
    stamp = next(str(item["last_updated"]) for at, item in stamped if at == middle)
    since = _asked(probe, module, url, date_from=stamp)
    problem = _unapplied(whole, since, stamped, middle) if since.is_success else "no page"
    older = sum(at < middle for at, _ in stamped)
    return APPLIED.judge(
        not problem, since, problem or f"{older} objects of the first page are older", module
    )


def _unapplied(
    whole: Call, since: Call, stamped: list[tuple[datetime, dict[str, Any]]], middle: datetime
) -> str:
    """What is wrong with the page `since` of the moment `middle`."""
    found = items_of(since)
    older = sum((at := moment_of(item)) is not None and at < middle for item in found)
    if older:
        return f"{older} objects are older than date_from"
    known = {key_of(item) for item in found}
    lost = sum(at >= middle and key_of(item) not in known for at, item in stamped)
    if lost and not _has_next(since):
        return f"{lost} objects that are as new are not there"
    before = sum(at < middle for at, _ in stamped)
    all_, counted = (number_in(call, headers.TOTAL_COUNT) for call in (whole, since))
    if all_ is not None and counted is not None and counted > all_ - before:
        return f"{headers.TOTAL_COUNT} is {counted} of {all_}, though {before} or more are older"
    return ""


def _has_next(page: Call) -> bool:
    """Whether the page says that there is another one, by Link or by the total."""
    total = number_in(page, headers.TOTAL_COUNT)
    if total is not None and total > len(items_of(page)):
        return True
    try:
        return links.next_page(page.headers.get("link", "")) is not None
    except links.LinkTooLong:
        return True
