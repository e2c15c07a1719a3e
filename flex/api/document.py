"""The OpenAPI document of the flex API, out of its Structs; tests hold answers against it."""

from functools import cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from flex.api import objects
from hub.ocpi import own_paths
from hub.views import JSON, PROBLEM

BASE: Final = f"{own_paths.FLEX}v1"
_SESSION: Final = "{country_code}/{party_id}/{session_id}"
_KEY: Final = "key"
_DECIMAL: Final = {"type": "string", "format": "decimal"}


class Operation(NamedTuple):
    """One method of one URL; `answer` None: 204. `query`: names, and what they mean."""

    method: str
    path: str
    tag: str
    summary: str
    answer: Any = None
    body: type[msgspec.Struct] | None = None
    query: tuple[tuple[str, str], ...] = ()
    created: bool = False
    by_cpo: bool = False


_AFTER: Final = ("after", "Where the last page has ended.")
_LIMIT: Final = ("limit", "How many at most, up to 100.")
_TOKEN: Final = ("token_uid", "Of one driver alone.")
OPERATIONS: Final = (
    Operation(
        "GET",
        "fsp/sessions",
        "FSP",
        "The sessions that you may steer",
        objects.FspSessions,
        query=(_AFTER, _LIMIT, ("detail", "full: with all that one of them has.")),
    ),
    Operation("GET", f"fsp/sessions/{_SESSION}", "FSP", "One of them", objects.FspSession),
    Operation(
        "GET",
        f"fsp/sessions/{_SESSION}/coverage",
        "FSP",
        "Which data objects of it are known, since when, by which message",
        list[objects.Covered],
    ),
    Operation(
        "GET",
        "fsp/changes",
        "FSP",
        "What has changed since a cursor",
        objects.Changes,
        query=(
            ("cursor", "Of an earlier answer; without one you get one, and no changes."),
            ("topics", "Those that count, with commas between them; without it all."),
            ("wait", "Seconds to wait for a change, up to 25."),
        ),
    ),
    Operation("GET", "fsp/sites", "FSP", "The sites of your sessions", list[objects.SiteShown]),
    *(
        Operation(method, f"{who}/sessions/{_SESSION}/fsp", tag, summary, told, body)
        for who, tag in (("cpo", "CPO"), ("emsp", "eMSP"))
        for method, summary, told, body in (
            ("GET", "Who is its flexibility provider, and why", objects.SessionFsp, None),
            ("PUT", "Say who is to be it", objects.SessionFsp, objects.FspWord),
            ("DELETE", "Take your word on it back", None, None),
        )
    ),
    Operation("GET", "cpo/sites", "CPO", "Your sites", list[objects.SiteShown]),
    Operation("GET", "cpo/sites/{name}", "CPO", "One of them", objects.SiteShown),
    Operation(
        "PUT",
        "cpo/sites/{name}",
        "CPO",
        "Make a site, or change it",
        objects.SiteShown,
        objects.NewSite,
        created=True,
    ),
    Operation("DELETE", "cpo/sites/{name}", "CPO", "Forget a site, with its limits"),
    Operation(
        "PUT",
        "cpo/sites/{name}/limits",
        "CPO",
        "Set its limit in one unit",
        objects.SiteShown,
        objects.SiteLimits,
    ),
    Operation(
        "GET",
        "emsp/sessions",
        "eMSP",
        "Sessions of your drivers, the latest first",
        objects.EmspSessions,
        query=(_TOKEN, ("before", "Where the last page has ended."), _LIMIT),
    ),
    Operation("GET", f"emsp/sessions/{_SESSION}", "eMSP", "One of them", objects.EmspSession),
    Operation(
        "PUT",
        f"emsp/sessions/{_SESSION}/preferences",
        "eMSP",
        "What the driver wants: PUT at the CPO in your name",
        objects.PreferencesTold,
        objects.WishedPreferences,
        by_cpo=True,
    ),
    Operation(
        "GET",
        "emsp/preferences",
        "eMSP",
        "Preferences that were given before their session",
        list[objects.PreparedShown],
        query=(_TOKEN,),
    ),
    Operation(
        "POST",
        "emsp/preferences",
        "eMSP",
        "Preferences for a session that is to come",
        objects.PreparedShown,
        objects.PreparedPreferences,
        created=True,
    ),
    Operation("GET", "emsp/preferences/{pk}", "eMSP", "What came of them", objects.PreparedShown),
    Operation("DELETE", "emsp/preferences/{pk}", "eMSP", "Withdraw them"),
    Operation("GET", "emsp/driver-keys", "eMSP", "Keys of your drivers", list[objects.DriverKey]),
    Operation(
        "POST",
        "emsp/driver-keys",
        "eMSP",
        "A key for one token, for hours",
        objects.DriverKey,
        objects.NewDriverKey,
        created=True,
    ),
    Operation("DELETE", "emsp/driver-keys/{prefix}", "eMSP", "End a driver's key"),
)
_REFUSALS: Final = (400, 401, 403, 404, 405, 409, 410, 413, 429, 500, 503)
_BY_CPO: Final = (502, 504)


@cache
def document(base_url: str) -> bytes:
    """The JSON of the document; it does not change while the hub runs."""
    kinds: list[Any] = [objects.Refusal]
    for one in OPERATIONS:
        kinds += [kind for kind in (one.answer, one.body) if kind is not None]
    schemas, components = msgspec.json.schema_components(
        kinds, schema_hook=_number, ref_template="#/components/schemas/{name}"
    )
    by_kind = {repr(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        operations = paths.setdefault(f"{BASE}/{one.path}", {})
        operations[one.method.lower()] = _operation(one, by_kind)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Flexhub: flex API",
                "version": "1",
                "description": "What a flexibility provider, a CPO and a driver's app read and "
                "set beside OCPI. What is not known is left out of an answer.",
            },
            "servers": [{"url": base_url}],
            "security": [{_KEY: []}],
            "paths": paths,
            "components": {
                "schemas": _with_numbers(components),
                "securitySchemes": {
                    _KEY: {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "A key of this API (fxk_...); no credentials token.",
                    }
                },
            },
        }
    )


def _number(kind: type) -> dict[str, Any]:
    """The one type of ours that msgspec does not know (types: number)."""
    if kind.__name__ != "_JsonNumber":
        raise NotImplementedError(kind)
    return {"type": "number"}


def _with_numbers(schema: Any) -> Any:
    """Decimals as the numbers that they are sent as."""
    if isinstance(schema, dict):
        if schema == _DECIMAL:
            return {"type": "number"}
        return {name: _with_numbers(value) for name, value in schema.items()}
    return [_with_numbers(one) for one in schema] if isinstance(schema, list) else schema


def _operation(one: Operation, by_kind: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tags": [one.tag],
        "operationId": _id(one),
        "summary": one.summary,
        "parameters": [
            *(_in_path(part[1:-1]) for part in one.path.split("/") if part.startswith("{")),
            *(_in_query(name, meaning) for name, meaning in one.query),
        ],
        "responses": _responses(one, by_kind),
    }
    if one.body is not None:
        content = {JSON: {"schema": by_kind[repr(one.body)]}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _id(one: Operation) -> str:
    parts = [part.strip("{}") for part in one.path.split("/")]
    return "_".join([one.method.lower(), *parts]).replace("-", "_")


def _in_path(name: str) -> dict[str, Any]:
    schema = {"type": "integer"} if name == "pk" else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str, meaning: str) -> dict[str, Any]:
    is_text = name in {"cursor", "detail", "token_uid", "topics"}
    schema = {"type": "string"} if is_text else {"type": "integer", "minimum": 0}
    return {"name": name, "in": "query", "description": meaning, "schema": schema}


def _responses(one: Operation, by_kind: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if one.answer is None:
        found["204"] = {"description": "Done."}
    else:
        content = {JSON: {"schema": by_kind[repr(one.answer)]}}
        statuses = [201] if one.method == "POST" else [200, 201] if one.created else [200]
        for status in statuses:
            found[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    refusal = {PROBLEM: {"schema": by_kind[repr(objects.Refusal)]}}
    for status in (*_REFUSALS, *(_BY_CPO if one.by_cpo else ())):
        found[str(status)] = {"description": HTTPStatus(status).phrase, "content": refusal}
    return found


@csrf_exempt
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The document, for everybody: it says nothing that is not public."""
    return HttpResponse(
        document(settings.BASE_URL),
        content_type=JSON,
        headers={"Access-Control-Allow-Origin": "*"},
    )
