"""GET List: pages of stored documents, joined as they are (transport_and_format, Pagination).

The oldest objects come first, in the order of their row numbers. The Link to the next page says
behind which row it begins: nothing is skipped or counted again to get there, and an object that
goes, or comes into the filter, meanwhile shifts no other one out of the crawl. An offset that a
client has computed itself is counted from the first row on, as the text says.
"""

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponse

from hub.db import sql
from hub.ocpi import envelope, own_paths
from hub.ocpi.pagination import Page, page_headers, read_page
from hub.routing.request import OcpiRequest
from hub.store import leaving_out
from hub.store.newest_first import by_row
from hub.views import JSON

Rows = QuerySet[Any]
_MARK: Final = "after"


@dataclass(frozen=True, slots=True)
class _Mark:
    """The begin of a page of a Link: `offset` objects of this list end with row `row`."""

    offset: int
    row: int
    # The viewer and the filter of the list; in another list the row has another position.
    of: int

    @classmethod
    def read(cls, text: str, page: Page, of: int) -> Self | None:
        """Read a mark; None for text that no Link of this list contains."""
        parts = text.split(".")
        if len(parts) != 3 or not all(one.isascii() and one.isdigit() for one in parts):
            return None
        if len(text) > 60:
            return None
        mark = cls(*map(int, parts))
        return mark if mark.of == of and mark.offset <= page.offset and mark.row < 2**63 else None

    def __str__(self) -> str:
        return f"{self.offset}.{self.row}.{self.of}"


def list_page(rows: "Rows | Sequence[Rows]", request: OcpiRequest) -> HttpResponse:
    """One page of a GET List: stored documents joined as they are, oldest objects first.

    `rows` may be several lists of one table that share no row.
    """
    query = request.query_params
    page = read_page(query)
    lists = [_within(one, page) for one in ([rows] if isinstance(rows, QuerySet) else rows)]
    of = _list_id(request, page)
    mark = _Mark.read(query.get(_MARK, ""), page, of)
    if mark is None and not page.offset:
        for one in lists:
            leaving_out.count_in_list(one, request.platform)
    lists = [leaving_out.listed(one, request.platform) for one in lists]
    joined, last_row, count = _documents(lists, page, mark)
    has_next = count > page.limit
    total = max(_total(lists, of, is_exact=mark is None), page.offset + count if count else 0)
    response = HttpResponse(envelope.success_of_list(joined), content_type=JSON)
    place = request.place
    url = settings.BASE_URL + own_paths.interface(place.role, place.module)
    more = {}
    if has_next:
        more = {_MARK: str(_Mark(page.offset + page.limit, last_row, of))}
    for name, value in page_headers(page, total, url, query, has_next=has_next, more=more).items():
        response[name] = value
    return response


def _within(rows: Rows, page: Page) -> Rows:
    """The rows that were last updated between the page's times."""
    if page.date_from is not None:
        # A kind without an index of `last_updated` has a way of its own.
        since = getattr(rows.model, "updated_since", None)
        if since is None:
            rows = rows.filter(last_updated__gte=page.date_from)
        else:
            rows = since(rows, page.date_from)
    if page.date_to is not None:
        rows = rows.filter(last_updated__lt=page.date_to)
    return rows


def _list_id(request: OcpiRequest, page: Page) -> int:
    said = f"{request.place.module} {request.sender} {page.date_from} {page.date_to}"
    return zlib.crc32(said.encode())


def _documents(lists: Sequence[Rows], page: Page, mark: _Mark | None) -> tuple[bytes, int, int]:
    """The documents of a page, the row of the last one, and how many there are, up to one more.

    PostgreSQL joins them: half of the time of a page, when a hundred rows came one by one. The
    numbers are found first: a document is only read for what is sent.
    """
    skipped = page.offset
    if mark is not None:
        lists, skipped = [one.filter(id__gt=mark.row) for one in lists], page.offset - mark.offset
    most = skipped + page.limit + 1
    queries = [
        by_row(one, page.date_from, is_begun=mark is not None).values("id")[:most] for one in lists
    ]
    told = [one.query.sql_with_params() for one in queries]
    numbers = " UNION ALL ".join(f"({query})" for query, _ in told)
    table = lists[0].model._meta.db_table
    # The rows have the index's order; asking for it again would sort the documents.
    statement = f"""
        WITH numbers AS MATERIALIZED (
            SELECT id FROM ({numbers}) AS one ORDER BY id OFFSET %s LIMIT %s
        )
        SELECT coalesce(string_agg(document, ','::bytea), ''), coalesce(max(id), 0),
               (SELECT count(*) FROM numbers)
        FROM (
            SELECT id, document FROM {table}
            WHERE id = ANY (ARRAY (SELECT id FROM numbers ORDER BY id LIMIT %s)) ORDER BY id
        ) AS found
    """  # noqa: S608 - made by Django
    given = [value for _, parameters in told for value in parameters]
    # Not prepared with an offset or a time: a plan for any of them is a bad one.
    is_plain = not skipped and page.date_from is None and page.date_to is None
    [answer] = sql.run(statement, [*given, skipped, page.limit + 1, page.limit], prepare=is_plain)
    return cast("tuple[bytes, int, int]", answer)


# --- X-Total-Count ------------------------------------------------------------------------------

# A client that follows the Links misses nothing, whatever the total says: a count may wait a
# hundred times as long as it took.
_PATIENCE: Final = 100
_MOST_TOTALS: Final = 1000
_totals: dict[int, tuple[int, float]] = {}


def _total(lists: Sequence[Rows], of: int, *, is_exact: bool) -> int:
    """How many objects a list has; exact where a client computes with it (Pagination, NOTE)."""
    begun = time.monotonic()
    total, valid_until = _totals.get(of, (0, 0.0))
    if not is_exact and valid_until > begun:
        return total
    total = sum(one.order_by().count() for one in lists)
    if len(_totals) >= _MOST_TOTALS:
        _totals.clear()  # In one step, since other threads do it too.
    ended = time.monotonic()
    _totals[of] = (total, ended + _PATIENCE * (ended - begun))
    return total
