"""What an answer or a result says, however it is spelled (mod_commands, mod_charging_profiles).

Only its `result` is read; the rest is for the party that asked, which gets every byte.
"""

from typing import Any, NamedTuple

import msgspec

from hub.ocpi import heads, lenient
from hub.ocpi.errors import NotJson


class CommandAnswer(NamedTuple):
    """A CommandResponse or ChargingProfileResponse; some leave out how many seconds they need."""

    result: str
    timeout: float | None


class _Head(msgspec.Struct):
    result: Any = None
    timeout: Any = None
    # Some post their result in an envelope, as if it were an answer.
    data: Any = None


_read = heads.reader(_Head)


def answer_of(data: bytes) -> CommandAnswer | None:
    """`data` of a receiver's answer: an object, one in a list, or the bare word; None without one.

    The word is in upper case, whether OCPI knows it or not.
    """
    try:
        document = heads.object_of(data)
        head = _Head(result=heads.word_of(data)) if document is None else _read(document)
    except (msgspec.DecodeError, NotJson):  # A text in it is not UTF-8.
        return None
    timeout = lenient.number(head.timeout)
    word = heads.word(head.result)
    return CommandAnswer(word, None if timeout is None else float(timeout)) if word else None


def result_of(body: bytes) -> str:
    """The word of a result that was POSTed, in upper case; empty when it says nothing.

    The body is JSON.
    """
    document = heads.object_of(body)
    found = None if document is None else _read(document)
    if found is not None and found.result is None:
        found = _in_an_envelope(found.data)
    return "" if found is None else heads.word(found.result)


def _in_an_envelope(data: Any) -> _Head | None:
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    return _Head(result=data.get("result")) if isinstance(data, dict) else None
