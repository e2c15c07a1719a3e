"""The body of an answer as it was meant: no content coding, no byte order mark (RFC 9110, 8.4).

The hub asks for no coding; some answer in one all the same.
"""

import zlib
from collections.abc import Mapping
from typing import Final

# Members of one gzip body: each is a copy of what follows it. Real ones have one.
_MOST_MEMBERS: Final = 16
_MOST_CODINGS: Final = 3
# The most by which one coding can shorten a body (zlib, Technical Details).
MOST_EXPANDED: Final = 1032
_GZIP_MAGIC: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class CannotDecode(ValueError):
    """The body is in a coding that the hub does not read, or is broken; the message says which."""


class TooLongDecoded(ValueError):
    """The body is longer than allowed when its coding is undone."""


def is_coded(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether `decoded` has anything to do. Names of headers are lower case."""
    return body[:2] == _GZIP_MAGIC or bool(body and "content-encoding" in headers)


def without_mark(body: bytes) -> bytes:
    """The body without a byte order mark: JSON must not begin with one (RFC 8259, 8.1)."""
    return body.removeprefix(_BYTE_ORDER_MARK)


def decoded(headers: Mapping[str, str], body: bytes, limit: int) -> bytes:
    """The body with all its codings undone; CannotDecode, or TooLongDecoded beyond `limit` bytes.

    gzip is seen by its first bytes, which no JSON has: the header may be missing, or be wrong.
    """
    names = [name.strip().lower() for name in headers.get("content-encoding", "").split(",")]
    codings = [name for name in names if name not in {"", "identity"}]
    if len(codings) > _MOST_CODINGS:
        raise CannotDecode(f"in {len(codings)} codings one over another")
    for coding in reversed(codings):
        if coding in {"gzip", "x-gzip"}:
            body = _from_gzip(body, limit)
        elif coding == "deflate":
            body = _from_deflate(body, limit)
        else:
            raise CannotDecode(f"in the coding {coding[:40]!r}, which the hub did not ask for")
    try:
        return _from_gzip(body, limit)
    except CannotDecode:
        return body  # Nothing said that it is gzip.


def _from_gzip(body: bytes, limit: int) -> bytes:
    if body[:2] != _GZIP_MAGIC:
        return body
    parts: list[bytes] = []
    size = 0
    for _ in range(_MOST_MEMBERS):
        part, body = _inflated(body, zlib.MAX_WBITS | 16, limit - size)
        parts.append(part)
        size += len(part)
        if body[:2] != _GZIP_MAGIC:  # Padding, or the end.
            return b"".join(parts)
    raise CannotDecode(f"in gzip of more than {_MOST_MEMBERS} members")


def _from_deflate(body: bytes, limit: int) -> bytes:
    """As zlib, which is what the name means, or without its frame, which some take it for."""
    try:
        return _inflated(body, zlib.MAX_WBITS, limit)[0]
    except CannotDecode:
        if body.lstrip()[:1] in {b"{", b"["}:
            return body  # The header is wrong.
        return _inflated(body, -zlib.MAX_WBITS, limit)[0]


def _inflated(body: bytes, window: int, limit: int) -> tuple[bytes, bytes]:
    """One compressed stream, and what follows it."""
    stream = zlib.decompressobj(window)
    try:
        # One byte more than allowed shows that there is more; no more than that is ever made.
        plain = stream.decompress(body, limit + 1)
        if len(plain) > limit:
            raise TooLongDecoded
        if not stream.eof:
            raise CannotDecode("in a compressed form that ends in the middle")
    except zlib.error as error:
        raise CannotDecode(f"in a compressed form that is broken ({error})") from error
    return plain, stream.unused_data
