"""Good answers made wrong, as the switches want it (simulators.faults)."""

import re
from typing import Any

import msgspec

from hub.ocpi import headers
from party.messages import Received, Reply
from simulators.faults import Switches

_TIMESTAMP = re.compile(rb'("timestamp":"[^"Z]*)Z"')
_ORIGIN = re.compile(r"<https?://[^/]+")
_ANSWERED = {
    headers.FROM_COUNTRY_CODE: headers.TO_COUNTRY_CODE,
    headers.FROM_PARTY_ID: headers.TO_PARTY_ID,
    headers.TO_COUNTRY_CODE: headers.FROM_COUNTRY_CODE,
    headers.TO_PARTY_ID: headers.FROM_PARTY_ID,
}


def spoil_reply(reply: Reply, message: Received, switches: Switches) -> None:
    """What is said."""
    if switches.nan_is_json and message.body == b"NaN":
        reply.http_status = 200
    if switches.http_422 and reply.http_status == 200 and reply.status_code == 2001:
        reply.http_status = 422
    if switches.overflows and len(message.query.get("offset", "")) > 18:
        reply.data, reply.http_status, reply.status_code = None, 500, 3000
    if switches.data_as_list and isinstance(reply.data, dict | msgspec.Struct | str):
        reply.data = [reply.data]
    if switches.big_answer:
        reply.message = "x" * switches.big_answer
    if switches.unknown_is_empty and reply.http_status == 404:
        reply.data, reply.status_code, reply.http_status = None, 1000, 200
    if switches.always_200 and reply.http_status >= 400:
        reply.http_status = 200
    if switches.accepts_unknown_sessions or switches.no_timeout or switches.timeout:
        reply.data = _spoiled_response(reply.data, switches)


def _spoiled_response(data: Any, switches: Switches) -> Any:
    if not (hasattr(data, "result") and hasattr(data, "timeout")):
        return data
    response = msgspec.to_builtins(data)
    if switches.accepts_unknown_sessions:
        response["result"] = "ACCEPTED"
    if switches.timeout:
        response["timeout"] = switches.timeout
    if switches.no_timeout:
        del response["timeout"]
    return response


def spoil_headers(sent: dict[str, str], reply: Reply, switches: Switches) -> dict[str, str]:
    """What is said around it."""
    unwanted: tuple[str, ...] = ()
    if switches.no_ids_on_errors and reply.http_status >= 400:
        unwanted += (headers.REQUEST_ID, headers.CORRELATION_ID)
    if switches.no_paging_headers:
        unwanted += (headers.TOTAL_COUNT, headers.LIMIT, "Link")
    sent = {name: value for name, value in sent.items() if name not in unwanted}
    if switches.routing_not_swapped:
        sent = {_ANSWERED.get(name, name): value for name, value in sent.items()}
    if switches.last_page_limit and headers.LIMIT in sent:
        sent[headers.LIMIT] = str(len(reply.data))
    if switches.relative_link and "Link" in sent:
        sent["Link"] = _ORIGIN.sub("<", sent["Link"])
    return sent


def spoil_body(body: bytes, switches: Switches) -> bytes:
    """How it is written."""
    return _TIMESTAMP.sub(rb'\1+00:00"', body) if switches.odd_timestamp else body


def is_moved_away(message: Received, switches: Switches) -> bool:
    """Named in the version details, but served elsewhere."""
    return switches.clientinfo_moved and "/hubclientinfo" in message.path
