"""The document: every path of the route table, and those that the hub has beside it."""

from functools import cache
from typing import Any, Final

import msgspec

from hub.ocpi import headers, own_paths
from hub.ocpi.configuration import ClientInfo, Credentials, Version, VersionDetails
from hub.ocpi.datatypes import TokenType
from hub.ocpi.modules import POSTED, ROUTES, TYPED, WITH_RESPONSE_URL
from hub.ocpi.own_paths import OwnPath
from hub.ocpi.routes import Route
from hub.ocpi.v2_2_1 import VERSION
from hub.openapi import answers, bodies
from hub.openapi.answers import JSON, responses
from hub.openapi.bodies import NOTHING, Content

OPENAPI: Final = "3.1.0"
_TOKEN: Final = "credentials_token"  # noqa: S105 - the name of a scheme
_PATTERNS: Final = {
    "country_code": r"^[A-Za-z0-9]{2}$",
    "party_id": r"^[A-Za-z0-9*]{1,3}$",
}
# types: CiString(36)
_ID: Final = {"type": "string", "minLength": 1, "maxLength": 36, "pattern": r"^[\x20-\x7E]+$"}
# How msgspec describes a Decimal, which it also reads from a text; OCPI writes numbers.
_DECIMAL: Final = {"type": "string", "format": "decimal"}
_COMMANDS: Final = [str(command) for command in bodies.COMMANDS]


@cache
def document(base_url: str) -> bytes:
    """The JSON of the document; it does not change while the hub runs."""
    paths: dict[str, dict[str, Any]] = {}
    used: list[Any] = [Version, VersionDetails, Credentials, ClientInfo]
    used += bodies.KEPT_CDR.kinds
    used += [*bodies.DEVIATIONS.kinds, *bodies.LEFT_OUT.kinds]
    for route in ROUTES:
        path = own_paths.interface(route.role, route.module)
        path += f"/{route.shape}" if route.shape else ""
        for method in route.methods:
            sent, data = bodies.sent(route, method), bodies.answered(route, method)
            used += [*sent.kinds, *data.kinds]
            paths.setdefault(path, {})[method.lower()] = _routed(route, method, sent, data)
    paths |= _versions()
    paths |= {own.template: operations for own, operations in _own().items()}
    used += [*bodies.PROFILE_RESULT.kinds, *bodies.COMMAND_RESULT.kinds]
    _, schemas = msgspec.json.schema_components(
        dict.fromkeys(used),
        schema_hook=_number,
        ref_template="#/components/schemas/{name}",
    )
    return msgspec.json.encode(
        {
            "openapi": OPENAPI,
            "info": {
                "title": f"Flexhub: OCPI {VERSION}",
                "version": VERSION,
                "description": (
                    "What this hub serves to its parties. A message for another party is answered "
                    "by that party: its answers, errors too, are passed on as they are."
                ),
            },
            "servers": [{"url": base_url}],
            "security": [{_TOKEN: []}],
            "paths": paths,
            "components": {
                "schemas": _with_numbers(schemas) | answers.components(),
                "securitySchemes": {
                    _TOKEN: {
                        "type": "apiKey",
                        "in": "header",
                        "name": "Authorization",
                        "description": "`Token ` and the credentials token in Base64.",
                    }
                },
                "parameters": _message_ids() | _routing_headers(),
            },
        }
    )


def _number(kind: type) -> dict[str, Any]:
    """types: number. The one type of ours that msgspec does not know."""
    if kind.__name__ != "_JsonNumber":
        raise NotImplementedError(kind)
    return {"type": "number"}


def _with_numbers(schema: Any) -> Any:
    """The same schemas with Decimals as numbers (types: number)."""
    if isinstance(schema, dict):
        if schema == _DECIMAL:
            return {"type": "number"}
        return {name: _with_numbers(value) for name, value in schema.items()}
    return [_with_numbers(one) for one in schema] if isinstance(schema, list) else schema


def _routed(route: Route, method: str, sent: Content, data: Content) -> dict[str, Any]:
    is_list = bodies.is_list(route, method)
    operation: dict[str, Any] = {
        "tags": [route.module],
        "operationId": _operation_id(route, method),
        "summary": f"{method} {route.module}, {route.role.capitalize()} interface",
        "parameters": [
            *(_in_path(segment) for segment in route.segments if segment[0] == "{"),
            *_query(route, method),
            *({"$ref": f"#/components/parameters/{name}"} for name in _message_ids()),
            *({"$ref": f"#/components/parameters/{name}"} for name in _routing_headers()),
        ],
        "responses": responses(
            data,
            created=method in {"PUT", "PATCH"} or (route.module in POSTED and method == "POST"),
            is_list=is_list,
            is_routed=True,
        ),
    }
    return operation | _body(sent)


def _body(sent: Content) -> dict[str, Any]:
    if not sent.kinds:
        return {}
    content = {JSON: {"schema": sent.schema()}}
    return {"requestBody": {"required": sent.is_required, "content": content}}


def _operation_id(route: Route, method: str) -> str:
    parts = [part.strip("{}") for part in route.segments[-1:]]
    return "_".join((method.lower(), route.module, route.role.lower(), *parts))


def _in_path(segment: str) -> dict[str, Any]:
    name = segment.strip("{}")
    schema: dict[str, Any] = dict(_ID)
    if name in _PATTERNS:
        schema = {"type": "string", "pattern": _PATTERNS[name]}
    elif name == "command":
        schema = {"type": "string", "enum": _COMMANDS}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(route: Route, method: str) -> list[dict[str, Any]]:
    if bodies.is_list(route, method):
        return _paging()
    if route.module in TYPED:
        return [_in_query("type", bodies.reference(TokenType), "RFID when left out.")]
    if route.module not in WITH_RESPONSE_URL or method not in {"GET", "DELETE"}:
        return []
    url = {"type": "string", "format": "uri", "minLength": 1, "maxLength": 255}
    duration = {"type": "integer", "minimum": 0}
    asked = _in_query("duration", duration, "Seconds of the profile that are asked for.", True)
    result = _in_query("response_url", url, "Where the result is posted.", True)
    return [asked, result] if method == "GET" else [result]


def _paging() -> list[dict[str, Any]]:
    moment = {"type": "string", "format": "date-time"}
    return [
        _in_query("date_from", moment, "Last updated then or later."),
        _in_query("date_to", moment, "Last updated before."),
        _in_query("offset", {"type": "integer", "minimum": 0}, "Where the page begins."),
        _in_query("limit", {"type": "integer", "minimum": 1}, "How many objects at most."),
    ]


def _in_query(
    name: str, schema: dict[str, Any], description: str, is_required: bool = False
) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": is_required,
        "description": description,
        "schema": schema,
    }


def _message_ids() -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7E]+$"}
    return {
        name: {"name": name, "in": "header", "required": False, "schema": schema}
        for name in (headers.REQUEST_ID, headers.CORRELATION_ID)
    }


def _routing_headers() -> dict[str, Any]:
    meanings = {"to": "The receiver; left out, the hub decides by the content.", "from": "You."}
    return {
        name: {
            "name": name,
            "in": "header",
            "required": False,
            "description": meanings["to" if "-to-" in name else "from"],
            "schema": {
                "type": "string",
                "pattern": _PATTERNS["country_code" if "country" in name else "party_id"],
            },
        }
        for name in headers.ROUTING
    }


# --- Beside the table ----------------------------------------------------------------------------


def _versions() -> dict[str, dict[str, Any]]:
    return {
        own_paths.VERSIONS: {"get": _plain("versions", "get_versions", data=bodies.VERSIONS)},
        own_paths.DETAILS: {"get": _plain("versions", "get_version_details", data=bodies.DETAILS)},
    }


def _own() -> dict[OwnPath, dict[str, Any]]:
    """Below the version details: what is in none of the interfaces."""
    given = "given out by the hub"
    key = [_given("key", 64)]
    return {
        own_paths.CREDENTIALS: {
            "get": _plain("credentials", "get_credentials", data=bodies.CREDENTIALS),
            **{
                method: _plain(
                    "credentials",
                    f"{method}_credentials",
                    sent=bodies.CREDENTIALS,
                    data=bodies.CREDENTIALS,
                )
                for method in ("post", "put")
            },
            "delete": _plain("credentials", "delete_credentials"),
        },
        own_paths.CLIENT_INFO: {
            "get": _plain(
                "hubclientinfo", "get_hubclientinfo", data=bodies.CLIENTS, parameters=_paging()
            )
        },
        **_deviations(),
        own_paths.VIA: {
            "get": _plain(given, "get_via", parameters=key, is_routed=True),
            "post": _plain(
                given, "post_via", sent=bodies.COMMAND_RESULT, parameters=key, is_routed=True
            ),
        },
        own_paths.CHECK_RESULT: {
            "post": _plain(given, "post_check_result", sent=bodies.PROFILE_RESULT, parameters=key)
        },
        own_paths.PROFILE_RESULT: {
            "post": _plain(
                given,
                "post_profile_result",
                sent=bodies.PROFILE_RESULT,
                parameters=key,
                is_routed=True,
            )
        },
        own_paths.CDR: {
            "get": _plain(
                given,
                "get_cdr",
                data=bodies.KEPT_CDR,
                parameters=[_given("owner", 6), _given("cdr_id", 39)],
            )
        },
    }


def _given(name: str, longest: int) -> dict[str, Any]:
    """A part of the path of a URL that the hub has given out."""
    schema = _ID | {"maxLength": longest}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _deviations() -> dict[OwnPath, dict[str, Any]]:
    """The lists of this hub's own."""
    lists = {
        own_paths.DEVIATIONS: ("get_deviations", bodies.DEVIATIONS),
        own_paths.LEFT_OUT_FOR_YOU: ("get_left_out_for_you", bodies.LEFT_OUT),
        own_paths.LEFT_OUT_FOR_OTHERS: ("get_left_out_for_others", bodies.LEFT_OUT),
    }
    return {
        own: {"get": _plain("deviations", name, data=data, parameters=_paging())}
        for own, (name, data) in lists.items()
    }


def _plain(
    tag: str,
    operation_id: str,
    *,
    sent: Content = NOTHING,
    data: Content = NOTHING,
    parameters: list[dict[str, Any]] | None = None,
    is_routed: bool = False,
) -> dict[str, Any]:
    is_list = data in (bodies.CLIENTS, bodies.DEVIATIONS, bodies.LEFT_OUT)
    return {
        "tags": [tag],
        "operationId": operation_id,
        "summary": operation_id.replace("_", " "),
        "parameters": [
            *(parameters or []),
            *({"$ref": f"#/components/parameters/{name}"} for name in _message_ids()),
        ],
        "responses": responses(data, is_list=is_list, is_routed=is_routed),
        **_body(sent),
    }
