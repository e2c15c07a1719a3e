"""A time limit for what is waited for once or more in each message: asyncio.timeout for less."""

import asyncio
from types import TracebackType


class Within:
    """`with Within(seconds):` in a task: TimeoutError when the block takes longer.

    It works like asyncio.timeout at a third of its price, and lacks what nobody here needs: it
    cannot be put off, or say whether it is over.
    """

    __slots__ = ("_asked", "_is_over", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task")
        self._task = task
        self._asked = task.cancelling()
        self._is_over = False
        self._timer = asyncio.get_running_loop().call_later(max(0.0, self._seconds), self._end)

    def _end(self) -> None:
        self._is_over = True
        self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._is_over:
            # Whoever else has cancelled the task meanwhile is not kept from it.
            is_ours = self._task.uncancel() <= self._asked
            if is_ours and kind is not None and issubclass(kind, asyncio.CancelledError):
                raise TimeoutError from error
