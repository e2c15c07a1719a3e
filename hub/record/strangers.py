"""Who has no credentials token that the hub knows: a row for each address and minute.

A stranger that guesses tokens, or runs with a wrong one, may send any number of requests; a row for
each would let it fill the table. The first ids and all reasons of the minute are kept.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from django.conf import settings
from django.db.models import F

from hub.record.models import Message
from hub.record.note import Direction, Kind

_LONGEST_PROBLEM: Final = 300  # characters
_MOST_REASONS: Final = 3


class Stranger(msgspec.Struct, array_like=True):
    """What came from one address within one minute; `minute` is the Unix time that it began."""

    minute: int
    address: str
    method: str
    path: str
    request_id: str
    correlation_id: str
    status: int
    code: int | None
    reasons: list[str]
    times: int = 1

    @property
    def key(self) -> tuple[int, str]:
        """The key of the row."""
        return self.minute, self.address

    def add(self, other: "Stranger") -> None:
        """Add what came later in the same minute."""
        self.times += other.times
        for reason in other.reasons:
            if reason not in self.reasons and len(self.reasons) < _MOST_REASONS:
                self.reasons.append(reason)


def joined(strangers: Iterable[Stranger]) -> dict[tuple[int, str], Stranger]:
    """One for each address and minute."""
    found: dict[tuple[int, str], Stranger] = {}
    for stranger in strangers:
        if (known := found.get(stranger.key)) is not None:
            known.add(stranger)
        else:
            found[stranger.key] = stranger
    return found


def write(strangers: Iterable[Stranger]) -> int:
    """Make or raise their rows, in the drain's transaction; how many requests those were.

    Several web processes count the same minute: the first one that is drained makes the row. One
    drain runs at a time, so nobody else makes it meanwhile.
    """
    total = 0
    for (minute, address), stranger in sorted(joined(strangers).items()):
        total += stranger.times
        at = datetime.fromtimestamp(minute, UTC)
        row = Message.objects.filter(at=at, address=address).first()
        if row is None:
            Message.objects.create(**_columns(stranger, at))
        else:
            new = [reason for reason in stranger.reasons if reason not in row.problem]
            Message.objects.filter(at=at, pk=row.pk).update(
                times=F("times") + stranger.times,
                problem="; ".join([row.problem, *new])[:_LONGEST_PROBLEM],
            )
    return total


def _columns(stranger: Stranger, at: datetime) -> dict[str, Any]:
    return {
        "at": at,
        "address": stranger.address,
        "times": stranger.times,
        "direction": Direction.IN,
        "kind": Kind.STRANGER,
        "method": stranger.method,
        "module": "",
        "interface_role": "",
        "path": stranger.path,
        "request_id": stranger.request_id,
        "correlation_id": stranger.correlation_id,
        "related_id": "",
        "sender": "",
        "receiver": f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}".upper(),
        "http_status": stranger.status,
        "ocpi_code": stranger.code,
        "is_failed": True,
        "milliseconds": 0,
        "request_bytes": 0,
        "answer_bytes": 0,
        "problem": "; ".join(stranger.reasons)[:_LONGEST_PROBLEM],
        "request_body": "",
        "answer_body": "",
    }
