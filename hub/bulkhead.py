"""Unanswered messages at each receiver: one that hangs must not fill the hub.

Forwarded messages and profile commands count together in a web process; its event loop and its
threads ask.
"""

import threading

from django.conf import settings

from hub.ocpi.errors import NotTaken


class Bulkhead:
    """How many messages each platform has not answered yet."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}
        self._lock = threading.Lock()

    def take(self, receiver: int) -> None:
        """One more; NotTaken (4003) when the receiver has FORWARDS_PER_RECEIVER."""
        with self._lock:
            unanswered = self._open.get(receiver, 0)
            if unanswered < settings.FORWARDS_PER_RECEIVER:
                self._open[receiver] = unanswered + 1
                return
        raise NotTaken(
            f"The receiver has {unanswered} unanswered messages already; it takes no more now."
        )

    def give_back(self, receiver: int) -> None:
        """One of them is answered, or was given up."""
        with self._lock:
            left = self._open[receiver] - 1
            if left:
                self._open[receiver] = left
            else:
                del self._open[receiver]


# What a web process has sent, by whichever way it goes.
forwards = Bulkhead()
