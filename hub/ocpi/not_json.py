"""Why a body is not JSON, in words that say what to change (transport_and_format, JSON).

Asked only once a body has been refused: most are what a library does by itself, and the place of a
byte tells nobody of it.
"""

import re
from typing import Final

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_UTF_16_OR_32: Final = (b"\xff\xfe", b"\xfe\xff", b"\0")
_NOT_A_NUMBER: Final = re.compile(rb"[:,\[]\s*-?(?:NaN|Infinity)\b").search
_HALF_A_PAIR: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]"
).search


def mistake(body: bytes) -> str:
    """What is wrong with a body that no reader of JSON takes; "" where only its place is known."""
    start = body.lstrip()[:2]
    if not start:
        return "there is nothing in it."
    if body.startswith(_BYTE_ORDER_MARK):
        return "it begins with a byte order mark: write UTF-8 without one."
    if body.startswith(_GZIP_MAGIC):
        return "it is compressed with gzip: send it as it is, without Content-Encoding."
    if body.startswith(_UTF_16_OR_32) or body[1:2] == b"\0":
        return "it is in UTF-16 or UTF-32: write UTF-8."
    if start[:1] == b"<":
        return "it is XML or HTML."
    if start[:1] == b"'" or start in {b"{'", b"['"}:
        return "JSON has texts and names in double quotes."
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start} is not UTF-8: is it in another character set?"
    if _NOT_A_NUMBER(body):
        return "it has NaN or Infinity, which JSON does not know: leave such a field out."
    if _HALF_A_PAIR(body):
        return r"an escape such as \ud83d needs its second half: half a character was cut off."
    return ""
