"""Rows as a drain holds them, for tests without a database."""

from itertools import count
from math import inf
from typing import Any

from hub.drains.merging import Push, Route

_ids = count(1)


def push(
    method: str = "PUT",
    path: str = "NL/CPO/LOC1",
    body: bytes = b'{"a":1}',
    *,
    module: str = "locations",
    role: str = "RECEIVER",
    key: str = "LOC1",
    receiver: str = "MSP",
    **changes,
) -> Push:
    """A row that waits."""
    values: dict[str, Any] = {
        "id": next(_ids),
        "platform_id": 1,
        "ordering_key": key,
        "route": Route(module, role, path, ("NL", "HUB"), ("DE", receiver)),
        "method": method,
        "body": body,
        "correlation_id": "c",
        "attempts": 0,
        "due": -inf,
        "created": 0.0,
        "is_broadcast": True,
    }
    return Push(**(values | changes))
