"""Turns that are taken sooner than by the clock: a hint within one process, without the database.

What is told once (sessions/flexibility.py) may ask for a turn; whoever takes it looks at the rows.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

# Seconds between two turns that are asked for.
SOONEST: Final = 0.25
_lock = threading.Lock()
_asked: set[str] = set()
_begun: dict[str, float] = {}
_wakers: list[Callable[[], object]] = []


def ask(task: str) -> None:
    """There is something for a turn: take it soon, where this process takes such turns.

    From any thread and from an event loop, without the database. Elsewhere it comes by the clock.
    """
    with _lock:
        if task in _asked or not _wakers:
            return
        _asked.add(task)
        wakers = list(_wakers)
    for wake in wakers:
        wake()


def wake_by(waker: Callable[[], object]) -> None:
    """Call this when a turn is asked for, until `wake_no_more`."""
    with _lock:
        _wakers.append(waker)


def wake_no_more(waker: Callable[[], object]) -> None:
    """The process takes no more turns by it."""
    with _lock:
        if waker in _wakers:
            _wakers.remove(waker)


def asked_for(timers: Mapping[str, float]) -> list[str]:
    """Those of a process's turns that were asked for, and may begin; they count as begun."""
    now = time.monotonic()
    with _lock:
        found = [one for one in _asked & timers.keys() if now - _begun.get(one, 0.0) >= SOONEST]
        _asked.difference_update(found)
        _begun.update(dict.fromkeys(found, now))
    return found
