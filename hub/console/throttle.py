"""How often passwords may be tried: by an account from an address, and by an address alone.

No account is ever locked: anybody who knows a name could keep its owner out. The guesser waits.
Each web process counts for itself, in memory; a password that was right is given back.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_KEPT: Final = 10_000
INEXACT: Final = 1e-3  # seconds


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many tries at once; then another one after each pause, in seconds."""

    at_once: int
    pause: float


ACCOUNT: Final = Allowance(at_once=5, pause=60)
ADDRESS: Final = Allowance(at_once=20, pause=20)


class Throttle:
    """May be asked from any thread."""

    def __init__(
        self,
        account: Allowance = ACCOUNT,
        address: Allowance = ADDRESS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account = account
        self._address = address
        self._clock = clock
        # When each key will have all its tries again; who was seen last comes last.
        self._whole_at: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = threading.Lock()

    def try_(self, account: str, address: str) -> float:
        """Take a try: 0.0, or the seconds to wait, and then none was taken."""
        now = self._clock()
        with self._lock:
            keys = self._keys(account, address)
            wait = max(self._wait(key, allowance, now) for key, allowance in keys)
            if wait == 0:
                for key, allowance in keys:
                    whole_at = max(self._whole_at.pop(key, now), now)
                    self._whole_at[key] = whole_at + allowance.pause
                while len(self._whole_at) > MOST_KEPT:
                    self._whole_at.popitem(last=False)
            return wait

    def was_right(self, account: str, address: str) -> None:
        """Give the try back."""
        with self._lock:
            for key, allowance in self._keys(account, address):
                if key in self._whole_at:
                    self._whole_at[key] -= allowance.pause

    def _keys(self, account: str, address: str) -> list[tuple[tuple[str, str], Allowance]]:
        return [((account, address), self._account), (("", address), self._address)]

    def _wait(self, key: tuple[str, str], allowance: Allowance, now: float) -> float:
        wait = self._whole_at.get(key, now) - now - (allowance.at_once - 1) * allowance.pause
        # A sum of moments is inexact by less than that.
        return wait if wait > INEXACT else 0.0
