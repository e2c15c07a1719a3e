"""Threads are shared out platform by platform: one that asks for much takes them from nobody."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from hub.db.django_threads import DjangoThreads
from hub.fairness.lanes import HUB, Behalf, Lane, behalf
from hub.fairness.turns import Turns

A, B, C = (Behalf(platform, Lane.FORWARD) for platform in (1, 2, 3))


def in_loop(work: Coroutine[Any, Any, None]) -> None:
    """Turns live in an event loop."""
    asyncio.run(work)


def taken(turns: Turns, whose: Behalf, number: int) -> list[bool]:
    """Which of so many get a place at once."""
    return [turns.take(whose) is None for _ in range(number)]


def test_one_platform_never_has_all_places():
    async def work() -> None:
        turns = Turns(8)
        results = Behalf(1, Lane.RESULT)
        assert taken(turns, A, 8) == [True] * 5 + [False] * 3
        assert taken(turns, results, 8) == [True] + [False] * 7
        assert taken(turns, B, 3) == [True, True, False]

    in_loop(work())


def test_lists_never_have_all_places_and_one_platforms_lists_half_of_them():
    async def work() -> None:
        turns = Turns(8)
        reads = [Behalf(platform, Lane.READ) for platform in (1, 2)]
        assert taken(turns, reads[0], 8) == [True] * 4 + [False] * 4
        assert taken(turns, reads[1], 4) == [True] * 2 + [False] * 2
        assert taken(turns, C, 2) == [True, True]

    in_loop(work())


def test_the_only_place_of_a_pool_is_anybodys():
    async def work() -> None:
        turns = Turns(1)
        assert taken(turns, Behalf(1, Lane.READ), 2) == [True, False]
        turns.give_back(Behalf(1, Lane.READ))

    in_loop(work())


def test_the_thousandth_message_of_one_is_behind_the_first_of_every_other():
    async def work() -> None:
        turns = Turns(5)
        order: list[Behalf] = []

        async def wait(whose: Behalf) -> None:
            if (turn := turns.take(whose)) is not None:
                await turns.wait(turn, whose)
            order.append(whose)

        tasks = [asyncio.ensure_future(wait(A)) for _ in range(1003)]
        await asyncio.sleep(0)
        tasks += [asyncio.ensure_future(wait(whose)) for whose in (B, C, B, C)]
        await asyncio.sleep(0)
        assert order == [A, A, A, B, C]
        for whose in (A, A, A):
            turns.give_back(whose)
            await asyncio.sleep(0)
        assert sorted(order[5:]) == [A, B, C]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    in_loop(work())


def test_lanes_of_one_platform_take_turns_too():
    async def work() -> None:
        turns = Turns(4)
        waiting: dict[Lane, list[asyncio.Future[None]]] = {}
        for lane in [Lane.PUSH] * 5 + [Lane.COMMAND, Lane.FORWARD]:
            if (turn := turns.take(Behalf(1, lane))) is not None:
                waiting.setdefault(lane, []).append(turn)
        assert [len(found) for found in waiting.values()] == [3, 1, 1]
        for _ in range(2):
            turns.give_back(Behalf(1, Lane.PUSH))
        assert [found[0].done() for found in waiting.values()] == [True, True, False]
        turns.give_back(Behalf(1, Lane.PUSH))
        assert waiting[Lane.FORWARD][0].done()

    in_loop(work())


def test_who_has_gone_is_passed_over_and_a_place_that_came_too_late_is_given_back():
    async def work() -> None:
        turns = Turns(1)
        assert turns.take(A) is None
        tasks = []
        for whose in (B, C):
            turn = turns.take(whose)
            assert turn is not None
            tasks.append(asyncio.ensure_future(turns.wait(turn, whose)))
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
        turns.give_back(A)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert turns.take(A) is None

    in_loop(work())


@pytest.mark.parametrize("each", [None, 1])
def test_threads_run_for_whom_the_loop_says_and_are_given_back(each):
    async def work() -> None:
        django = DjangoThreads(2, each)
        gate = threading.Barrier(2, timeout=10)

        async def run(platform: int, function: Any) -> Any:
            behalf.set(Behalf(platform, Lane.FORWARD))
            return await django.run(function)

        try:
            first, second = await asyncio.gather(run(1, gate.wait), run(2, gate.wait))
            assert {first, second} == {0, 1}
            for platform in (1, 1, 2):
                assert (await run(platform, behalf.get)).platform == platform
            behalf.set(HUB)
            assert await django.run(behalf.get) == HUB
        finally:
            await asyncio.to_thread(django.close)

    in_loop(work())
