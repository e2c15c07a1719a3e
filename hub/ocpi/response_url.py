"""Where a message names a response_url, in whatever spelling (mod_commands, mod_charging_profiles).

In Commands and ChargingProfiles a receiver may take for it what is spelled otherwise: escaped, in
capitals, as responseUrl; and of two it takes which it likes. There is one, or the message is
refused.
"""

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined]  # not in typeshed
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.modules import WITH_RESPONSE_URL

NAME: Final = "response_url"
_MEANT: Final = "responseurl"
# No spelling of the name is longer: NFKC shortens, and what is left out of it is a few characters.
_LONGEST_NAME: Final = 64
_MOST_DECODED: Final = 4


def is_meant(name: str) -> bool:
    """Whether somebody may read this name as response_url.

    Case and separators mean nothing to some libraries; some fold more than ASCII (Go: U+017F is an
    s), some end at NUL.
    """
    if name == NAME:
        return True
    name = name.partition("\0")[0]
    if len(name) > _LONGEST_NAME:
        return False
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(filter(str.isalnum, folded)) == _MEANT


@dataclass(frozen=True, slots=True)
class InBody:
    """The response_url of a body, and where its JSON string stands in the text."""

    url: str
    _text: str
    _places: tuple[tuple[int, int], ...]

    def replaced(self, url: str) -> bytes:
        """The body with another one; every other byte is as it came."""
        parts, end = [], 0
        for start, following in self._places:
            parts += [self._text[end:start], json.dumps(url)]
            end = following
        return "".join([*parts, self._text[end:]]).encode()


def in_body(body: bytes, module: str, role: InterfaceRole) -> InBody | None:
    """The response_url of a body that is JSON; None without one, or with null.

    InvalidParameters (2001) for one that is not a string; WITH_RESPONSE_URL also for a second one,
    and on the Receiver interface, where nobody tells back what it was sent, for one that stands
    deeper. Elsewhere the exact name at the top counts.
    """
    try:
        return _read(body.decode(), module in WITH_RESPONSE_URL, role == InterfaceRole.RECEIVER)
    except RecursionError as error:
        raise InvalidParameters("The body is nested too deep to be read.") from error
    except (ValueError, IndexError) as error:
        raise InvalidParameters(f"The body cannot be read: {error}.") from error


def _read(text: str, is_strict: bool, is_deep: bool) -> InBody | None:
    deeper = _Deeper()
    decoder = json.JSONDecoder(
        strict=False,
        # What a number is means nothing here, and int() refuses one of thousands of digits.
        parse_int=len,
        parse_float=len,
        object_pairs_hook=deeper.look if is_strict and is_deep else None,
    )
    if not text.startswith("{", _behind_space(text, 0)):
        if text.strip():
            decoder.decode(text)
        deeper.check()
        return None
    found = [
        (value, start, end)
        for name, value, start, end in _members(text, decoder)
        if (is_meant(name) if is_strict else name == NAME)
    ]
    deeper.check()
    if is_strict and len(found) > 1:
        raise InvalidParameters(
            "response_url stands in the body more than once (case and escapes do not count): which "
            "one is meant?"
        )
    if not found or found[-1][0] is None:
        return None
    url = found[-1][0]
    if not isinstance(url, str):
        raise InvalidParameters("response_url is not a string.")
    return InBody(url, text, tuple((start, end) for _, start, end in found))


class _Deeper:
    """Looks at the objects inside the body, as the decoder meets them."""

    def __init__(self) -> None:
        self._is_there = False

    def look(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """The members of one object."""
        if any(value is not None and is_meant(name) for name, value in pairs):
            self._is_there = True
        return dict(pairs)

    def check(self) -> None:
        """Refuse a response_url that was met."""
        if self._is_there:
            raise InvalidParameters(
                "A response_url stands inside another object, or in a list: it belongs into the "
                "body itself."
            )


def _members(text: str, decoder: json.JSONDecoder) -> Iterator[tuple[str, Any, int, int]]:
    """The members of the object that the text is: name, value, and where the value stands."""
    at = _behind_space(text, text.index("{") + 1)
    while text[at] != "}":
        name, at = scanstring(text, at + 1, False)
        start = _behind_space(text, _behind_space(text, at) + 1)
        value, end = decoder.raw_decode(text, start)
        yield name, value, start, end
        at = _behind_space(text, end)
        if text[at] == ",":
            at = _behind_space(text, at + 1)


def _behind_space(text: str, at: int) -> int:
    found = WHITESPACE.match(text, at)
    return at if found is None else found.end()


def in_query(query: str, module: str) -> tuple[str | None, str]:
    """The response_url in a query, and the query without it.

    It may come unencoded with a query of its own, as in the example of the GET method: then all
    that follows belongs to it, save a `duration`, which is ours. There a second one
    is 2001.
    """
    if module in WITH_RESPONSE_URL:
        query = _with_plain_name(query)
    before, found, value = f"&{query}".partition(f"&{NAME}=")
    if not found:
        return None, query
    if "://" not in value.partition("&")[0]:
        encoded, _, after = value.partition("&")
        return unquote(encoded), "&".join(part for part in (before[1:], after) if part)
    ours = [part for part in value.split("&")[1:] if part.startswith("duration=")]
    theirs = [part for part in value.split("&") if not part.startswith("duration=")]
    if "duration=" in before:
        ours, theirs = [], value.split("&")
    return "&".join(theirs), "&".join(part for part in (before[1:], *ours) if part)


def _with_plain_name(query: str) -> str:
    """The query with its response_url under that very name; some servers split at ";" as well."""
    parts = query.split("&")
    found = [
        (place, depth)
        for place, part in enumerate(parts)
        for depth, piece in enumerate(part.split(";"))
        if is_meant(_decoded(piece.partition("=")[0]))
    ]
    if not found:
        return query
    if len(found) > 1 or found[0][1]:
        raise InvalidParameters(
            "response_url stands in the query more than once, or behind a semicolon: which one is "
            "meant?"
        )
    place = found[0][0]
    parts[place] = f"{NAME}={parts[place].partition('=')[2]}"
    return "&".join(parts)


def _decoded(name: str) -> str:
    """A name in a query or path as anybody may read it: behind a proxy it may be decoded twice."""
    for _ in range(_MOST_DECODED):
        decoded = unquote_plus(name)
        if decoded == name:
            break
        name = decoded
    return name


def check_path(rest: str, module: str) -> None:
    """Refuse (2001) a path of these modules in which a server may find a response_url."""
    if module in WITH_RESPONSE_URL and _MEANT in "".join(
        filter(str.isalnum, _decoded(rest).casefold())
    ):
        raise InvalidParameters("response_url belongs into the body, or into the query.")
