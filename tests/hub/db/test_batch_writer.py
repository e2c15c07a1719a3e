"""Statements of the event loop's own: each has its own outcome (docs/decisions/0030)."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from hub.db.batch_writer import LOCK_TIMEOUT, MOST_OF_A_BATCH, Row, Statement, Writer
from hub.db.notify import connection_parameters
from simulators.testing import PATIENCE

PUT = Statement(
    "put",
    """
    UPDATE written AS kept SET said = %(said)s
    WHERE kept.id = (SELECT id FROM written WHERE id = %(id)s::text FOR UPDATE SKIP LOCKED)
    RETURNING kept.id, kept.xmin::text
    """,
    binary={"said"},
)
# One that waits: no statement of ours does.
WAIT = Statement("wait", "UPDATE written SET said = '' WHERE id = %(id)s::text RETURNING id")
ADD = Statement("add", "INSERT INTO written (id, said) VALUES (%(id)s, '') RETURNING id")
ADD_ALONE = Statement(
    "add_alone",
    "INSERT INTO written (id, said) VALUES (%(id)s, '') ON CONFLICT DO NOTHING RETURNING id",
    may_wait=True,
)
SHOW = Statement("show", "SELECT said FROM written WHERE id = %(id)s::text")
LIMIT = Statement("lock_limit", "SELECT current_setting(%(name)s::text)")
SLOW = Statement("slow", "SELECT pg_sleep(%(seconds)s::float8)::text")
STATEMENTS = (PUT, WAIT, ADD, ADD_ALONE, SHOW, LIMIT, SLOW)
Asked = list[Row] | None


@pytest.fixture(autouse=True)
def _table(django_db_setup, django_db_blocker) -> Iterator[None]:
    """Of the test's own, seen by all connections."""
    with other_connection() as database:
        database.execute("CREATE TABLE written (id text PRIMARY KEY, said bytea NOT NULL)")
        database.execute("INSERT INTO written SELECT n::text, '' FROM generate_series(1, 100) n")
        yield
        database.execute("DROP TABLE written")


@contextmanager
def other_connection(*, autocommit: bool = True) -> Iterator["psycopg.Connection"]:
    with psycopg.connect(autocommit=autocommit, **connection_parameters()) as database:
        yield database


def with_writer(work: Callable[[Writer], Awaitable[object]], connections: int = 1) -> None:
    async def run() -> None:
        writer = Writer(STATEMENTS, connections)
        try:
            async with asyncio.timeout(PATIENCE):
                await until_connected(writer)
                await work(writer)
        finally:
            await writer.close()

    asyncio.run(run())


async def until_connected(writer: Writer) -> None:
    while await writer.run(SHOW, {"id": "1"}) is None:  # noqa: ASYNC110 - it connects by itself
        await asyncio.sleep(0.01)


async def until_asleep() -> None:
    """One of ours has begun, and lasts."""
    asleep = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event = 'PgSleep' AND datname = current_database()"
    )
    with other_connection() as other:
        while other.execute(asleep).fetchall() == [(0,)]:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


def wake() -> None:
    """Its connection ends."""
    with other_connection() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )


def put(writer: Writer, number: int) -> Coroutine[Any, Any, Asked]:
    return writer.run(PUT, {"id": f"{number}", "said": b"\0%d" % number})


def test_those_that_come_together_share_a_commit_and_each_has_its_rows():
    async def work(writer: Writer) -> None:
        found = await asyncio.gather(*(put(writer, n) for n in (*range(1, 21), 999)))
        rows = [rows[0] for rows in found[:-1] if rows]
        assert [one for one, _ in rows] == [b"%d" % n for n in range(1, 21)]
        assert len({version for _, version in rows}) == 1
        assert found[-1] == []
        assert await writer.run(SHOW, {"id": "7"}) == [(b"\x007",)]

    with_writer(work)


def test_more_than_a_batch_is_done_in_several():
    async def work(writer: Writer) -> None:
        found = await asyncio.gather(*(put(writer, n) for n in range(1, 101)))
        versions = [rows[0][1] for rows in found if rows]
        assert len(versions) == 100
        assert max(map(versions.count, versions)) <= MOST_OF_A_BATCH

    with_writer(work)


@pytest.mark.parametrize("bad", [(ADD, {"id": "5"}), (WAIT, {"id": "50"})], ids=["key", "lock"])
def test_one_that_fails_takes_none_with_it(bad, caplog):
    """A duplicate key, or a row that somebody holds, in the middle of a batch."""

    async def work(writer: Writer) -> None:
        asked = [put(writer, n) for n in (1, 2)]
        asked += [writer.run(*bad), *(put(writer, n) for n in (3, 4))]
        first, second, failed, third, fourth = await asyncio.gather(*asked)
        assert failed is None
        assert await writer.run(LIMIT, {"name": "lock_timeout"}) == [(LOCK_TIMEOUT.encode(),)]
        assert all((first, second, third, fourth))
        assert await writer.run(SHOW, {"id": "4"}) == [(b"\x004",)]

    with (
        other_connection(autocommit=False) as holder,
        caplog.at_level("INFO", "hub.db.batch_writer"),
    ):
        holder.execute("SELECT FROM written WHERE id = '50' FOR UPDATE")
        with_writer(work)
    # Not after the time that any statement may take.
    reason = "lock timeout" if bad[0] is WAIT else "duplicate key"
    assert reason in caplog.text


def test_a_row_that_somebody_holds_is_not_waited_for():
    async def work(writer: Writer) -> None:
        held, free = await asyncio.gather(put(writer, 50), put(writer, 51))
        assert (held, bool(free)) == ([], True)

    with other_connection(autocommit=False) as holder:
        holder.execute("SELECT FROM written WHERE id = '50' FOR UPDATE")
        with_writer(work)


def test_a_key_that_somebody_is_just_writing_holds_up_nobody_else():
    async def work(writer: Writer) -> None:
        asked = [put(writer, 1), writer.run(ADD_ALONE, {"id": "new"}), put(writer, 2)]
        first, added, second = await asyncio.gather(*asked)
        assert (bool(first), added, bool(second)) == (True, None, True)
        assert await writer.run(ADD_ALONE, {"id": "other"}) == [(b"other",)]

    with other_connection(autocommit=False) as holder:
        holder.execute("INSERT INTO written VALUES ('new', '')")
        with_writer(work, connections=2)


def test_a_slow_one_leaves_the_other_connection_to_the_others():
    async def work(writer: Writer) -> None:
        slow = asyncio.create_task(writer.run(SLOW, {"seconds": "3.5"}))
        await until_asleep()
        assert await put(writer, 1)
        assert not slow.done()
        wake()
        assert await slow is None

    async def both(writer: Writer) -> None:
        while writer.connections < 2:  # noqa: ASYNC110 - it connects by itself
            await asyncio.sleep(0.01)
        await work(writer)

    with_writer(both, connections=2)


def test_a_lost_connection_is_told_and_made_again():
    async def work(writer: Writer) -> None:
        slow = asyncio.create_task(writer.run(SLOW, {"seconds": "3.5"}))
        await until_asleep()
        waiting = asyncio.create_task(put(writer, 1))
        await asyncio.sleep(0)
        wake()
        assert await slow is None
        assert await waiting is None
        await until_connected(writer)
        assert await put(writer, 1)

    with_writer(work)


def test_what_a_table_has_become_is_prepared_again():
    async def work(writer: Writer) -> None:
        with other_connection() as other:
            other.execute("ALTER TABLE written ALTER said TYPE text USING encode(said, 'escape')")
        await until_connected(writer)
        assert await writer.run(SHOW, {"id": "1"}) == [(b"",)]

    with_writer(work)
