"""Ending a call that another thread waits for (hub/outbound/platform_calls.py)."""

import threading
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from hub.ocpi.errors import HubError

T = TypeVar("T")


class HungUp(HubError):
    """Nobody waits for this call any more."""


class HangUp:
    """By which one thread ends the calls of another, at once and wherever they are."""

    def __init__(self) -> None:
        self._is_over = False
        self._call: Future[Any] | None = None
        self._lock = threading.Lock()

    def now(self) -> None:
        """End the call that is open, and those that follow."""
        with self._lock:
            self._is_over = True
            if self._call is not None:
                self._call.cancel()

    def wait(self, call: "Future[T]") -> T:
        """The answer of a call that has been begun; HungUp when it is ended before."""
        with self._lock:
            self._call = call
            if self._is_over:
                call.cancel()
        try:
            return call.result()
        except CancelledError as error:
            raise HungUp("The call was ended before it was answered.") from error
