"""What a CPO answers to a command (mod_commands, Receiver Interface)."""

from collections.abc import Iterator

import msgspec

from commands.objects import CommandResponse, CommandResponseType, StopSession
from hub.ocpi.datatypes import InterfaceRole
from party.check.findings import Finding, Rule
from party.check.immediate import judge_response
from party.check.probe import Probe, below

RESPONSE = Rule(
    "commands.response",
    "mod_commands, CommandResponse object",
    "STOP_SESSION of an unknown session is answered at once with result and timeout",
    "Answer with data: {result, timeout (seconds)}, status_code 1000.",
)
UNKNOWN = Rule(
    "commands.unknown-session",
    "mod_commands, CommandResponseType",
    "STOP_SESSION of an unknown session is UNKNOWN_SESSION (or REJECTED, NOT_SUPPORTED)",
    "Look the session up before you accept the command.",
)
RULES = (RESPONSE, UNKNOWN)
REFUSALS = frozenset(
    {
        CommandResponseType.UNKNOWN_SESSION,
        CommandResponseType.REJECTED,
        CommandResponseType.NOT_SUPPORTED,
    }
)


def check(probe: Probe) -> Iterator[Finding]:
    """It can stop nothing: there is no such session."""
    url = probe.endpoint("commands", InterfaceRole.RECEIVER)
    if url is None:
        for rule in RULES:
            yield rule.not_tried("the party offers no commands RECEIVER")
        return
    body = msgspec.json.encode(StopSession(probe.asker.response_url(), probe.mark))
    call = probe.call(
        "POST", below(url, "STOP_SESSION"), "commands", body=body, is_single=True,
        note=f"session {probe.mark}",
    )  # fmt: skip
    yield from judge_response(call, CommandResponse, RESPONSE, UNKNOWN, REFUSALS)
