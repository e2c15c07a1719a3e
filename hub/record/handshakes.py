"""Handshakes that failed, out of the record: whose, when, and what was said (credentials)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.record.models import Message
from hub.record.note import Direction, Kind

# Few are made in a day; somebody who tries without end is one of them.
_MOST: Final = 500
_METHODS: Final = ("POST", "PUT")


@dataclass(frozen=True, slots=True)
class FailedHandshake:
    """The last attempt of one platform; None: the hub's own, with one that it does not know yet."""

    platform_id: int | None
    who: str
    at: datetime
    why: str
    correlation_id: str


def failed_handshakes(since: datetime) -> list[FailedHandshake]:
    """Those whose last POST or PUT of credentials has failed since then, the newest first.

    Both ways: platforms that register here, and those with which the hub registers.
    """
    rows = Message.objects.filter(at__gte=since, module="credentials", method__in=_METHODS).exclude(
        kind=Kind.STRANGER
    )
    last: dict[object, Message] = {}
    for row in rows.order_by("-at", "-id")[:_MOST]:
        last.setdefault(row.platform_id or row.path, row)
    return [_told(row) for row in last.values() if row.is_failed]


def _told(row: Message) -> FailedHandshake:
    is_in = row.direction == Direction.IN
    who = row.sender if is_in else row.receiver or row.path
    code = f"HTTP {row.http_status}" if row.ocpi_code is None else f"OCPI {row.ocpi_code}"
    why = row.problem or f"{row.method} credentials was answered with {code}."
    return FailedHandshake(row.platform_id, who, row.at, why, row.correlation_id)
