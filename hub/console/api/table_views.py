"""Rows of the tables: lists, one row, and writing by the forms of the console's own pages."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
from django.contrib import admin
from django.core.exceptions import FieldError, PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict

from hub.console.access import audit, scope
from hub.console.api.base import AdminView, as_at_the_console
from hub.console.api.keys import Caller
from hub.console.api.problems import conflict, invalid, not_found
from hub.console.api.tables import BY_NAME, Table
from hub.models import Delivery
from hub.ocpi import lenient
from hub.views import Problem, answer_json

MOST: Final = 500
_LIMIT: Final = 100
_LARGEST: Final = 2**63 - 1


def table_of(caller: Caller, name: str) -> Table:
    """The table, if there is one of this name and the key may see it."""
    table = BY_NAME.get(name)
    if table is None:
        raise not_found(f"There is no table {name}; see /admin-api/v1/openapi.json.")
    caller.needs(table.permission)
    return table


def rows_of(caller: Caller, table: Table) -> QuerySet[Any]:
    """All that this key may see, the newest first."""
    found: QuerySet[Any] = scope.rows(caller, table.model._default_manager.all())
    return found.prefetch_related(*table.with_).order_by("-pk")


def row_of(caller: Caller, table: Table, pk: int) -> Any:
    """One row; 404 when there is none that this key may see."""
    row = rows_of(caller, table).filter(pk=pk).first() if pk <= _LARGEST else None
    if row is None:
        raise not_found(f"There is no row {pk} in {table.name}.")
    return row


def number_of(request: HttpRequest, name: str, default: int, most: int) -> int:
    """A whole number of the query, from 1 to `most`."""
    text = request.GET.get(name, "")
    found = lenient.whole_number(text) if text else default
    if found is None or not 1 <= found <= most:
        raise invalid(f"{name} must be a whole number from 1 to {most}.")
    return found


def listed(caller: Caller, request: HttpRequest, name: str) -> HttpResponse:
    """A page of a list; `before` of the answer asks for the next one."""
    table = table_of(caller, name)
    limit = number_of(request, "limit", _LIMIT, MOST)
    found = rows_of(caller, table)
    odd = set(request.GET) - {"limit", "before", *table.filters}
    if odd:
        raise invalid(f"{table.name} has no filter {sorted(odd)[0]}.")
    try:
        for one in set(request.GET) & set(table.filters):
            found = found.filter(**_narrowed(one, request.GET[one]))
    except (ValueError, ValidationError, FieldError) as error:
        raise invalid(f"A filter of {table.name} cannot be read.") from error
    if "before" in request.GET:
        found = found.filter(pk__lt=number_of(request, "before", 1, _LARGEST))
    rows = list(found[: limit + 1])
    more = {"before": rows[limit - 1].pk} if len(rows) > limit else {}
    return answer_json({"rows": [told(caller, table, row) for row in rows[:limit]], **more})


def told(caller: Caller, table: Table, row: Any) -> dict[str, Any]:
    """A row as this key may see it."""
    if isinstance(row, Delivery):
        vars(row)["is_to_viewer"] = scope.is_to_them(caller, row)
    return table.told(row)


class Rows(AdminView):
    """A list, page by page; and rows that are made."""

    def act(self, request: HttpRequest, ids: dict[str, Any]) -> str:
        return f"add to {ids['name']}"

    def get(self, caller: Caller, request: HttpRequest, name: str) -> HttpResponse:
        """`?limit=&before=` and the filters of the table."""
        return listed(caller, request, name)

    def post(self, caller: Caller, request: HttpRequest, name: str) -> HttpResponse:
        """Make a row, by the form of the console's page."""
        table = _writable(caller, name, "POST")
        made = _saved(caller, request, table, None)
        self.about, self.detail = made, _named(request)
        return answer_json(table.told(made), HTTPStatus.CREATED)


class Row(AdminView):
    """One row: to read, to change, to delete."""

    def act(self, request: HttpRequest, ids: dict[str, Any]) -> str:
        return f"{'delete from' if request.method == 'DELETE' else 'change'} {ids['name']}"

    def get(self, caller: Caller, request: HttpRequest, name: str, pk: int) -> HttpResponse:
        """As it is now."""
        table = table_of(caller, name)
        return answer_json(told(caller, table, row_of(caller, table, pk)))

    def patch(self, caller: Caller, request: HttpRequest, name: str, pk: int) -> HttpResponse:
        """Change what is sent; the rest stays."""
        table = _writable(caller, name, "PATCH")
        changed = _saved(caller, request, table, row_of(caller, table, pk))
        self.about, self.detail = changed, _named(request)
        return answer_json(table.told(changed))

    def delete(self, caller: Caller, request: HttpRequest, name: str, pk: int) -> HttpResponse:
        """Delete it, as the console does."""
        table = _writable(caller, name, "DELETE")
        row = row_of(caller, table, pk)
        page = admin.site._registry[table.model]
        as_at_the_console(caller, request)
        if not page.has_delete_permission(request, row):
            raise PermissionDenied
        self.about = audit.Former(table.model, str(pk), str(row))
        with transaction.atomic():
            page.delete_model(request, row)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _narrowed(name: str, text: str) -> dict[str, Any]:
    if "\0" in text:
        raise ValueError(name)
    if text in {"true", "false"}:
        return {name: text == "true"}
    return {name if name.endswith("_id") and text.isdecimal() else f"{name}__iexact": text}


def _writable(caller: Caller, name: str, method: str) -> Table:
    table = table_of(caller, name)
    if method not in table.writes:
        allowed = ", ".join(("GET", *table.writes))
        raise Problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            f"{method} is not defined for {name}; allowed: {allowed}.",
            {"Allow": allowed},
        )
    return table


def fields_of(table: Table, caller: Caller, request: HttpRequest, row: Any) -> Any:
    """The form of the console's page, as a class."""
    page = admin.site._registry[table.model]
    return page.get_form(request, row, change=row is not None)


def _saved(caller: Caller, request: HttpRequest, table: Table, row: Any) -> Any:
    page = admin.site._registry[table.model]
    said = as_at_the_console(caller, request)
    if not (
        page.has_add_permission(request)
        if row is None
        else page.has_change_permission(request, row)
    ):
        raise PermissionDenied
    form_class = fields_of(table, caller, request, row)
    sent = _sent(request)
    blank = form_class(instance=row)
    if odd := set(sent) - set(blank.fields):
        known = ", ".join(blank.fields)
        raise invalid(f"{sorted(odd)[0]} is not a field of {table.name}; known are: {known}.")
    data = QueryDict(mutable=True)
    for name, field in blank.fields.items():
        value = sent[name] if name in sent else blank.get_initial_for_field(field, name)
        _put(data, name, value, field)
    form = form_class(data, instance=row)
    if not form.is_valid():
        raise invalid(_wrong(form))
    with transaction.atomic():
        made = form.save(commit=False)
        page.save_model(request, made, form, row is not None)
        form.save_m2m()
    if said.problems:
        raise conflict(" ".join(said.problems))
    return row_of(caller, table, made.pk)


def _named(request: HttpRequest) -> str:
    """The fields that were sent, without what they hold."""
    return f"fields {', '.join(sorted(_sent(request)))}"


def _sent(request: HttpRequest) -> dict[str, Any]:
    try:
        sent = msgspec.json.decode(request.body or b"{}")
    except msgspec.DecodeError as error:
        raise invalid(f"The body is not JSON: {error}.") from error
    if not isinstance(sent, dict):
        raise invalid("The body must be an object.")
    return sent


def _put(data: QueryDict, name: str, value: Any, field: Any) -> None:
    """A value as a browser would send it: what is not chosen is not there."""
    if value is None or value is False:
        return
    if isinstance(value, list):
        data.setlist(name, [str(one) for one in value])
        return
    text = str(getattr(value, "pk", value))
    parts = getattr(field, "fields", None)  # a date and a time have a field each
    if parts and len(parts) == 2:
        moment = lenient.moment(text.replace(" ", "T"))
        if moment is None:
            raise invalid(f"{name} is not a time such as 2026-03-01T10:00:00Z.")
        data[f"{name}_0"], data[f"{name}_1"] = f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}"
        return
    data[name] = "on" if value is True else text


def _wrong(form: Any) -> str:
    return " ".join(
        f"{'' if name == '__all__' else f'{name}: '}{' '.join(map(str, errors))}"
        for name, errors in form.errors.items()
    )
