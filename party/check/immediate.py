"""The immediate answer to a command or a charging profile: result and timeout."""

from collections.abc import Collection, Iterator

from charging_profiles.objects import ChargingProfileResponse
from commands.objects import CommandResponse
from hub.ocpi.datatypes import as_document, decode
from hub.ocpi.errors import OcpiError
from party.check.findings import Finding, Rule
from party.check.probe import Call


def judge_response(
    call: Call,
    expected: type[CommandResponse] | type[ChargingProfileResponse],
    response: Rule,
    unknown: Rule,
    refusals: Collection[str],
) -> Iterator[Finding]:
    """Whether it has the form, and whether it says that there is no such session."""
    data = call.data[0] if isinstance(call.data, list) and len(call.data) == 1 else call.data
    if not call.is_success or not isinstance(data, dict):
        yield response.judge(False, call)
        yield unknown.not_tried("there was no response to read")
        return
    try:
        found = decode(as_document(data), expected)
    except OcpiError as error:
        yield response.failed(call, error.message)
        yield unknown.not_tried("there was no response to read")
        return
    what = f"result {found.result}, timeout {found.timeout}"
    yield response.judge(found.timeout >= 0, call, what)
    yield unknown.judge(found.result in refusals, call, what)
