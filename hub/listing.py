"""GET List: pages of stored documents, joined as they are (transport_and_format, Pagination)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db import connection, models
from django.http import HttpResponse
from rest_framework.request import Request

from hub.ocpi import envelope
from hub.ocpi.configuration import VERSION
from hub.ocpi.pagination import Page, page_headers, read_page
from hub.views import JSON, exchange_of


@dataclass(frozen=True, slots=True)
class _Survey:
    """How many rows a filter finds, and the id of each thousandth of them."""

    total: int
    landmarks: tuple[int, ...]
    valid_until: float


_STEP: Final = 1000
# A survey is kept for a hundred times as long as it took: a short list is counted each time.
_PATIENCE: Final = 100
_TOO_QUICK_TO_KEEP: Final = 0.005
_MOST_SURVEYS: Final = 1000
_surveys: dict[tuple[str, tuple[Any, ...]], _Survey] = {}


def list_page(rows: "models.QuerySet[Any]", request: Request) -> HttpResponse:
    """One page of a GET List: stored documents joined as they are, oldest objects first."""
    page = read_page(request.query_params)
    if page.date_from is not None:
        rows = rows.filter(last_updated__gte=page.date_from)
    if page.date_to is not None:
        rows = rows.filter(last_updated__lt=page.date_to)
    survey = _survey(rows)
    found = _documents(rows, page, survey)
    has_next = len(found) > page.limit
    total = max(survey.total, page.offset + len(found) if found else 0)
    response = HttpResponse(envelope.success_of_list(found[: page.limit]), content_type=JSON)
    match = exchange_of(request).place
    url = f"{settings.BASE_URL}/ocpi/{VERSION}/{match.role.lower()}/{match.module}"
    for name, value in page_headers(
        page, total, url, request.query_params, has_next=has_next
    ).items():
        response[name] = value
    return response


def _survey(rows: "models.QuerySet[Any]") -> _Survey:
    """Total and landmarks of a list, at most as old as it takes to be cheap."""
    sql, parameters = rows.order_by("id").values("id").query.sql_with_params()
    key = (sql, tuple(map(str, parameters)))
    begun = time.monotonic()
    known = _surveys.get(key)
    if known is not None and known.valid_until > begun:
        return known
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, number FROM (SELECT id, row_number() OVER (ORDER BY id) AS number, "  # noqa: S608 - made by Django
            f"count(*) OVER () AS total FROM ({sql}) AS seen) AS numbered "
            f"WHERE number %% {_STEP} = 0 OR number = total ORDER BY id",
            parameters,
        )
        marks = cursor.fetchall()
    total = marks[-1][1] if marks else 0
    took = time.monotonic() - begun
    survey = _Survey(
        total,
        tuple(mark for mark, number in marks if number % _STEP == 0),
        begun + took * _PATIENCE,
    )
    _surveys.pop(key, None)
    if took > _TOO_QUICK_TO_KEEP:
        if len(_surveys) >= _MOST_SURVEYS:
            _surveys.pop(next(iter(_surveys)), None)
        _surveys[key] = survey
    return survey


def _documents(rows: "models.QuerySet[Any]", page: Page, survey: _Survey) -> Sequence[bytes]:
    """The documents of a page and of one more, which tells whether there is a next page.

    From the landmark before the page on: no offset is deeper than a thousand rows. The keys are
    found first: a document is only read for what is sent.
    """
    landmark = min(page.offset // _STEP, len(survey.landmarks))
    if landmark:
        rows = rows.filter(id__gt=survey.landmarks[landmark - 1])
    skipped = page.offset - landmark * _STEP
    inner, parameters = (
        rows.order_by("id").values("id")[skipped : skipped + page.limit + 1].query.sql_with_params()
    )
    table = rows.model._meta.db_table
    statement = f"SELECT document FROM {table} WHERE id IN ({inner}) ORDER BY id"  # noqa: S608 - made by Django
    connection.ensure_connection()
    # A cursor with server-side binding can ask for binary results: as text, PostgreSQL would write
    # each byte of a document as two digits.
    with psycopg.Cursor(connection.connection) as cursor:
        found = cursor.execute(statement, parameters, binary=True).fetchall()
    return [document for (document,) in found]
