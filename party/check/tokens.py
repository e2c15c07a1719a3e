"""Real-time authorization at an eMSP (mod_tokens, POST Method)."""

from collections.abc import Iterator

from hub.ocpi.datatypes import InterfaceRole
from party.check.findings import Finding, Rule
from party.check.probe import Probe, below

UNKNOWN = Rule(
    "tokens.authorize-unknown",
    "mod_tokens, POST Method; status_codes 2004",
    "authorize of an unknown Token: HTTP 404 with 2004",
    "Answer HTTP 404 with {status_code: 2004, ..}; allowed: BLOCKED is for Tokens that you know.",
)
RULES = (UNKNOWN,)


def check(probe: Probe) -> Iterator[Finding]:
    """A Token that nobody has; without a body, which is valid."""
    url = probe.endpoint("tokens", InterfaceRole.SENDER)
    if url is None:
        yield UNKNOWN.not_tried("the party offers no tokens SENDER")
        return
    call = probe.call("POST", below(url, probe.mark, "authorize"), "tokens", note="unknown Token")
    yield UNKNOWN.judge(call.status == 404 and call.status_code == 2004, call)
