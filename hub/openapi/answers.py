"""The answers that the hub gives, as OpenAPI describes them (status_codes, Response format)."""

from typing import Any, Final

from hub.ocpi import headers
from hub.openapi.bodies import NOTHING, Content

JSON: Final = "application/json"
_TEXT: Final = {"type": "string"}
_IDS: Final = (headers.REQUEST_ID, headers.CORRELATION_ID)

# What the hub itself refuses with an HTTP status; all other refusals are 200 with a code.
ERRORS: Final = {
    "400": "Not JSON (2001).",
    "401": "No credentials token, or one that nobody has here (2000).",
    "403": "The sending party is suspended, or not agreed to yet (2000).",
    "404": "What was asked for is not there, or the URL is none (2000, or as the module says).",
    "405": "The method is not defined here, or the registration rules forbid it (2000).",
    "413": "The body is larger than the hub takes (2000).",
}
CODES: Final = (
    "1000 success; 2000 to 2004 the request is at fault; 3000 to 3003 the hub is; 4000 to 4003 the "
    "message could not be routed. Whatever the code, the request has reached the OCPI layer."
)


def responses(
    data: Content = NOTHING,
    *,
    created: bool = False,
    is_list: bool = False,
    is_routed: bool = False,
) -> dict[str, Any]:
    """The answers of one operation."""
    sent = _headers(is_list=is_list, is_routed=is_routed)
    found: dict[str, Any] = {"200": _answer(CODES, data, sent)}
    if created:
        own = {"Location": _header("Where the CDR can be read.")} if created else {}
        found["201"] = _answer("Created (1000).", data, sent | own)
    for status, meaning in ERRORS.items():
        more = {"Allow": _header("The methods that are defined.")} if status == "405" else {}
        found[status] = _answer(meaning, NOTHING, _headers(is_routed=is_routed) | more)
    return found


def components() -> dict[str, Any]:
    """The envelope, which every answer is."""
    return {
        "Envelope": {
            "type": "object",
            "description": "transport_and_format: Response format.",
            "required": ["status_code", "timestamp"],
            "properties": {
                "status_code": {"type": "integer", "minimum": 1000, "maximum": 4999},
                "status_message": _TEXT,
                "timestamp": {"type": "string", "format": "date-time"},
                "data": {"description": "Absent where there is nothing to say."},
            },
        }
    }


def _answer(meaning: str, data: Content, sent: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"$ref": "#/components/schemas/Envelope"}
    if data.kinds:
        schema = {"allOf": [schema, {"type": "object", "properties": {"data": data.schema()}}]}
    return {"description": meaning, "headers": sent, "content": {JSON: {"schema": schema}}}


def _headers(*, is_list: bool = False, is_routed: bool = False) -> dict[str, Any]:
    sent = {name: _header("As in the request.", is_required=True) for name in _IDS}
    if is_routed:
        sent |= {name: _header("FROM and TO of the request, swapped.") for name in headers.ROUTING}
    if is_list:
        sent |= {
            headers.TOTAL_COUNT: _header("How many objects the whole list has.", _integer()),
            headers.LIMIT: _header("How many objects a page has at most.", _integer()),
            "Link": _header("The next page; absent on the last one."),
        }
    return sent


def _header(
    description: str, schema: dict[str, Any] | None = None, *, is_required: bool = False
) -> dict[str, Any]:
    found: dict[str, Any] = {"description": description, "schema": schema or _TEXT}
    return found | ({"required": True} if is_required else {})


def _integer() -> dict[str, Any]:
    return {"type": "integer", "minimum": 0}
