"""The OpenAPI document of the admin API, out of its tables and acts."""

from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.db.models import Field
from django.http import HttpRequest, HttpResponse
from django.test.client import RequestFactory
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from hub.console.api.acts import ACTS, Act
from hub.console.api.tables import TABLES, Table
from hub.ocpi import own_paths
from hub.views import JSON, PROBLEM

BASE: Final = f"{own_paths.ADMIN_API}v1"
_KEY: Final = "key"
_REFUSALS: Final = (400, 401, 403, 404, 405, 409, 429, 500, 503)
_TYPES: Final[dict[str, dict[str, Any]]] = {
    "BooleanField": {"type": "boolean"},
    "DateTimeField": {"type": "string", "format": "date-time"},
    "JSONField": {},
    "ArrayField": {"type": "array", "items": {"type": "string"}},
    "FloatField": {"type": "number"},
    "DecimalField": {"type": "number"},
    "CharField": {"type": "string"},
    "TextField": {"type": "string"},
}
_REFUSAL: Final = {
    "type": "object",
    "required": ["title", "status", "code", "detail"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_READING: Final = (
    ("me", "The key itself", ()),
    (
        "messages",
        "The message record",
        *(
            (
                *("party", "module", "kind", "code", "failed", "correlation_id", "from", "to"),
                *("limit", "before"),
            ),
        ),
    ),
    ("exchanges/{correlation_id}", "One exchange, step by step", ()),
    ("owed", "What is owed, by receiver and module", ()),
    ("backups", "The last backup, and what went wrong since", ()),
)


@cache
def document(base_url: str) -> bytes:
    """The JSON of the document; it does not change while the hub runs."""
    bodies = [one.body for one in ACTS]
    schemas, components = msgspec.json.schema_components(
        bodies, ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for path, summary, query in _READING:
        found = _operation(path, summary, "Reading", {"type": "object"}, query)
        paths[f"{BASE}/{path}"] = {"get": found}
    for one, body in zip(ACTS, schemas, strict=True):
        paths.setdefault(f"{BASE}/{one.path}", {})["post"] = _of_act(one, body)
    for table in TABLES:
        components[table.name] = _row(table)
        for path, operations in _of_table(table).items():
            paths.setdefault(path, {}).update(operations)
    components["Refusal"] = _REFUSAL
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Flexhub: admin API",
                "version": "1",
                "description": "What the console does, for programs. A key has a role, and sees "
                "and does what that role does. What has no value is left out of an answer.",
            },
            "servers": [{"url": base_url}],
            "security": [{_KEY: []}],
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {
                    _KEY: {"type": "http", "scheme": "bearer", "description": "fxa_..."}
                },
            },
        }
    )


def _of_act(one: Act, body: dict[str, Any]) -> dict[str, Any]:
    found = _operation(one.path, one.summary, "Acts", {"type": "object"}, status=one.status)
    is_needed = bool(msgspec.json.schema(one.body)["$defs"][one.body.__name__].get("required"))
    found["requestBody"] = {"required": is_needed, "content": {JSON: {"schema": body}}}
    found["description"] = f"Needs {one.permission}."
    return found


def _of_table(table: Table) -> dict[str, dict[str, Any]]:
    row = {"$ref": f"#/components/schemas/{table.name}"}
    page = {
        "type": "object",
        "required": ["rows"],
        "properties": {"rows": {"type": "array", "items": row}, "before": {"type": "integer"}},
    }
    query = ("limit", "before", *table.filters)
    listed = {"get": _operation(table.name, table.what, "Tables", page, query)}
    one_path = f"{table.name}/{{pk}}"
    one = {"get": _operation(one_path, f"One of: {table.what}", "Tables", row)}
    if "POST" in table.writes:
        made = _operation(table.name, "Make one", "Tables", row, status=HTTPStatus.CREATED)
        listed["post"] = made | {"requestBody": _form(table, is_new=True)}
    if "PATCH" in table.writes:
        changed = _operation(one_path, "Change one", "Tables", row, method="patch")
        one["patch"] = changed | {"requestBody": _form(table, is_new=False)}
    if "DELETE" in table.writes:
        one["delete"] = _operation(one_path, "Delete one", "Tables", None, method="delete")
    return {f"{BASE}/{table.name}": listed, f"{BASE}/{one_path}": one}


def _form(table: Table, *, is_new: bool) -> dict[str, Any]:
    """The fields of the form on the console's page."""
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    page = admin.site._registry[table.model]
    row = None if is_new else table.model()
    form = page.get_form(request, row, change=not is_new)
    properties = {
        name: {"title": str(field.label or name), "description": str(field.help_text)}
        for name, field in form.base_fields.items()
    }
    schema = {"type": "object", "properties": properties}
    return {"required": True, "content": {JSON: {"schema": schema}}}


def _row(table: Table) -> dict[str, Any]:
    kinds = {field.attname: field for field in table.model._meta.concrete_fields}
    return {
        "type": "object",
        "description": table.what,
        "properties": {name: _type(kinds.get(name)) for name in table.fields},
    }


def _type(field: "Field[Any, Any] | None") -> dict[str, Any]:
    if field is None:
        return {}
    kind = field.get_internal_type() if hasattr(field, "get_internal_type") else ""
    return dict(_TYPES.get(kind, {"type": "integer"}))


def _operation(
    path: str,
    summary: str,
    tag: str,
    answer: dict[str, Any] | None,
    query: tuple[str, ...] = (),
    *,
    status: int = HTTPStatus.OK,
    method: str = "",
) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    kind = {"get": "get", "": "get" if tag != "Acts" else "post"}.get(method, method)
    made = "post" if status == HTTPStatus.CREATED else kind
    done = {"description": "Done."}
    if answer is not None:
        done = {"description": "As it is.", "content": {JSON: {"schema": answer}}}  # type: ignore[dict-item]
    refusal = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {
        "tags": [tag],
        "operationId": "_".join([made, *path.replace("{", "").replace("}", "").split("/")]),
        "summary": summary,
        "parameters": [*map(_in_path, names), *map(_in_query, query)],
        "responses": {
            str(int(status if answer is not None else HTTPStatus.NO_CONTENT)): done,
            **{
                str(one): {"description": HTTPStatus(one).phrase, "content": refusal}
                for one in _REFUSALS
            },
        },
    }


def _in_path(name: str) -> dict[str, Any]:
    schema = {"type": "integer"} if name == "pk" else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string"}}


@csrf_exempt
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The document, for everybody: it says nothing that is not public."""
    return HttpResponse(document(settings.BASE_URL), content_type=JSON)
