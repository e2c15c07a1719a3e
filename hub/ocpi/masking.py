"""What opens something or names a driver, and how it is hidden (mod_tokens, mod_cdrs: CdrToken)."""

import json
import re
from typing import Any, Final

from hub.ocpi.modules import Match

# Credentials tokens, and what a driver is known by.
_SECRET: Final = frozenset({"contract_id", "visual_number", "auth_id", "group_id", "token"})
# The unguessable part of a URL that the hub has given out.
_OURS: Final = frozenset({"via", "profile-result", "check-result"})
_KEY: Final = re.compile(r"(/(?:profile-result|check-result|via)(?:/|%2F))[\w-]+", re.IGNORECASE)
_NAMED: Final = re.compile(
    rb'"(?:uid|contract_id|visual_number|auth_id|group_id|token)"\s*:\s*"((?:[^"\\]|\\.){1,100})"'
)
# Of a query only what tells which page was asked for.
_HARMLESS: Final = re.compile(
    r"(?:^|(?<=&))(?:date_from|date_to|offset|limit|duration|type)=[\w:.%+-]{0,40}(?=&|$)"
)
_CONFIGURATION: Final = frozenset({"versions", "credentials", "hubclientinfo"})
HIDDEN: Final = "•••"


def is_secret(name: str) -> bool:
    """Whether a field opens something or names a driver, wherever it stands; a `uid` may not."""
    return name in _SECRET


def hint(secret: str) -> str:
    """Enough to compare with what a driver reads out, not enough to use."""
    return f"{HIDDEN}{secret[-3:]}" if len(secret) > 8 else HIDDEN


def masked(value: Any, *, uids: bool = False) -> Any:
    """The same JSON without credentials tokens, token uids and contract ids.

    A `uid` is a Token's when a contract_id stands beside it, where a Location is published to some
    alone, or with `uids` always: an EVSE has one too, which is no secret.
    """
    if isinstance(value, list):
        return [masked(item, uids=uids) for item in value]
    if not isinstance(value, dict):
        return value
    secret = _SECRET | {"uid"} if uids or "contract_id" in value else _SECRET
    return {
        name: hint(inner)
        if name in secret and isinstance(inner, str)
        else masked(inner, uids=uids or name == "publish_allowed_to")
        for name, inner in value.items()
    }


def masked_body(body: bytes, module: str, longest: int) -> str:
    """A message's body as it may be kept: masked, no callback URLs, cut; "" for an empty one."""
    if not body.strip():
        return ""
    try:
        document = masked(json.loads(body), uids=module != "locations")
    except (ValueError, RecursionError):
        return f"({len(body)} bytes that are not JSON)"
    text = json.dumps(_without_callbacks(document), ensure_ascii=False)
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= longest else f"{text[:longest]}… ({len(body)} bytes)"


def _without_callbacks(document: Any) -> Any:
    """Whoever knows a `response_url` can post a result to it."""
    if isinstance(document, dict) and isinstance(url := document.get("response_url"), str):
        return document | {"response_url": origin(url)}
    return document


def origin(url: str) -> str:
    """Whose URL it is, and no more."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.split('/', 1)[0]}/{HIDDEN}" if separator else HIDDEN


def without_keys(text: str) -> str:
    """The hub's callback URLs without the part that opens them."""
    return _KEY.sub(rf"\1{HIDDEN}", text)


def without_secrets(text: str, place: Match | None, body: bytes) -> str:
    """A message of a hub or party without what the request's URL and body name a driver by."""
    found = [named.decode("utf-8", "replace") for named in _NAMED.findall(body)]
    if place is not None and "token_uid" in place.ids:
        found.append(place.ids["token_uid"])
    for secret in found:
        text = text.replace(secret, HIDDEN)
    return without_keys(text)


def safe_path(path: str, place: Match | None) -> str:
    """Where a request went, with no key of a callback URL and no token uid in it."""
    if place is None:
        return _unrouted(path)
    start = f"{place.role.lower()}/{place.module}"
    if place.route is None:
        return f"{start}/…"  # What a custom module has in its URLs, nobody knows.
    parts = [start]
    for shape in place.route.segments:
        name = shape[1:-1] if shape.startswith("{") else ""
        value = place.ids[name] if name else shape
        parts.append(hint(value) if name == "token_uid" else value)
    return "/".join(parts)


def _unrouted(path: str) -> str:
    below = path.strip("/").removeprefix("ocpi").strip("/")
    if below == "2.2.1" or below.removeprefix("2.2.1/") in _CONFIGURATION:
        return below
    parts = below.split("/")
    if parts[0] == "2.2.1" and len(parts) > 1 and parts[1] in _OURS:
        return f"{parts[1]}/{HIDDEN}"
    return "…"


def safe_query(query: str) -> str:
    """Which page or period was asked for; all else may open something."""
    return "&".join(_HARMLESS.findall(query))
