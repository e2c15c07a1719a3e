"""What holds for every message (transport_and_format, status_codes).

Runs last: most of its rules look at all the answers that the other chapters have got.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from hub.ocpi import headers
from hub.ocpi.datatypes import InterfaceRole
from party.check.findings import Finding, Rule
from party.check.lists import first_page
from party.check.probe import TIME_IS_OVER, Call, Probe, below
from party.check.versions import details_url

FORMAT = "transport_and_format, Response format"
IDS = "transport_and_format, Unique message IDs"
ROUTING = "transport_and_format, Message Routing Headers"
CODES = "status_codes"
SLOW_SECONDS: Final = 5.0
LARGE_BYTES: Final = 2_000_000
# Python's own parser takes the second.
NO_JSON: Final = (b'{"broken', b"NaN")
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?", re.ASCII).fullmatch

ENVELOPE = Rule(
    "transport.envelope",
    FORMAT,
    "Every successful answer is an envelope with a status_code of four digits",
    "Wrap each answer: {data, status_code: 1000, timestamp}; Content-Type application/json.",
)
ERRORS = Rule(
    "transport.errors",
    FORMAT,
    "Errors are envelopes too: no HTML, no framework's own JSON",
    "Install error handlers (404, 405, 422, 500, and your proxy's) that answer with {status_code, "
    "status_message, timestamp}.",
)
TIMESTAMP = Rule(
    "transport.timestamp",
    "types, DateTime",
    "timestamp is a DateTime in UTC",
    "Write 2015-06-29T20:39:09Z: no offset such as +00:00, no blank, at most 25 characters.",
)
LIST_OF_ONE = Rule(
    "transport.list-of-one",
    FORMAT,
    "data of a single object is the object, not a list of one",
    "Send data: {..} where the text's cardinality is 1 or ?; data: [..] is for lists alone.",
)
CONTENT_TYPE = Rule(
    "transport.content-type",
    FORMAT,
    "Content-Type is application/json",
    "Set the header Content-Type: application/json on every answer.",
)
ECHOED = Rule(
    "transport.ids",
    IDS,
    "X-Request-ID and X-Correlation-ID come back in the answer",
    "Copy both headers of the request into the answer, unchanged.",
)
ECHOED_ON_ERRORS = Rule(
    "transport.ids-on-errors",
    IDS,
    "X-Request-ID and X-Correlation-ID come back with an HTTP error as well",
    "Set the headers where all answers pass (a middleware), also for 400, 401, 404 and 405.",
)
SWAPPED = Rule(
    "transport.routing",
    ROUTING,
    "Answers of functional modules carry the routing headers, FROM and TO swapped",
    "Answer with OCPI-from-* = the party that answers (the request's TO) and OCPI-to-* = who asked "
    "(the request's FROM).",
)
UNROUTED = Rule(
    "transport.unrouted",
    ROUTING,
    "Versions, credentials and hubclientinfo carry no routing headers",
    "Leave the OCPI-from-* and OCPI-to-* headers out of Configuration Modules.",
)
SLASH = Rule(
    "transport.slash",
    "transport_and_format, Request format",
    "URLs work as they are built, without a redirect for a trailing slash",
    "Serve each path with and without the slash at its end; a 307 or 308 costs a round trip, and "
    "many clients do not follow it.",
)
NOT_JSON = Rule(
    "transport.not-json",
    CODES,
    "A body that is not JSON: HTTP 400",
    "Answer HTTP 400 with an envelope (2001) when the body cannot be parsed, before anything else "
    "looks at it.",
)
NO_ENDPOINT = Rule(
    "transport.no-endpoint",
    CODES,
    "A URL that is not an endpoint: HTTP 404",
    "Answer HTTP 404 with an envelope below your OCPI base URL.",
)
REFUSED = Rule(
    "transport.refusals",
    CODES,
    "What OCPI refuses is refused with HTTP 200 and a 2xxx code, not with an HTTP error",
    "Answer HTTP 200 with status_code 2001 to well-formed requests with a wrong parameter; your "
    "framework's own validation (400, 422) has to be turned into that.",
)
IN_TIME = Rule(
    "transport.in-time",
    CODES,
    f"Every request is answered, within {SLOW_SECONDS:g} s",
    "Answer at once and do slow work afterwards: others wait within their own requests.",
)
SIZE = Rule(
    "transport.size",
    "transport_and_format, Pagination",
    f"No answer is larger than {LARGE_BYTES:,} bytes",
    "Lower the maximum of objects in a page (X-Limit).",
)
RULES = (
    ENVELOPE, ERRORS, TIMESTAMP, LIST_OF_ONE, CONTENT_TYPE, ECHOED, ECHOED_ON_ERRORS, SWAPPED,
    UNROUTED, SLASH, NOT_JSON, NO_ENDPOINT, REFUSED, IN_TIME, SIZE,
)  # fmt: skip


def check(probe: Probe) -> Iterator[Finding]:
    """A wrong body, a wrong URL, then a look back at everything."""
    yield _check_not_json(probe)
    yield _check_refused(probe)
    base = details_url(probe) or probe.target.versions_url
    wrong = probe.call("GET", below(base, "flexhub-check"), "versions", note="no such endpoint")
    yield NO_ENDPOINT.judge(wrong.status == 404, wrong)

    answered = [call for call in probe.calls if call.status is not None]
    fine = [call for call in answered if (call.status or 0) < 300]
    errors = [call for call in answered if (call.status or 0) >= 400]
    yield _all(ENVELOPE, fine, _has_code)
    yield _all(ERRORS, errors, lambda call: call.status_code is not None)
    stamped = [call for call in answered if call.envelope is not None]
    yield _all(TIMESTAMP, stamped, _has_timestamp, _timestamp)
    single = [call for call in fine if call.is_single and call.is_success]
    yield _all(LIST_OF_ONE, single, lambda call: not isinstance(call.data, list))
    yield _all(CONTENT_TYPE, stamped, _is_json, lambda call: call.headers.get("content-type", ""))
    yield _all(ECHOED, fine, _echoes, _ids)
    yield _all(ECHOED_ON_ERRORS, errors, _echoes, _ids)
    # A 401 or a 404 may come before anybody has looked at the routing headers.
    routed = [call for call in fine if call.is_functional]
    yield _all(SWAPPED, routed, lambda call: _is_swapped(probe, call), _came_with)
    unrouted = [call for call in fine if not call.is_functional]
    yield _all(UNROUTED, unrouted, lambda call: not _routing(call), _routing)
    yield _all(SLASH, answered, lambda call: not call.redirects, _redirects)
    yield _in_time(probe.calls)
    yield _size(probe.calls)


def _all(
    rule: Rule,
    calls: list[Call],
    is_right: Callable[[Call], bool],
    seen: Callable[[Call], str] = lambda _: "",
) -> Finding:
    """One finding for many calls: the first that is wrong, and how many are."""
    if not calls:
        return rule.not_tried("no answer of this kind has come")
    wrong = [call for call in calls if not is_right(call)]
    if not wrong:
        return rule.passed(note=f"{len(calls)} answers")
    parts = [seen(wrong[0]), f"{len(wrong)} of {len(calls)} answers"]
    return rule.failed(wrong[0], "; ".join(part for part in parts if part))


def _in_time(calls: list[Call]) -> Finding:
    tried = [call for call in calls if call.problem != TIME_IS_OVER]
    silent = [call for call in tried if call.status is None and not call.is_too_long]
    if silent:
        return IN_TIME.failed(silent[0], f"{len(silent)} of {len(tried)} calls without an answer")
    return _all(
        IN_TIME,
        tried,
        lambda call: call.milliseconds <= SLOW_SECONDS * 1000,
        lambda call: f"{call.milliseconds} ms",
    )


def _size(calls: list[Call]) -> Finding:
    """Beyond a limit of the asker it is not even read."""
    endless = [call for call in calls if call.is_too_long]
    if endless:
        return SIZE.failed(endless[0])
    answered = [call for call in calls if call.status is not None]
    return _all(
        SIZE,
        answered,
        lambda call: len(call.body) <= LARGE_BYTES,
        lambda call: f"{len(call.body):,} bytes",
    )


def _check_not_json(probe: Probe) -> Finding:
    """Where even a party that takes it for something could do no harm: nothing real is named."""
    sender, receiver = InterfaceRole.SENDER, InterfaceRole.RECEIVER
    owned = (probe.sender.country_code, probe.sender.party_id, probe.mark)
    for module, role, method, path in (
        ("tokens", receiver, "PUT", owned),
        ("locations", receiver, "PUT", owned),
        ("tariffs", receiver, "PUT", owned),
        ("sessions", receiver, "PUT", owned),
        ("chargingprofiles", receiver, "PUT", (probe.mark,)),
        ("commands", receiver, "POST", ("STOP_SESSION",)),
        ("sessions", sender, "PUT", (probe.mark, "charging_preferences")),
        ("tokens", sender, "POST", (probe.mark, "authorize")),
    ):
        if (url := probe.endpoint(module, role)) is not None:
            calls = [
                probe.call(method, below(url, *path), module, body=body, note=f"body {body!r}")
                for body in NO_JSON
            ]
            wrong = [call for call in calls if call.status not in {400, None}]
            return NOT_JSON.judge(not wrong, (wrong or calls)[0])
    return NOT_JSON.not_tried("the party offers no interface that takes a body")


def _check_refused(probe: Probe) -> Finding:
    for module in ("locations", "tariffs", "tokens", "cdrs", "sessions"):
        url = probe.endpoint(module, InterfaceRole.SENDER)
        if url is not None and first_page(probe, module, url).is_success:
            query = {"date_from": "2000-01-01T00:00:00Z", "limit": "many"}
            call = probe.get(url, module, query)
            return REFUSED.judge(call.status == 200, call)
    return REFUSED.not_tried("the party has no list that can be read")


def _has_code(call: Call) -> bool:
    """As a number: the hub reads text too, others do not."""
    code = (call.envelope or {}).get("status_code")
    return type(code) is int and 1000 <= code <= 4999


def _has_timestamp(call: Call) -> bool:
    stamp = (call.envelope or {}).get("timestamp")
    return isinstance(stamp, str) and len(stamp) <= 25 and _DATE_TIME(stamp) is not None


def _timestamp(call: Call) -> str:
    return f"timestamp: {str((call.envelope or {}).get('timestamp', 'absent'))[:60]}"


def _is_json(call: Call) -> bool:
    return call.headers.get("content-type", "").partition(";")[0].strip() == "application/json"


def _echoes(call: Call) -> bool:
    return (
        call.headers.get(headers.REQUEST_ID.lower()) == call.request_id
        and call.headers.get(headers.CORRELATION_ID.lower()) == call.correlation_id
    )


def _ids(call: Call) -> str:
    names = (headers.REQUEST_ID, headers.CORRELATION_ID)
    return ", ".join(
        f"{name}: {'another one' if name.lower() in call.headers else 'absent'}"
        for name, value in zip(names, (call.request_id, call.correlation_id), strict=True)
        if call.headers.get(name.lower()) != value
    )


def _is_swapped(probe: Probe, call: Call) -> bool:
    wanted = (*probe.party, *probe.sender)
    names = (
        headers.FROM_COUNTRY_CODE,
        headers.FROM_PARTY_ID,
        headers.TO_COUNTRY_CODE,
        headers.TO_PARTY_ID,
    )
    return wanted == tuple(call.headers.get(name.lower(), "").upper() for name in names)


def _routing(call: Call) -> str:
    """The routing headers that came, for people."""
    return ", ".join(
        f"{name}: {call.headers[name.lower()]}"
        for name in headers.ROUTING
        if name.lower() in call.headers
    )


def _came_with(call: Call) -> str:
    return _routing(call) or "no routing headers"


def _redirects(call: Call) -> str:
    return f"redirected: {', '.join(call.redirects)}"
