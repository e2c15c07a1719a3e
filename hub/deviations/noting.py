"""Counting deviations: noted in memory where a message is read, written every few seconds.

`note` costs a dictionary's entry and asks nobody, so that it may stand on any message's way. Web
processes write with their house-keeping, Celery's when a job ends. What a killed process had not
written is lost: these are counts, not business data.
"""

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.db.utils import Error
from django.utils import timezone

from hub.db import sql
from hub.deviations import left_out_counts
from hub.ocpi import masking
from hub.ocpi.lenient import Deviation
from hub.record import tallies
from hub.record.recorder import Count

logger = logging.getLogger(__name__)
MOST_ROWS_A_PLATFORM: Final = 200
# Notes of one process, until it writes them: of one platform (its rows, and as many that the
# database may know already), and of all platforms.
MOST_NOTED_A_PLATFORM: Final = 2 * MOST_ROWS_A_PLATFORM
MOST_NOTED: Final = 20_000
# The name under which /metrics finds them.
TALLY: Final = "deviations"
_LONGEST: Final = {"rule": 40, "path": 200, "example": 200}


@dataclass(slots=True)
class _Count:
    number: int
    first_at: datetime
    last_at: datetime
    example: str


# By platform; then by rule and path.
_noted: dict[int, dict[tuple[str, str], _Count]] = {}
_lock = threading.Lock()
# Held while notes are written: a thread that needs it meanwhile waits, and finds them written.
_writing = threading.Lock()


def note(platform_id: int, found: Iterable[Deviation]) -> None:
    """Count what a platform was found to spell otherwise than the text; from any thread."""
    if not found:
        return
    now = timezone.now()
    with _lock:
        of_platform = _noted.setdefault(platform_id, {})
        for one in found:
            key = (_printable(one.rule, "rule"), _printable(one.path, "path"))
            count = of_platform.get(key)
            if count is not None:
                count.number += 1
                count.last_at = now
            elif len(of_platform) < MOST_NOTED_A_PLATFORM and _number_of_keys() < MOST_NOTED:
                of_platform[key] = _Count(1, now, now, _example(one))


def _number_of_keys() -> int:
    return sum(map(len, _noted.values()))


def flush() -> bool:
    """Write what was noted in this process, also of what was left out; never fails.

    True: all that was noted before the call is written, also what another thread was writing.
    False when the database is away, or a platform is just being registered: then it is kept for the
    next time.
    """
    with _writing:
        return _flush()


def _flush() -> bool:
    global _noted
    with _lock:
        taken, _noted = _noted, {}
    try:
        # In one order for all processes, so that two never wait for each other.
        for platform_id in sorted(taken):
            if _write_or_drop(platform_id, taken[platform_id]):
                del taken[platform_id]
        return left_out_counts.flush() and not taken
    except Error as error:
        logger.warning("deviations wait to be written: %s", error)
        return False
    finally:
        _put_back(taken)


def _write_or_drop(platform_id: int, counts: Mapping[tuple[str, str], _Count]) -> bool:
    """False when it is to be tried again; what no column takes would never be taken."""
    try:
        return not counts or _write(platform_id, counts)
    except (OperationalError, InterfaceError):
        raise
    except DatabaseError:
        logger.exception("deviations of platform %s cannot be written", platform_id)
        return True


def _put_back(taken: dict[int, dict[tuple[str, str], _Count]]) -> None:
    with _lock:
        for platform_id, counts in taken.items():
            of_platform = _noted.setdefault(platform_id, {})
            for key, old in counts.items():
                newer = of_platform.get(key)
                if newer is None:
                    of_platform[key] = old
                else:
                    newer.number += old.number
                    newer.first_at, newer.example = old.first_at, old.example


# A platform's rows are written by one at a time, so that they are counted right against the most
# there may be: the advisory lock. Its own row is not waited for: a handshake may hold it for long.
_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended('deviations', %s))"
_WRITE: Final = f"""
    WITH platform AS MATERIALIZED (
        SELECT id FROM hub_platform WHERE id = %(platform)s FOR KEY SHARE SKIP LOCKED
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
    ), fresh AS (
        INSERT INTO deviations_deviationcount
            (platform_id, rule, path, number, first_at, last_at, example)
        SELECT platform.id, rule, path, number, first_at, last_at, example
        FROM platform, (
            SELECT sent.* FROM sent WHERE (rule, path) NOT IN (SELECT rule, path FROM known)
            ORDER BY place
            LIMIT greatest(0, {MOST_ROWS_A_PLATFORM} - (
                SELECT count(*) FROM deviations_deviationcount WHERE platform_id = %(platform)s))
        ) AS unknown
    )
    SELECT EXISTS (SELECT FROM platform), EXISTS (SELECT FROM hub_platform WHERE id = %(platform)s)
"""  # noqa: S608 - a number of ours


def _write(platform_id: int, counts: Mapping[tuple[str, str], _Count]) -> bool:
    """False when the platform's row is held by somebody else; one that is gone gets none."""
    with transaction.atomic():
        sql.run(_ALONE, [platform_id])
        [(is_written, is_there)] = sql.run(
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
        if is_written:
            by_rule: Counter[str] = Counter()
            for (rule, _), one in counts.items():
                by_rule[rule] += one.number
            tallies.add(
                (), [Count(TALLY, (str(platform_id), rule), n) for rule, n in by_rule.items()]
            )
    return bool(is_written or not is_there)


# --- What may be kept of what a stranger wrote ---------------------------------------------------


def _example(one: Deviation) -> str:
    """An example without what opens something or names a driver, whatever the caller left in."""
    text = _printable(one.example, "example")
    name = one.path.rpartition(".")[2].removesuffix("[]")
    is_secret = masking.is_secret(name) or (name == "uid" and "evses" not in one.path)
    return masking.hint(text) if is_secret and text else text


def _printable(text: str, column: str) -> str:
    """A text on one line, cut, and without what no column takes."""
    cut = text[: _LONGEST[column]]
    if cut.isprintable():
        return cut
    return "".join(one if one.isprintable() else " " for one in cut)
