"""OCPI documents as an operator may see them: pretty, with what identifies a driver masked."""

import json
from urllib.parse import urlsplit, urlunsplit

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from hub.models import Delivery
from hub.ocpi.masking import masked, without_keys

LONGEST = 50_000  # characters


def pretty(document: bytes | memoryview) -> SafeString | None:
    """A block of indented JSON; what is not JSON as it came; None when there is nothing."""
    raw = bytes(document)
    if not raw:
        return None
    try:
        text = json.dumps(masked(json.loads(raw)), indent=2, ensure_ascii=False)
    except ValueError:
        text = raw.decode("utf-8", "replace")
    except RecursionError:
        text = f"({len(raw)} bytes of JSON that is nested too deep to be shown)"
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n… {len(text) - LONGEST} more characters"
    return render_to_string("console/document.html", {"text": without_keys(text)})


def address(url: str) -> str:
    """Where a URL leads, without its query and the hub's keys: they may open something."""
    parts = urlsplit(url)
    return without_keys(urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")))


def callback(delivery: Delivery, *, is_whole: bool) -> str:
    """Where a delivery to a URL leads; of another's URL the host alone, since it may be a key."""
    if is_whole:
        return address(delivery.path)
    parts = urlsplit(delivery.path)
    return f"{parts.scheme}://{parts.hostname or ''}/…"
