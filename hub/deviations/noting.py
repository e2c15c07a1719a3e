"""Counting deviations: noted in memory by whoever reads a message, written every few seconds.

`note` costs a dictionary's entry, so that it may stand on any message's way. Web processes write
with their house-keeping, jobs at their end. What a killed process had not written is lost: these
are counts, not business data.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone

from hub import statements
from hub.ocpi.lenient import Deviation

MOST_ROWS_A_PLATFORM: Final = 200
# Of one process, until it writes.
_MOST_NOTED: Final = 5_000
_LONGEST: Final = {"rule": 40, "path": 200, "example": 200}


@dataclass(slots=True)
class _Count:
    number: int
    first_at: datetime
    last_at: datetime
    example: str


_noted: dict[tuple[int, str, str], _Count] = {}
_lock = threading.Lock()


def note(platform_id: int, found: Iterable[Deviation]) -> None:
    """Count what a platform was found to spell otherwise than the text; from any thread."""
    now = timezone.now()
    with _lock:
        for one in found:
            key = (platform_id, one.rule[: _LONGEST["rule"]], one.path[: _LONGEST["path"]])
            count = _noted.get(key)
            if count is not None:
                count.number += 1
                count.last_at = now
            elif len(_noted) < _MOST_NOTED:
                _noted[key] = _Count(1, now, now, _printable(one.example))


def flush() -> None:
    """Write what was noted in this process; what cannot be written is kept for the next time."""
    with _lock:
        taken = dict(_noted)
        _noted.clear()
    if not taken:
        return
    try:
        # In one order for all processes, so that two never wait for each other.
        for platform_id in sorted({platform_id for platform_id, _, _ in taken}):
            _write(
                platform_id, {key[1:]: one for key, one in taken.items() if key[0] == platform_id}
            )
    except Exception:
        _put_back(taken)
        raise


def _put_back(taken: dict[tuple[int, str, str], _Count]) -> None:
    with _lock:
        for key, old in taken.items():
            newer = _noted.get(key)
            if newer is None:
                _noted[key] = old
            else:
                newer.number += old.number
                newer.first_at = old.first_at


# A platform's rows are written by one at a time, so that they are counted right against the most
# there may be; a platform that is gone gets none.
_WRITE: Final = f"""
    WITH platform AS MATERIALIZED (
        SELECT id FROM hub_platform WHERE id = %(platform)s FOR NO KEY UPDATE
    ), sent AS (
        SELECT * FROM unnest(
            %(rule)s::text[], %(path)s::text[], %(number)s::bigint[],
            %(first_at)s::timestamptz[], %(last_at)s::timestamptz[], %(example)s::text[]
        ) WITH ORDINALITY AS sent (rule, path, number, first_at, last_at, example, place)
    ), known AS (
        UPDATE deviations_deviationcount AS kept
        SET number = kept.number + sent.number, last_at = greatest(kept.last_at, sent.last_at)
        FROM sent, platform
        WHERE kept.platform_id = platform.id AND kept.rule = sent.rule AND kept.path = sent.path
        RETURNING kept.rule, kept.path
    )
    INSERT INTO deviations_deviationcount AS kept
        (platform_id, rule, path, number, first_at, last_at, example)
    SELECT platform.id, rule, path, number, first_at, last_at, example
    FROM platform, (
        SELECT sent.* FROM sent WHERE (rule, path) NOT IN (SELECT rule, path FROM known)
        ORDER BY place
        LIMIT greatest(0, {MOST_ROWS_A_PLATFORM} - (
            SELECT count(*) FROM deviations_deviationcount WHERE platform_id = %(platform)s))
    ) AS fresh
    ON CONFLICT (platform_id, rule, path) DO UPDATE
    SET number = kept.number + excluded.number, last_at = greatest(kept.last_at, excluded.last_at)
"""  # noqa: S608 - a number of ours


def _write(platform_id: int, counts: dict[tuple[str, str], _Count]) -> None:
    statements.run(
        _WRITE,
        {
            "platform": platform_id,
            "rule": [rule for rule, _ in counts],
            "path": [path for _, path in counts],
            "number": [one.number for one in counts.values()],
            "first_at": [one.first_at for one in counts.values()],
            "last_at": [one.last_at for one in counts.values()],
            "example": [one.example for one in counts.values()],
        },
    )


def _printable(text: str) -> str:
    """On one line, and without what no column takes."""
    cut = text[: _LONGEST["example"]]
    return "".join(one if one.isprintable() else " " for one in cut)
