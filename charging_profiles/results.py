"""What the hub reads of answers and results, however spelled (mod_charging_profiles).

All else in them is for the party that asked, which gets every byte.
"""

from typing import Any, Final, NamedTuple

import msgspec

from charging_profiles.objects import ChargingProfileResultType
from hub.ocpi import heads, lenient
from hub.ocpi.datatypes import check_json
from hub.ocpi.errors import InvalidParameters, NotJson

# A result that OCPI does not know; the command has ended with it all the same.
OTHER: Final = "OTHER"


class Answered(NamedTuple):
    """A ChargingProfileResponse; some CPOs leave out how many seconds they need."""

    result: str
    timeout: float | None


class _Head(msgspec.Struct):
    result: Any = None
    timeout: Any = None
    # Some post their result in an envelope, as if it were an answer.
    data: Any = None


_read = heads.reader(_Head)


def answer_of(data: bytes) -> Answered | None:
    """`data` of a CPO's answer: an object, one in a list, or the bare word; None without a result.

    The word is in upper case, whether OCPI knows it or not.
    """
    try:
        document = heads.object_of(data)
        head = _Head(result=heads.word_of(data)) if document is None else _read(document)
    except (msgspec.DecodeError, NotJson):  # A text in it that is not UTF-8.
        return None
    timeout = lenient.number(head.timeout)
    word = heads.word(head.result)
    return Answered(word, None if timeout is None else float(timeout)) if word else None


def result_of(body: bytes) -> str:
    """What the EVSE said, as ChargingProfileResultType has it, or OTHER.

    InvalidParameters (2001) for what says nothing: the CPO is still to tell. NotJson for no body.
    """
    check_json(body)
    document = heads.object_of(body)
    found = None if document is None else _read(document)
    if found is not None and found.result is None:
        found = _in_an_envelope(found.data)
    word = "" if found is None else heads.word(found.result)
    if not word:
        raise InvalidParameters(
            "result is required: one of " + ", ".join(ChargingProfileResultType) + "."
        )
    return word if word in ChargingProfileResultType.__members__ else OTHER


def _in_an_envelope(data: Any) -> _Head | None:
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    return _Head(result=data.get("result")) if isinstance(data, dict) else None
