"""CSV of the messages, Sessions and CDRs of a partner in a period, for spreadsheets and auditors.

Times are UTC; numbers are whole, as they were told. A text that a spreadsheet would take for a
formula is quoted. What names a driver is not in it.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from cdrs.models import Cdr
from hub.console.access import audit, scope
from hub.ocpi import lenient
from hub.ocpi.party import PartyId
from hub.record.models import Message
from hub.record.search import Criteria, WrongCriterion, own_legs
from sessions.models import Session

# An answer of the console is read whole before it leaves: so many are some 10 MB.
MOST_ROWS: Final = 50_000
LONGEST: Final = timedelta(days=62)
_CHUNK: Final = 2_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_decode = msgspec.json.Decoder(float_hook=lenient.decimal).decode
Cells = Sequence[Any]


class Kind(NamedTuple):
    """What can be had: its name, its permission, its heads, its rows and the cells of one."""

    title: str
    permission: str
    heads: Sequence[str]
    rows: Callable[[Any, PartyId, datetime, datetime], QuerySet[Any]]
    cells: Callable[[Any], Cells]


def kinds(user: Any) -> dict[str, str]:
    """Names and titles of what this account may have."""
    return {name: kind.title for name, kind in _KINDS.items() if user.has_perm(kind.permission)}


@require_http_methods(["GET", "POST"])
def page(request: HttpRequest) -> HttpResponseBase:
    """The form, and on POST the file."""
    may = kinds(request.user)
    if not may:
        raise PermissionDenied
    today = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    asked = {
        "what": next(iter(may)),
        "party": request.GET.get("party", ""),
        "from": f"{today:%Y-%m-%dT%H:%M}",
        "to": f"{today + timedelta(days=1):%Y-%m-%dT%H:%M}",
    }
    problem = ""
    if request.method == "POST":
        asked |= {name: request.POST.get(name, "").strip() for name in asked}
        if asked["what"] not in may:
            raise PermissionDenied
        try:
            return _file(request, asked)
        except WrongCriterion as error:
            problem = str(error)
    context = {
        **admin.site.each_context(request),
        "title": "CSV of a period",
        "kinds": may.items(),
        "asked": asked,
        "problem": problem,
        "most": f"{MOST_ROWS:,}",
        "days": LONGEST.days,
    }
    return TemplateResponse(request, "console/export.html", context)


def _file(request: HttpRequest, asked: dict[str, str]) -> StreamingHttpResponse:
    """WrongCriterion says what is wrong with what was asked."""
    found = Criteria.read({name: asked[name] for name in ("party", "from", "to")})
    if found.party is None or found.since is None or found.until is None:
        raise WrongCriterion("Name a party, and the beginning and end of a period.")
    if not timedelta(0) < found.until - found.since <= LONGEST:
        raise WrongCriterion(f"The period has to end after it begins, {LONGEST.days} days at most.")
    kind = _KINDS[asked["what"]]
    rows = kind.rows(request.user, found.party, found.since, found.until)
    number = rows.order_by()[: MOST_ROWS + 1].count()
    if number > MOST_ROWS:
        raise WrongCriterion(
            f"These are more than {MOST_ROWS:,} rows: choose a shorter period, or read the API "
            "page by page."
        )
    period = f"{found.since:%Y-%m-%dT%H:%M:%SZ} to {found.until:%Y-%m-%dT%H:%M:%SZ}"
    what = f"{asked['what']} of {found.party}, {period}: {number} rows"
    audit.note(request, "export CSV", detail=what)
    name = (
        f"{asked['what']}_{found.party}_{found.since:%Y%m%dT%H%MZ}_{found.until:%Y%m%dT%H%MZ}.csv"
    )
    return StreamingHttpResponse(
        written(kind.heads, (kind.cells(row) for row in rows.iterator(_CHUNK))),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        },
    )


# --- Cells ----------------------------------------------------------------------------------------


def written(heads: Sequence[str], rows: Iterable[Cells]) -> Iterator[bytes]:
    """The file, part by part (RFC 4180)."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for number, row in enumerate(chain([heads], rows)):
        writer.writerow([cell(value) for value in row])
        if number % 500 == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode("utf-8", "replace")


def cell(value: Any) -> str:
    """A number whole, a moment in UTC, and no text that a spreadsheet would compute."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() and -40 < value.adjusted() < 40 else f"'{value}"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"
    text = str(value).replace("\0", "")
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _document(row: Any) -> dict[str, Any]:
    """Empty for what is no object."""
    try:
        found = _decode(bytes(row.document) or b"{}")
    except (msgspec.DecodeError, RecursionError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> Any:
    """A number or a text of a document; what is neither is not shown."""
    return value if isinstance(value, str | int | float | Decimal) else None


def _price(document: dict[str, Any], name: str) -> tuple[Any, Any]:
    """A Price as excl_vat and incl_vat, or a number as it was before 2.2."""
    found = document.get(name)
    if isinstance(found, dict):
        return _plain(found.get("excl_vat")), _plain(found.get("incl_vat"))
    return _plain(found), None


# --- What can be had ------------------------------------------------------------------------------


def _messages(user: Any, party: PartyId, since: datetime, until: datetime) -> QuerySet[Message]:
    rows = Message.objects.filter(at__gte=since, at__lt=until)
    rows = rows.filter(Q(sender=str(party)) | Q(receiver=str(party)))
    only = scope.only(user)
    rows = rows if only is None else rows.filter(own_legs(only))
    return rows.defer("request_body", "answer_body").order_by("at", "id")


def _message(row: Message) -> Cells:
    return (
        *(row.at, row.direction, row.kind, row.sender, row.receiver, row.method, row.module),
        *(row.path, row.object_id, row.http_status, row.ocpi_code, row.is_failed, row.problem),
        *(round(row.milliseconds, 3), row.request_bytes, row.answer_bytes, row.times),
        *(row.request_id, row.correlation_id, row.related_id),
    )


def _sessions(user: Any, party: PartyId, since: datetime, until: datetime) -> QuerySet[Session]:
    sides = Q(country_code__iexact=party.country_code, party_id__iexact=party.party_id) | Q(
        emsp_country_code__iexact=party.country_code, emsp_party_id__iexact=party.party_id
    )
    rows = Session.updated_since(scope.rows(user, Session.objects.filter(sides)), since)
    found: QuerySet[Session] = rows.filter(last_updated__lt=until).order_by("last_updated", "id")
    return found


def _session(row: Session) -> Cells:
    told = _document(row)
    names = ("start_date_time", "end_date_time", "kwh", "currency", "connector_id", "auth_method")
    values = {name: _plain(told.get(name)) for name in names}
    return (
        *(row.session_id, str(row.owner), str(row.emsp), row.status),
        *(values["start_date_time"], values["end_date_time"], values["kwh"]),
        *(*_price(told, "total_cost"), values["currency"]),
        *(row.location_id, row.evse_uid, values["connector_id"], values["auth_method"]),
        *(row.last_updated, row.received_at),
    )


def _cdrs(user: Any, party: PartyId, since: datetime, until: datetime) -> QuerySet[Cdr]:
    rows = scope.rows(user, Cdr.visible_to(party))
    rows = rows.filter(last_updated__gte=since, last_updated__lt=until)
    return rows.select_related("priced").order_by("last_updated", "id")


_COSTS: Final = ("total_cost", "total_energy_cost", "total_time_cost", "total_parking_cost")


def _cdr(row: Cdr) -> Cells:
    told = _document(row)
    priced = getattr(row, "priced", None)

    def value(name: str) -> Any:
        return _plain(told.get(name))

    return (
        *(_plain(told.get("id")) or row.object_id, row.owner, row.audience, value("session_id")),
        *(value("start_date_time"), value("end_date_time"), value("total_energy")),
        *(value("total_time"), value("total_parking_time"), value("currency")),
        *(amount for name in _COSTS for amount in _price(told, name)),
        *(value("credit"), value("credit_reference_id"), value("invoice_reference_id")),
        *(priced.result if priced else None, row.answer_status, row.last_updated, row.received_at),
    )


_KINDS: Final = {
    "messages": Kind(
        "messages",
        "record.view_message",
        (
            *("at", "direction", "way", "sender", "receiver", "method", "module", "path"),
            *("object_id", "http_status", "ocpi_code", "is_failed", "why", "milliseconds"),
            *("request_bytes", "answer_bytes", "times"),
            *("request_id", "correlation_id", "related_id"),
        ),
        _messages,
        _message,
    ),
    "sessions": Kind(
        "Sessions, by last_updated",
        "ocpi_sessions.view_session",
        (
            *("id", "cpo", "emsp", "status", "start_date_time", "end_date_time", "kwh"),
            *("total_cost_excl_vat", "total_cost_incl_vat", "currency", "location_id", "evse_uid"),
            *("connector_id", "auth_method", "last_updated", "received_at"),
        ),
        _sessions,
        _session,
    ),
    "cdrs": Kind(
        "CDRs, by last_updated",
        "ocpi_cdrs.view_cdr",
        (
            *("id", "cpo", "emsp", "session_id", "start_date_time", "end_date_time"),
            *("total_energy", "total_time", "total_parking_time", "currency"),
            *(f"{name}_{vat}" for name in _COSTS for vat in ("excl_vat", "incl_vat")),
            *("credit", "credit_reference_id", "invoice_reference_id"),
            *("beside_its_tariffs", "answer_http_status", "last_updated", "received_at"),
        ),
        _cdrs,
        _cdr,
    ),
}
