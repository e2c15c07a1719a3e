"""What a CPO answers to charging profile requests (mod_charging_profiles, Receiver Interface)."""

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from charging_profiles.objects import (
    ChargingProfileResponse,
    ChargingProfileResponseType,
    ProfileResult,
)
from hub.ocpi.datatypes import InterfaceRole, as_document, decode
from hub.ocpi.errors import OcpiError
from party.check.findings import Finding, Rule
from party.check.immediate import judge_response
from party.check.lists import first_page, items_of
from party.check.probe import Call, Probe, below

RESPONSE = Rule(
    "profiles.response",
    "mod_charging_profiles, ChargingProfileResponse Object",
    "GET of the profile of an unknown session is answered at once with result and timeout",
    "Answer with data: {result, timeout (seconds)}, status_code 1000.",
)
UNKNOWN = Rule(
    "profiles.unknown-session",
    "mod_charging_profiles, ChargingProfileResponseType",
    "GET of the profile of an unknown session is UNKNOWN_SESSION (or another refusal)",
    "Look the session up before you accept the request.",
)
RESULT = Rule(
    "profiles.result",
    "mod_charging_profiles, Flow",
    "After ACCEPTED the result is posted to the response_url, within the timeout",
    "POST {result, profile} to exactly the response_url, query included, with the "
    "credentials token "
    "of the hub, before the timeout of your answer is over; also when the EVSE says nothing "
    "(result UNKNOWN or REJECTED).",
)
RULES = (RESPONSE, UNKNOWN, RESULT)
LONGEST_WAIT = 60.0  # seconds
_REFUSALS = frozenset(
    one for one in ChargingProfileResponseType if one is not ChargingProfileResponseType.ACCEPTED
)


def check(probe: Probe) -> Iterator[Finding]:
    """GET of the active profile changes nothing; with `push` also that of a session there is."""
    url = probe.endpoint("chargingprofiles", InterfaceRole.RECEIVER)
    if url is None:
        for rule in RULES:
            yield rule.not_tried("the party offers no chargingprofiles RECEIVER")
        return
    call, _ = _ask(probe, url, probe.mark)
    yield from judge_response(call, ChargingProfileResponse, RESPONSE, UNKNOWN, _REFUSALS)
    if not probe.push:
        yield RESULT.not_tried("asks a charge point: only with --push")
        return
    session = _active_session(probe)
    if session is None:
        yield RESULT.not_tried("the party shows no ACTIVE session")
        return
    call, response_url = _ask(probe, url, session)
    yield _judge_result(probe, call, response_url)


def _ask(probe: Probe, url: str, session: str) -> tuple[Call, str]:
    response_url = probe.asker.response_url()
    query = {"duration": "900", "response_url": response_url}
    return probe.get(below(url, session), "chargingprofiles", query, is_single=True), response_url


def _active_session(probe: Probe) -> str | None:
    url = probe.endpoint("sessions", InterfaceRole.SENDER)
    items = items_of(first_page(probe, "sessions", url)) if url else []
    active = (str(item["id"]) for item in items if item.get("status") == "ACTIVE" and "id" in item)
    return next(active, None)


def _judge_result(probe: Probe, call: Call, response_url: str) -> Finding:
    try:
        data = call.data[0] if isinstance(call.data, list) and call.data else call.data
        response = decode(as_document(data), ChargingProfileResponse)
    except OcpiError:
        return RESULT.judge(False, call)
    if response.result != ChargingProfileResponseType.ACCEPTED:
        return RESULT.not_tried(f"the answer was {response.result}, so no result follows")
    began = time.monotonic()
    came = probe.asker.result(response_url, min(response.timeout, LONGEST_WAIT))
    took = time.monotonic() - began
    if came is None:
        if response.timeout > LONGEST_WAIT:
            return RESULT.not_tried(f"no result within {LONGEST_WAIT:g} s; timeout is longer")
        return RESULT.failed(call, f"no result within the timeout of {response.timeout} s")
    try:
        result = decode(came.body, ProfileResult)
    except OcpiError as error:
        return RESULT.failed(call, f"the result is none: {error.message}")
    if came.query != (query := urlsplit(response_url).query):
        return RESULT.failed(call, f"posted without the query of the response_url (?{query})")
    return RESULT.passed(call, f"result {result.result} after {took:.1f} s")
