"""Real-time authorization of a Token that only its eMSP knows (mod_tokens, POST Method).

The hub asks every eMSP that the agreements allow (ocpi/ocpi#420), and passes on the answer that
says most; "When the eMSP does not know the Token, the eMSP SHALL respond with .. 404".
"""

from enum import IntEnum

import msgspec

from hub.ocpi import envelope
from hub.ocpi.errors import NotEnoughInformation
from hub.outbound import Response
from tokens.objects import AllowedType


class Verdict(IntEnum):
    """What an eMSP's answer says of the Token, the most first."""

    ALLOWED = 0
    KNOWN = 1
    NEEDS_LOCATION = 2
    UNKNOWN = 3


class _Allowed(msgspec.Struct):
    allowed: AllowedType


def verdict(response: Response) -> Verdict:
    """What this answer to an authorization request says."""
    answer = envelope.read_answer(response.body)
    if answer.status_code == NotEnoughInformation.code:
        return Verdict.NEEDS_LOCATION
    if response.status >= 300 or not answer.is_success:
        return Verdict.UNKNOWN
    try:
        allowed = msgspec.json.decode(answer.data, type=_Allowed).allowed
    except msgspec.DecodeError:
        return Verdict.UNKNOWN
    return Verdict.ALLOWED if allowed == AllowedType.ALLOWED else Verdict.KNOWN
