"""Unanswered messages at each receiver: one that hangs must not fill the hub.

Forwarded messages and profile commands count together in a web process; its event loop and its
threads ask. One sender leaves a quarter of a receiver's places to the others.
"""

import threading

from hub.fairness.lanes import HUB, behalf
from hub.ocpi.errors import HeldBack
from hub.startup.quick_settings import setting


class Bulkhead:
    """How many messages each platform has not answered yet, and whose they are."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}
        self._of_sender: dict[tuple[int, int], int] = {}
        self._lock = threading.Lock()

    def take(self, receiver: int) -> None:
        """One more, on behalf of the sender at work; HeldBack (4003) when there are too many.

        That is FORWARDS_PER_RECEIVER in all, and three quarters of it of one sender.
        """
        most: int = setting("FORWARDS_PER_RECEIVER")
        sender = behalf.get().platform
        pair = sender, receiver
        with self._lock:
            unanswered, of_sender = self._open.get(receiver, 0), self._of_sender.get(pair, 0)
            if unanswered < most and (of_sender < most - most // 4 or sender == HUB.platform):
                self._open[receiver] = unanswered + 1
                self._of_sender[pair] = of_sender + 1
                return
        raise HeldBack(
            f"The receiver has {unanswered} unanswered messages already, {of_sender} of them from "
            "this sender; it takes no more now."
        )

    def give_back(self, receiver: int) -> None:
        """One of them is answered, or was given up; on behalf of the same sender."""
        pair = behalf.get().platform, receiver
        with self._lock:
            left, of_sender = self._open[receiver] - 1, self._of_sender[pair] - 1
            if left:
                self._open[receiver] = left
            else:
                del self._open[receiver]
            if of_sender:
                self._of_sender[pair] = of_sender
            else:
                del self._of_sender[pair]


# What a web process has sent, by whichever way it goes.
forwards = Bulkhead()
