"""The lists of Sender interfaces (transport_and_format, Pagination)."""

import re
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from cdrs.objects import CDR
from hub.ocpi import headers, links
from hub.ocpi.datatypes import InterfaceRole, decode, utc
from hub.ocpi.errors import OcpiError
from locations.objects import Location
from party.check.findings import Finding, Rule
from party.check.probe import Call, Probe
from sessions.objects import Session
from tariffs.objects import Tariff
from tokens.objects import Token

CHAPTER = "transport_and_format, Pagination"
OBJECTS: Final[dict[str, type[msgspec.Struct]]] = {
    "locations": Location,
    "tariffs": Tariff,
    "sessions": Session,
    "cdrs": CDR,
    "tokens": Token,
}
EVER: Final = "2000-01-01T00:00:00Z"
NEVER: Final = "2099-01-01T00:00:00Z"
_ENUM: Final = re.compile(r"\b(?:ModuleI[Dd]|InterfaceRole|Role|Module)\.\w+|<enum|%3Cenum", re.I)

PAGE = Rule(
    "lists.page",
    CHAPTER,
    "GET gives a list",
    "Answer HTTP 200, status_code 1000 and data: [..]; an empty list is [], not an error.",
)
VALID = Rule(
    "lists.objects",
    "the module's Object description",
    "The objects are valid",
    "Correct the named field; optional fields without a value are left out or null.",
)
OWNED = Rule(
    "lists.owners",
    "transport_and_format, Client Owned Object Pull",
    "The objects belong to the party's own roles",
    "Send your own objects, with the country_code and party_id of one of your roles; others ignore "
    "the rest.",
)
TOTAL = Rule(
    "lists.total",
    CHAPTER,
    "X-Total-Count is the number of all objects that match",
    "Set the header X-Total-Count on each page: all matching objects, whatever limit and offset.",
)
LIMIT = Rule(
    "lists.x-limit",
    CHAPTER,
    "X-Limit is there, and not below the number of objects sent",
    "Set the header X-Limit on each page: the most objects that you would send.",
)
LAST = Rule(
    "lists.x-limit-last",
    CHAPTER,
    "X-Limit is the same on the last page",
    "Send the upper limit in X-Limit, not the number of objects in this page.",
)
LIMITED = Rule(
    "lists.limit", CHAPTER, "limit is respected", "Send at most as many objects as limit says."
)
OFFSET = Rule(
    "lists.offset",
    CHAPTER,
    "offset is respected",
    "Skip as many objects as offset says, in an order that does not change; behind the last one "
    "the page is an empty list.",
)
LINK = Rule(
    "lists.link",
    CHAPTER,
    "Link leads to the next page: absolute, with the filters, and it can be followed",
    'Send Link: <https://…?offset=…&limit=…>; rel="next" while there are more objects, built from '
    "the URL of your endpoint (no enum names in it) and the filters of the request.",
)
FROM = Rule(
    "lists.date-from",
    CHAPTER,
    "date_from is respected, and inclusive",
    "Send the objects with last_updated >= date_from.",
)
TO = Rule(
    "lists.date-to",
    CHAPTER,
    "date_to is respected, and exclusive",
    "Send the objects with last_updated < date_to.",
)
ORDER = Rule(
    "lists.order",
    CHAPTER,
    "The oldest objects come first",
    "Sort by creation, ascending: newest first, each new object moves all pages while somebody "
    "reads them.",
)
RULES = (PAGE, VALID, OWNED, TOTAL, LIMIT, LAST, LIMITED, OFFSET, LINK, FROM, TO, ORDER)


def check(probe: Probe) -> Iterator[Finding]:
    """Each list that the party offers."""
    for module in OBJECTS:
        url = probe.endpoint(module, InterfaceRole.SENDER)
        if url is not None:
            yield from _check_list(probe, module, url)


def first_page(probe: Probe, module: str, url: str) -> Call:
    """The page that everything else is compared with."""
    return probe.get(url, module, filters(module))


def items_of(call: Call) -> list[dict[str, Any]]:
    """The objects of a page, as far as it can be read."""
    data = call.data if isinstance(call.data, list) else []
    return [item for item in data if isinstance(item, dict)]


def filters(module: str) -> dict[str, str]:
    """What each GET of a list of this module has to have in its query."""
    # mod_sessions: date_from is required.
    return {"date_from": EVER} if module == "sessions" else {}


def _check_list(probe: Probe, module: str, url: str) -> Iterator[Finding]:
    page = first_page(probe, module, url)
    is_list = page.is_success and isinstance(page.data, list)
    if module == "sessions" and page.status == HTTPStatus.METHOD_NOT_ALLOWED:
        # An SCSP offers this interface for the drivers' preferences alone.
        yield PAGE.not_tried("it takes charging preferences, and has no Sessions itself", module)
        return
    yield PAGE.judge(is_list, page, subject=module)
    if not is_list:
        return
    yield _valid(module, page)
    yield _owned(probe, module, page)
    total, limit = number_in(page, headers.TOTAL_COUNT), number_in(page, headers.LIMIT)
    count = len(page.data)
    yield TOTAL.judge(
        total is not None and total >= count, page, _header(page, headers.TOTAL_COUNT), module
    )
    yield LIMIT.judge(
        limit is not None and limit >= count, page, _header(page, headers.LIMIT), module
    )
    if not items_of(page):
        for rule in (LAST, LIMITED, OFFSET, LINK, FROM, TO, ORDER):
            yield rule.not_tried("the list is empty", module)
        return
    several = total if total is not None else count
    if several < 2:
        for rule in (LAST, LINK, ORDER):
            yield rule.not_tried("the list has one object only", module)
    else:
        yield _last(probe, module, url, page, several)
        yield _link(probe, module, url, page)
        yield _order(module, page)
    yield _limited(probe, module, url)
    yield _offset(probe, module, url, page, several)
    yield from _dates(probe, module, url, page)


def _valid(module: str, page: Call) -> Finding:
    items = msgspec.json.decode(page.raw_data, type=list[msgspec.Raw])
    wrong = []
    for number, item in enumerate(items):
        try:
            decode(bytes(item), OBJECTS[module])
        except OcpiError as error:
            wrong.append(f"object {number + 1}: {error.message}")
    if not items:
        return VALID.not_tried("the list is empty", module)
    if wrong:
        return VALID.failed(page, f"{len(wrong)} of {len(items)} objects; {wrong[0]}", module)
    return VALID.passed(page, f"{len(items)} objects", module)


def _owned(probe: Probe, module: str, page: Call) -> Finding:
    owners = {
        f"{item.get('country_code')}-{item.get('party_id')}".upper() for item in items_of(page)
    }
    strangers = sorted(owners - {str(party) for party in probe.target.parties})
    if not owners:
        return OWNED.not_tried("the list is empty", module)
    what = f"objects of {', '.join(strangers[:5])}" if strangers else ""
    return OWNED.judge(not strangers, page, what, module)


def _last(probe: Probe, module: str, url: str, page: Call, total: int) -> Finding:
    last = probe.get(url, module, {**filters(module), "offset": str(total - 1)})
    first, then = number_in(page, headers.LIMIT), number_in(last, headers.LIMIT)
    return LAST.judge(
        first == then, last, f"X-Limit {then} on the last page, {first} on the first", module
    )


def _limited(probe: Probe, module: str, url: str) -> Finding:
    call = probe.get(url, module, {**filters(module), "limit": "1"})
    return LIMITED.judge(
        call.is_success and len(items_of(call)) <= 1,
        call,
        f"{len(items_of(call))} objects",
        module,
    )


def _offset(probe: Probe, module: str, url: str, page: Call, total: int) -> Finding:
    behind = probe.get(url, module, {**filters(module), "offset": str(total + 1000)})
    # More than a database's integers hold.
    huge = probe.get(url, module, {**filters(module), "offset": "9" * 30})
    for call in (behind, huge):
        if (call.status or 0) >= 500 or items_of(call):
            return OFFSET.judge(False, call, f"{len(items_of(call))} objects", module)
    items = items_of(page)
    if len(items) < 2:
        return OFFSET.judge(behind.status is not None, behind, "no objects behind the end", module)
    second = probe.get(url, module, {**filters(module), "offset": "1", "limit": "1"})
    found = items_of(second)
    is_second = bool(found) and key_of(found[0]) == key_of(items[1])
    return OFFSET.judge(
        is_second, second, "" if is_second else "not the second object of the first page", module
    )


def _link(probe: Probe, module: str, url: str, page: Call) -> Finding:
    first = probe.get(url, module, {**filters(module), "limit": "1"})
    header = first.headers.get("link", "")
    if not header and len(items_of(first)) > 1:
        return LINK.not_tried("limit is not respected, so there is no next page to see", module)
    try:
        target = links.next_page(header)
    except links.LinkTooLong as error:
        return LINK.failed(first, f"{error}", module)
    if target is None:
        return LINK.judge(False, first, f"Link: {header[:120] or 'absent'}", module)
    what = f"Link: <{target[:200]}>"
    parts, base = urlsplit(target), urlsplit(url)
    if not parts.netloc or parts.scheme != base.scheme or _ENUM.search(target):
        return LINK.failed(first, what, module)
    lost = {name for name in filters(module) if name not in dict(parse_qsl(parts.query))}
    if lost:
        return LINK.failed(first, f"{what} has lost {', '.join(lost)}", module)
    second = probe.get(target, module)
    if not second.is_success or not items_of(second):
        return LINK.judge(False, second, "the next page that Link names", module)
    is_next = key_of(items_of(second)[0]) != key_of(items_of(first)[0])
    return LINK.judge(
        is_next, second, what if is_next else f"{what} gives the same object again", module
    )


def _dates(probe: Probe, module: str, url: str, page: Call) -> Iterator[Finding]:
    stamped = [(moment, item) for item in items_of(page) if (moment := moment_of(item)) is not None]
    if not stamped:
        for rule in (FROM, TO):
            yield rule.not_tried("no object has a last_updated that can be read", module)
        return
    newest, item = max(stamped, key=lambda pair: pair[0])
    stamp = str(item["last_updated"])
    after = probe.get(url, module, {"date_from": NEVER})
    since = probe.get(url, module, {"date_from": stamp})
    older = [one for one in items_of(since) if (moment_of(one) or newest) < newest]
    if items_of(after):
        yield FROM.judge(False, after, f"{len(items_of(after))} objects of the future", module)
    elif older:
        yield FROM.judge(False, since, f"{len(older)} objects are older", module)
    elif since.is_success and not items_of(since):
        yield FROM.judge(False, since, "without the object of that very moment", module)
    else:
        yield FROM.judge(after.is_success and since.is_success, since, subject=module)
    before = probe.get(url, module, {"date_from": EVER, "date_to": stamp})
    late = [one for one in items_of(before) if (moment_of(one) or newest) >= newest]
    late = [one for one in late if moment_of(one) is not None]
    what = f"{len(late)} objects are of that moment or later" if late else ""
    yield TO.judge(before.is_success and not late, before, what, module)


def _order(module: str, page: Call) -> Finding:
    moments = [moment for item in items_of(page) if (moment := moment_of(item)) is not None]
    if len(set(moments)) < 2:
        return ORDER.not_tried("all objects have the same last_updated", module)
    is_newest_first = moments == sorted(moments, reverse=True)
    return ORDER.judge(
        not is_newest_first, page, "last_updated falls" if is_newest_first else "", module
    )


def moment_of(item: dict[str, Any]) -> datetime | None:
    """`last_updated` of an object, None when it cannot be read."""
    try:
        return utc(datetime.fromisoformat(str(item.get("last_updated"))))
    except (ValueError, OcpiError):
        return None


def key_of(item: dict[str, Any]) -> tuple[Any, ...]:
    """What names an object among those of its module."""
    return item.get("country_code"), item.get("party_id"), item.get("id"), item.get("uid")


def number_in(call: Call, name: str) -> int | None:
    """A header's whole number, None when it has none."""
    text = call.headers.get(name.lower(), "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _header(call: Call, name: str) -> str:
    return f"{name}: {call.headers.get(name.lower(), 'absent')}"
