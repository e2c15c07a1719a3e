"""OCPI documents as an operator may see them: pretty, with what identifies a driver masked."""

import json
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

LONGEST = 50_000
# The unguessable part of a URL that the hub has given out.
_KEY = re.compile(r"(/(?:profile-result|via)(?:/|%2F))[\w-]+", re.IGNORECASE)


def pretty(document: bytes | memoryview) -> SafeString | None:
    """A block of indented JSON; what is no JSON as it came; None when there is nothing."""
    raw = bytes(document)
    if not raw:
        return None
    try:
        text = json.dumps(masked(json.loads(raw)), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = raw.decode("utf-8", "replace")
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n… {len(text) - LONGEST} more characters"
    return render_to_string("console/document.html", {"text": without_keys(text)})


def masked(value: Any) -> Any:
    """The same without token uids, contract ids (mod_tokens, mod_cdrs: CdrToken) and tokens."""
    if isinstance(value, list):
        return [masked(item) for item in value]
    if not isinstance(value, dict):
        return value
    secret = {"contract_id", "visual_number", "auth_id", "token"}
    if "contract_id" in value:  # A Token or CdrToken; an EVSE's uid is no secret.
        secret.add("uid")
    return {
        name: hint(inner) if name in secret and isinstance(inner, str) else masked(inner)
        for name, inner in value.items()
    }


def hint(secret: str) -> str:
    """Enough to compare with what a driver reads out, not enough to use."""
    return f"•••{secret[-3:]}" if len(secret) > 8 else "•••"


def without_keys(text: str) -> str:
    """The hub's callback URLs without the part that opens them."""
    return _KEY.sub(r"\1•••", text)


def address(url: str) -> str:
    """Where a URL leads, without its query and the hub's keys: they may open something."""
    parts = urlsplit(url)
    return without_keys(urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")))
