"""A time limit of ours ends what asyncio's would, and nothing else (hub/outbound/time_limit.py)."""

import asyncio

import pytest

from hub.outbound.time_limit import Within


def test_what_takes_too_long_is_ended_and_what_does_not_goes_on():
    async def work() -> None:
        with Within(5):
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError), Within(0.01):
            await asyncio.sleep(5)
        await asyncio.sleep(0)  # Nothing of it is left.
        with pytest.raises(KeyError), Within(5):
            raise KeyError

    asyncio.run(work())


def test_an_inner_limit_is_not_the_outer_one():
    async def work() -> None:
        with pytest.raises(TimeoutError), Within(0.01), Within(5):
            await asyncio.sleep(5)
        with Within(5), pytest.raises(TimeoutError), Within(0.01):
            await asyncio.sleep(5)

    asyncio.run(work())


def test_who_cancels_the_task_is_not_answered_with_a_time_limit():
    async def limited() -> None:
        with Within(5):
            await asyncio.sleep(5)

    async def work() -> None:
        task = asyncio.create_task(limited())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(work())
