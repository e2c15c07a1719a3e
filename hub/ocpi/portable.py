"""What every reader of JSON takes: the hub tells an object to hundreds, in pages of many.

RFC 8259, 9, lets readers limit depth and numbers, and many do (.NET at 64 levels, Jackson and
Python at numbers of thousands of digits, serde at what is not a double): a reader that meets such a
value, also in a field that it does not know, loses the whole page with it.
"""

import json
import math
import re
from typing import Any, Final

# An object of OCPI has 9 at most; a page puts two around it.
MOST_LEVELS: Final = 32
_MOST_CHARACTERS: Final = 1000
# More digits than any double has before its point.
_MANY_DIGITS: Final = b"0" * 309
_AS_ZEROS: Final = bytes(48 if byte in b"0123456789" else 32 for byte in range(256))
_LARGE_EXPONENT: Final = re.compile(rb"[0-9][eE]\+?[0-9]{3}").search
_AS_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"{}[]")
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"').sub


class _TooLarge(Exception):
    pass


def problem(body: bytes) -> str:
    """Why some readers would refuse this JSON text as a whole; "" when none does."""
    if _is_deep(body) and _is_deep(_STRINGS(b"", body)):
        return f"it is nested deeper than {MOST_LEVELS} levels"
    if _MANY_DIGITS in body.translate(_AS_ZEROS) or _LARGE_EXPONENT(body):
        try:
            json.loads(body, parse_int=_check_number, parse_float=_check_number)
        except _TooLarge:
            return "it has a number that is too large for a double, or of 1000 digits"
    return ""


def _is_deep(body: bytes) -> bool:
    """Takes brackets in texts for levels as well."""
    brackets = body.translate(_AS_BRACKETS, _NO_BRACKETS)
    for _ in range(MOST_LEVELS):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _check_number(text: str) -> Any:
    if len(text) >= _MOST_CHARACTERS or math.isinf(float(text)):
        raise _TooLarge
    return None
