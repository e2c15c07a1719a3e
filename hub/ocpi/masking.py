"""What opens something or names a driver, and how it is hidden (mod_tokens, mod_cdrs: CdrToken).

Everything here is asked of foreign text on the way of a message, so each step is linear in it, and
what is searched is cut first. URLs are compared as their receiver reads them: decoded.
"""

import json
import string
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from hub.ocpi import own_paths
from hub.ocpi.modules import CONFIGURATION_MODULES, FUNCTIONAL_MODULES, WITH_EVSES, Match
from hub.ocpi.v2_2_1 import VERSION

# Credentials tokens, and what a driver is known by.
_SECRET: Final = frozenset({"contract_id", "visual_number", "auth_id", "group_id", "token"})
_NAMED: Final = _SECRET | {"uid"}
# The unguessable part of a URL that the hub has given out.
_OURS: Final = frozenset(own.name for own in own_paths.OWN_PATHS if own.has_key)
_OF_KEYS: Final = frozenset(string.ascii_letters + string.digits + "-_")
# Parameters of a query that say which page was asked for, and nothing that is secret.
_HARMLESS: Final = frozenset({"date_from", "date_to", "offset", "limit", "duration", "type"})
_OF_HARMLESS: Final = frozenset(string.ascii_letters + string.digits + "_:.%+-")
_UNROUTED: Final = frozenset(
    {"versions", *(own.name for own in own_paths.OWN_PATHS if not own.shape)}
)
# What may be said in the log of a URL that leads nowhere.
_OWN_NAMES: Final = frozenset(
    {"", "ocpi", "cpo", "emsp", "sender", "receiver", *FUNCTIONAL_MODULES, *CONFIGURATION_MODULES}
    | {word for own in own_paths.OWN_PATHS for word in own.name.split("/")}
)
HIDDEN: Final = "•••"

# How many characters of a foreign message are searched, and of each name of a driver in it.
_LONGEST_TEXT: Final = 1_000  # characters
# Reading a body to mask it takes the process's time, so a longer one is not read.
MOST_READ: Final = 1_000_000  # bytes
_LONGEST_SECRET: Final = 100  # characters
_SEARCHED_BYTES: Final = 65_536
_LONGEST_PATH: Final = 1_000  # characters
_NOT_KEPT: Final = "(the message is not kept: its request was too long to be searched for secrets)"
# A text may be encoded several times; nobody who reads it decodes more often.
_ROUNDS: Final = 3
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def is_secret(name: str) -> bool:
    """Whether a field opens something or names a driver, wherever it stands; a `uid` may not."""
    return name in _SECRET


def hint(secret: str) -> str:
    """Enough to compare with what a driver reads out, not enough to use."""
    return f"{HIDDEN}{secret[-3:]}" if len(secret) > 8 else HIDDEN


def masked(value: Any, *, uids: bool = False, callbacks: bool = True) -> Any:
    """The same JSON without credentials tokens, token uids and contract ids.

    A `uid` is a Token's when a contract_id stands beside it, where a Location is published to some
    alone, or with `uids` always: an EVSE has one too, which is not a secret. Without `callbacks` a
    `response_url` is cut to whose it is: whoever knows it can post a result to it.
    """
    root = [value]
    # Not by recursion: how deep it is, is for others to say.
    pending: list[tuple[Any, Any, bool]] = [(root, 0, uids)]
    while pending:
        holder, key, has_uids = pending.pop()
        inner = holder[key]
        if isinstance(inner, list):
            holder[key] = items = list(inner)
            pending += [(items, index, has_uids) for index in range(len(items))]
        elif isinstance(inner, dict):
            holder[key] = copy = dict(inner)
            secret = _NAMED if has_uids or "contract_id" in inner else _SECRET
            for name, held in inner.items():
                if name in secret and isinstance(held, str | int | float):
                    copy[name] = hint(str(held))
                elif name == "response_url" and not callbacks and isinstance(held, str):
                    copy[name] = origin(held)
                elif isinstance(held, list | dict):
                    pending.append((copy, name, has_uids or name == "publish_allowed_to"))
    return root[0]


def masked_body(body: bytes, module: str, longest: int) -> str:
    """A message's body as it may be kept: masked, no callback URLs, cut; "" for an empty one."""
    if len(body) > MOST_READ:
        return f"({len(body)} bytes, too many to be kept)"
    if not body.strip():
        return ""
    try:
        document = masked(json.loads(body), uids=module not in WITH_EVSES, callbacks=False)
        text = json.dumps(document, ensure_ascii=False)
    except (ValueError, RecursionError):
        return f"({len(body)} bytes that are not JSON)"
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} bytes)"


def origin(url: str) -> str:
    """The origin of a URL, and no more."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.split('/', 1)[0]}/{HIDDEN}" if separator else HIDDEN


# --- Text ----------------------------------------------------------------------------------------


def decoded(text: str) -> str:
    """Percent-encoding taken off, however often it was put on (at most three times)."""
    for _ in range(_ROUNDS):
        if "%" not in text or (plain := unquote(text)) == text:
            break
        text = plain
    return text


def without_keys(text: str) -> str:
    """The hub's callback URLs without the part that opens them, however they are encoded."""
    if "/" not in text and "%" not in text:
        return text
    return " ".join(map(_without_keys, text.split(" ")))


def _without_keys(word: str) -> str:
    if "/" not in word and "%" not in word:
        return word
    plain = decoded(word)
    lower = plain.translate(_LOWER)
    parts, after, slash = [], 0, lower.find("/")
    while slash >= 0 and (end := lower.find("/", slash + 1)) >= 0:
        is_ours = lower[slash + 1 : end] in _OURS
        slash, start = end, end + 1
        end = start
        while is_ours and end < len(plain) and plain[end] in _OF_KEYS:
            end += 1
        if end > start:
            parts += [plain[after:start], HIDDEN]
            after = end
    return "".join([*parts, plain[after:]]) if parts else word


def without_secrets(text: str, place: Match | None, body: bytes) -> str:
    """A message of a hub or party without what the request's URL and body name a driver by.

    Cut to 1,000 characters, more than is kept of it.
    """
    if len(body) > _SEARCHED_BYTES:
        return _NOT_KEPT
    is_cut = len(text) > _LONGEST_TEXT
    text = text[:_LONGEST_TEXT]
    for secret in _secrets(place, body):
        text = _hidden(text, secret)
    if is_cut:
        # Its last characters may be the beginning of a secret.
        text = f"{text[:-_LONGEST_SECRET]}…"
    return without_keys(text)


def _secrets(place: Match | None, body: bytes) -> set[str]:
    """The names of a driver, in the spellings that an answer may repeat."""
    found = set(_named(body))
    if place is not None and "token_uid" in place.ids:
        found |= {place.ids["token_uid"], decoded(place.ids["token_uid"])}
    return {secret[:_LONGEST_SECRET].translate(_LOWER) for secret in found if secret}


def _named(body: bytes) -> Iterator[str]:
    if not any(f'{name}"'.encode() in body for name in _NAMED) and b"\\u" not in body:
        return
    try:
        pending = [msgspec.json.decode(body)]
    except (ValueError, RecursionError):
        return  # A body that is not JSON has told nobody anything.
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            for name, inner in value.items():
                if name in _NAMED and isinstance(inner, str | int | float):
                    yield str(inner)
                elif isinstance(inner, list | dict):
                    pending.append(inner)


def _hidden(text: str, secret: str) -> str:
    """CiStrings: a receiver that repeats one may have changed its case."""
    lower, parts, after = text.translate(_LOWER), [], 0
    while (found := lower.find(secret, after)) >= 0:
        parts += [text[after:found], HIDDEN]
        after = found + len(secret)
    return "".join([*parts, text[after:]]) if parts else text


def without_path(text: str, path: str, safe: str) -> str:
    """With `safe` wherever the decoded `path` stands, be it encoded."""
    if len(path) > _LONGEST_PATH:
        return _NOT_KEPT
    # Long enough for any encoding of it.
    text = text[: _LONGEST_TEXT + 9 * len(path)].replace(path, safe)
    if "%" not in text:
        return text
    path = decoded(path)
    words = ((word, decoded(word)) for word in text.split(" "))
    return " ".join(plain.replace(path, safe) if path in plain else word for word, plain in words)


# --- URLs ----------------------------------------------------------------------------------------


def safe_path(path: str, place: Match | None) -> str:
    """Where a request went, with no key of a callback URL and no token uid in it."""
    if place is None:
        return _unrouted(path)
    start = f"{place.role.lower()}/{place.module}"
    if place.route is None:
        return f"{start}/…"  # Nobody knows what a custom module has in its URLs.
    parts = [start]
    for shape in place.route.segments:
        name = shape[1:-1] if shape.startswith("{") else ""
        value = place.ids[name] if name else shape
        parts.append(hint(value) if name == "token_uid" else value)
    return "/".join(parts)


def _unrouted(path: str) -> str:
    below = decoded(path).strip("/").removeprefix("ocpi").strip("/")
    if below == VERSION or below.removeprefix(f"{VERSION}/") in _UNROUTED:
        return below
    version, _, rest = below.partition("/")
    name = rest.partition("/")[0]
    own = own_paths.NAMES.get(name.translate(_LOWER)) if version == VERSION else None
    if own is None:
        return "…"
    return f"{name}/{HIDDEN if own.has_key else '…'}"


def quiet_path(path: str) -> str:
    """The path for the log, up to the first name in it that is not the hub's own.

    Keys of rewritten URLs and uids of tokens are not, nor is anything that is not known.
    """
    names = decoded(path).split("/")
    quiet = "/".join(takewhile(_is_own_name, names))
    return path if quiet == path else f"{quiet.rstrip('/')}/…"


def _is_own_name(name: str) -> bool:
    return name in _OWN_NAMES or (len(name) <= 5 and name.replace(".", "").isdigit())


def safe_query(query: str) -> str:
    """Which page or period was asked for; anything else may open something."""
    return "&".join(part for part in query.split("&") if _is_harmless(part))


def _is_harmless(part: str) -> bool:
    name, equals, value = part.partition("=")
    return (
        bool(equals) and name in _HARMLESS and len(value) <= 40 and _OF_HARMLESS.issuperset(value)
    )
