"""GET List: pages of stored documents, joined as they are (transport_and_format, Pagination).

The oldest objects come first, in the order of their row numbers. The Link to the next page says
behind which row it begins: nothing is skipped or counted again to get there, and an object that
goes, or comes into the filter, meanwhile shifts no other one out of the crawl. An offset that a
client has reckoned itself is counted from the first row on, as the text says.
"""

import time
import zlib
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from django.conf import settings
from django.db import models
from django.http import HttpResponse
from rest_framework.request import Request

from hub import leaving_out, statements
from hub.ocpi import envelope
from hub.ocpi.configuration import VERSION
from hub.ocpi.pagination import Page, page_headers, read_page
from hub.views import JSON, Exchange, exchange_of

_MARK: Final = "after"


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a page of our own Link begins: `offset` objects of this list end with row `row`."""

    offset: int
    row: int
    # Whose list and which filter it was: in another one the row has another place.
    of: int

    @classmethod
    def read(cls, text: str, page: Page, of: int) -> Self | None:
        """None for what no Link of this list says."""
        parts = text.split(".")
        if len(parts) != 3 or not all(one.isascii() and one.isdigit() for one in parts):
            return None
        if len(text) > 60:
            return None
        mark = cls(*map(int, parts))
        return mark if mark.of == of and mark.offset <= page.offset and mark.row < 2**63 else None

    def __str__(self) -> str:
        return f"{self.offset}.{self.row}.{self.of}"


def list_page(rows: "models.QuerySet[Any]", request: Request) -> HttpResponse:
    """One page of a GET List: stored documents joined as they are, oldest objects first."""
    exchange, query = exchange_of(request), request.query_params
    page = read_page(query)
    if page.date_from is not None:
        rows = rows.filter(last_updated__gte=page.date_from)
    if page.date_to is not None:
        rows = rows.filter(last_updated__lt=page.date_to)
    of = _list_id(exchange, page)
    mark = _Mark.read(query.get(_MARK, ""), page, of)
    if mark is None and not page.offset:
        leaving_out.count_in_list(rows, exchange.platform)
    rows = leaving_out.listed(rows, exchange.platform)
    joined, last_row, count = _documents(rows, page, mark)
    has_next = count > page.limit
    total = max(_total(rows, of, is_exact=mark is None), page.offset + count if count else 0)
    response = HttpResponse(envelope.success_of_list(joined), content_type=JSON)
    url = (
        f"{settings.BASE_URL}/ocpi/{VERSION}/{exchange.place.role.lower()}/{exchange.place.module}"
    )
    more = {}
    if has_next:
        more = {_MARK: str(_Mark(page.offset + page.limit, last_row, of))}
    for name, value in page_headers(page, total, url, query, has_next=has_next, more=more).items():
        response[name] = value
    return response


def _list_id(exchange: Exchange, page: Page) -> int:
    said = f"{exchange.place.module} {exchange.caller} {page.date_from} {page.date_to}"
    return zlib.crc32(said.encode())


def _documents(
    rows: "models.QuerySet[Any]", page: Page, mark: _Mark | None
) -> tuple[bytes, int, int]:
    """The documents of a page, the row of the last one, and how many there are, up to one more.

    PostgreSQL joins them: half of the time of a page, when a hundred rows came one by one.
    """
    skipped = page.offset
    if mark is not None:
        rows, skipped = rows.filter(id__gt=mark.row), page.offset - mark.offset
    rows = rows.order_by("id")
    keys = rows.values("id")[skipped : skipped + page.limit + 1]
    found = rows[: page.limit]
    if skipped:
        # The keys are found first: a document is only read for what is sent.
        shown = rows.values("id")[skipped : skipped + page.limit]
        found = rows.model._default_manager.filter(pk__in=shown).order_by("id")
    documents, own = found.values("id", "document").query.sql_with_params()
    ids, theirs = keys.query.sql_with_params()
    # The order is that of the rows: to ask for it again would sort the documents.
    statement = f"""
        SELECT coalesce(string_agg(document, ','::bytea), ''), coalesce(max(id), 0),
               (SELECT count(*) FROM ({ids}) AS keys)
        FROM ({documents}) AS found (id, document)
    """  # noqa: S608 - made by Django
    # Not prepared with an offset: a plan for any of them is a bad one.
    [answer] = statements.run(statement, (*theirs, *own), prepare=not skipped)
    return cast("tuple[bytes, int, int]", answer)


# --- X-Total-Count ------------------------------------------------------------------------------

# Who follows our Links misses nothing whatever the total says: counting it again may wait for a
# hundred times as long as it took.
_PATIENCE: Final = 100
_MOST_TOTALS: Final = 1000
_totals: dict[int, tuple[int, float]] = {}


def _total(rows: "models.QuerySet[Any]", of: int, *, is_exact: bool) -> int:
    """How many objects a list has; exactly where a client reckons with it (Pagination, NOTE)."""
    begun = time.monotonic()
    total, valid_until = _totals.get(of, (0, 0.0))
    if not is_exact and valid_until > begun:
        return total
    total = rows.order_by().count()
    if len(_totals) >= _MOST_TOTALS:
        _totals.clear()  # In one step: other threads are at it too.
    ended = time.monotonic()
    _totals[of] = (total, ended + _PATIENCE * (ended - begun))
    return total
