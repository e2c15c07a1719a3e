"""Counting what was left out of a platform's lists and pushes."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from hub.db import sql

# Noted by one process, until it writes.
MOST_NOTED: Final = 5_000


@dataclass(slots=True)
class _Count:
    pushes: int
    lists: int
    first_at: datetime
    last_at: datetime


# By receiving platform, owner and module.
Key = tuple[int, str, str]
_noted: dict[Key, _Count] = {}
_lock = threading.Lock()


def note(receiver_id: int, owner: str, module: str, *, pushes: int = 0, lists: int = 0) -> None:
    """Count that objects of `owner` ("NL-CPO") were left out for a platform; from any thread."""
    now = timezone.now()
    with _lock:
        count = _noted.get((receiver_id, owner, module))
        if count is None:
            if len(_noted) >= MOST_NOTED:
                return
            count = _noted[receiver_id, owner, module] = _Count(0, 0, now, now)
        count.pushes += pushes
        count.lists += lists
        count.last_at = now


def flush() -> bool:
    """Write what was noted in this process; raises what the database raises, and loses nothing.

    False when a platform's row is held by somebody else: its counts wait for the next time.
    """
    global _noted
    with _lock:
        taken, _noted = _noted, {}
    if not taken:
        return True
    try:
        written = _write(taken)
        taken = {key: one for key, one in taken.items() if key[0] not in written}
        return not taken
    finally:
        _put_back(taken)


def _put_back(taken: Mapping[Key, _Count]) -> None:
    with _lock:
        for key, old in taken.items():
            newer = _noted.setdefault(key, _Count(0, 0, old.first_at, old.last_at))
            newer.pushes += old.pushes
            newer.lists += old.lists
            newer.first_at = min(newer.first_at, old.first_at)


# Sorted, so that two processes never wait for each other; not waiting for a platform's row, which a
# handshake may hold for long.
_WRITE: Final = """
    WITH platform AS MATERIALIZED (
        SELECT id FROM hub_platform WHERE id = ANY(%(receivers)s) ORDER BY id
        FOR KEY SHARE SKIP LOCKED
    ), counted AS (
        INSERT INTO deviations_leftout AS kept
            (receiver_id, owner, module, pushes, lists, first_at, last_at)
        SELECT sent.* FROM unnest(
            %(receiver)s::bigint[], %(owner)s::text[], %(module)s::text[], %(pushes)s::bigint[],
            %(lists)s::bigint[], %(first_at)s::timestamptz[], %(last_at)s::timestamptz[]
        ) AS sent (receiver_id, owner, module, pushes, lists, first_at, last_at)
        JOIN platform ON platform.id = sent.receiver_id
        ORDER BY receiver_id, owner, module
        ON CONFLICT (receiver_id, owner, module) DO UPDATE
        SET pushes = kept.pushes + excluded.pushes, lists = kept.lists + excluded.lists,
            last_at = greatest(kept.last_at, excluded.last_at)
    )
    SELECT wanted.id FROM unnest(%(receivers)s::bigint[]) AS wanted (id)
    WHERE EXISTS (SELECT FROM platform WHERE platform.id = wanted.id)
       OR NOT EXISTS (SELECT FROM hub_platform WHERE hub_platform.id = wanted.id)
"""


def _write(counts: Mapping[Key, _Count]) -> set[int]:
    """The platforms whose counts are written, or that are gone."""
    with transaction.atomic():
        written = sql.run(_WRITE, _columns(counts))
    return {platform_id for (platform_id,) in written}


def _columns(counts: Mapping[Key, _Count]) -> dict[str, list[Any]]:
    return {
        "receivers": sorted({receiver for receiver, _, _ in counts}),
        "receiver": [receiver for receiver, _, _ in counts],
        "owner": [owner for _, owner, _ in counts],
        "module": [module for _, _, module in counts],
        "pushes": [one.pushes for one in counts.values()],
        "lists": [one.lists for one in counts.values()],
        "first_at": [one.first_at for one in counts.values()],
        "last_at": [one.last_at for one in counts.values()],
    }
