"""Statements of the event loop's own: those of many messages in one round trip and one commit.

A thread for each message that is kept cost more than all the rest of it (docs/decisions/0030). Here
the statements that have come while a connection was busy leave together, prepared and pipelined, as
one transaction; each has its own outcome. One that fails takes none with it: the others of its
batch are sent again, each by itself. None waits for a lock for long; what cannot be done at once is
told to be undone, and goes the way over a thread.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import psycopg
from psycopg import pq

from hub.db.notify import connection_parameters, own_number
from hub.db.sql import numbered
from hub.fairness.lanes import behalf

logger = logging.getLogger(__name__)
Row = tuple[bytes | None, ...]
# Of one web process.
CONNECTIONS: Final = 2
# So many messages share a commit: more would hold their rows for longer than they save.
MOST_OF_A_BATCH: Final = 32
# And so many of those that share it with their like alone: each writes many rows.
MOST_OF_A_KIND: Final = 8
# Those that wait; what comes then goes over a thread, where platforms take turns.
MOST_WAITING: Final = 1_000
# A statement that waits for a lock so long is undone. Only one that inserts ever does.
LOCK_TIMEOUT: Final = "10ms"
# A database that has not answered for so long is away.
ANSWER_SECONDS: Final = 5.0
CONNECT_EVERY: Final = 1.0
# Whatever statistics say: each statement names its rows by an index.
_SETTINGS: Final = (
    f"SET lock_timeout = '{LOCK_TIMEOUT}'",
    "SET statement_timeout = '4s'",
    "SET enable_seqscan = off",
    "SET plan_cache_mode = force_generic_plan",
)
# "cached plan must not change result type": a column has come or gone.
_OUTDATED: Final = "0A000"
_BINARY: Final = 1


class Statement:
    """A statement that is prepared on each connection; to repeat it must do no harm.

    `sql` has its parameters as `%(name)s`; those named in `binary` are bytes, and of those that it
    does not tell by itself the `types` say what they are. `may_wait`: it may wait for another
    transaction, and so shares a commit with none; `shared_by`: only with its like, and with few.
    """

    def __init__(
        self,
        name: str,
        sql: str,
        *,
        binary: Collection[str] = (),
        types: Mapping[str, str] = MappingProxyType({}),
        may_wait: bool = False,
        shared_by: str = "",
    ) -> None:
        self.name = name.encode()
        self.shared_by = shared_by
        self.may_wait = may_wait
        text, self.parameters = numbered(sql)
        told = ", ".join(types.get(one, "unknown") for one in self.parameters)
        self.prepare = f"PREPARE {name} ({told}) AS {text}".encode()
        self.formats = [_BINARY if one in binary else 0 for one in self.parameters]

    def encoded(self, values: Mapping[str, Any]) -> list[bytes | None]:
        """The parameters as PostgreSQL reads them."""
        found = [values[name] for name in self.parameters]
        return [_ENCODERS[type(value)](value) for value in found]


def _array(values: Sequence[str]) -> bytes:
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{{{}}}".format(",".join(f'"{value}"' for value in quoted)).encode()


_ENCODERS: Final[Mapping[type, Callable[[Any], bytes | None]]] = {
    str: str.encode,
    bytes: bytes,
    datetime: lambda moment: moment.isoformat().encode(),
    bool: lambda value: b"t" if value else b"f",
    int: lambda value: b"%d" % value,
    list: _array,
    type(None): lambda _: None,
}


class _Asked:
    """A statement on its way; `outcome` is what it has returned, None where it was not done."""

    __slots__ = ("outcome", "parameters", "rows", "statement", "whose")

    def __init__(
        self,
        statement: Statement,
        parameters: list[bytes | None],
        whose: int,
        outcome: "asyncio.Future[list[Row] | None]",
    ) -> None:
        self.statement = statement
        self.parameters = parameters
        self.whose = whose
        self.outcome = outcome
        self.rows: list[Row] | None = None

    def end(self, rows: list[Row] | None) -> None:
        """Unless nobody waits for it any more."""
        if not self.outcome.done():
            self.outcome.set_result(rows)


class Writer:
    """The connections of a web process's event loop; made in it.

    Until they are there, and while they are lost, nothing is done here.
    """

    def __init__(self, statements: Sequence[Statement], connections: int = CONNECTIONS) -> None:
        self._statements = statements
        self._loop = asyncio.get_running_loop()
        # By platform, so that nobody waits for all of another one's.
        self._waiting: dict[int, deque[_Asked]] = {}
        self._count = 0
        self._idle: list[_Line] = []
        self._open = 0
        self._is_due = False
        self._keeping = [asyncio.create_task(self._keep_open()) for _ in range(connections)]

    @property
    def connections(self) -> int:
        """How many there are just now."""
        return self._open

    def ask(
        self, statement: Statement, values: Mapping[str, Any]
    ) -> "asyncio.Future[list[Row] | None] | None":
        """The rows to come, once they are committed; in PostgreSQL's binary format.

        That of texts is UTF-8, of bytes themselves; all else is to be returned as a text. None, now
        or to come, when it was not done, or nobody knows: then it has to be done on a thread.
        """
        if not self._open or self._count >= MOST_WAITING:
            return None
        asked = _Asked(
            statement,
            statement.encoded(values),
            behalf.get().platform,
            self._loop.create_future(),
        )
        self._waiting.setdefault(asked.whose, deque()).append(asked)
        self._count += 1
        if not self._is_due and self._idle:
            # What comes in the same turn of the loop goes with it.
            self._is_due = True
            self._loop.call_soon(self._send)
        return asked.outcome

    async def run(self, statement: Statement, values: Mapping[str, Any]) -> list[Row] | None:
        """The same, waited for."""
        asked = self.ask(statement, values)
        return None if asked is None else await asked

    async def close(self) -> None:
        """Close the connections; what waits was not done."""
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        self._drop_waiting()

    def _send(self) -> None:
        self._is_due = False
        while self._count and self._idle:
            self._idle.pop().send(self._batch())

    def _batch(self) -> list[_Asked]:
        """Platform by platform; what may wait for somebody is one by itself."""
        first = next(iter(self._waiting.values()))[0].statement
        most = MOST_OF_A_BATCH if not first.shared_by else MOST_OF_A_KIND
        batch: list[_Asked] = []
        passed: dict[int, deque[_Asked]] = {}
        while self._waiting and len(batch) < most:
            whose, asked = next(iter(self._waiting.items()))
            del self._waiting[whose]
            statement = asked[0].statement
            if batch and (statement.may_wait or statement.shared_by != first.shared_by):
                passed[whose] = asked
                continue
            batch.append(asked.popleft())
            self._count -= 1
            if asked:
                self._waiting[whose] = asked
            if first.may_wait:
                break
        # What was passed over is the first of the next one.
        self._waiting = passed | self._waiting
        return batch

    def _drop_waiting(self) -> None:
        waiting, self._waiting, self._count = self._waiting, {}, 0
        for asked in waiting.values():
            for one in asked:
                one.end(None)

    async def _keep_open(self) -> None:
        """One connection, made again whenever it is lost."""
        while True:
            try:
                database = await psycopg.AsyncConnection.connect(
                    autocommit=True, **connection_parameters()
                )
                try:
                    await self._live(database)
                finally:
                    await database.close()
            except psycopg.Error as error:
                logger.warning("messages are kept over threads: %s; trying again", error)
            await asyncio.sleep(CONNECT_EVERY)

    async def _live(self, database: "psycopg.AsyncConnection[Any]") -> None:
        for setting in _SETTINGS:
            await database.execute(setting)
        for statement in self._statements:
            await database.execute(statement.prepare)
        with own_number(database.pgconn.socket) as socket:
            line = _Line(database.pgconn, socket, self._loop, self._ended)
            self._open += 1
            self._ended(line)
            try:
                await line.lost
            finally:
                self._open -= 1
                if line in self._idle:
                    self._idle.remove(line)
                line.close()
                if not self._open:
                    self._drop_waiting()

    def _ended(self, line: "_Line") -> None:
        """A connection has nothing to do."""
        self._idle.append(line)
        self._send()


class _Line:
    """One connection in pipeline mode, with one batch on its way at a time.

    A batch is sent as groups, each of which is one transaction: first all in one.
    """

    def __init__(
        self,
        pgconn: pq.abc.PGconn,
        socket: int,
        loop: asyncio.AbstractEventLoop,
        ended: "Callable[[_Line], None]",
    ) -> None:
        self._pgconn = pgconn
        self._loop = loop
        self._ended = ended
        self._groups: deque[list[_Asked]] = deque()
        self._answered = 0
        self._result: pq.abc.PGresult | None = None
        self._failed: str | None = None
        self._again: list[_Asked] = []
        self._limit: asyncio.TimerHandle | None = None
        self._is_writing = False
        # Done when the connection is of no use any more.
        self.lost: asyncio.Future[None] = loop.create_future()
        pgconn.nonblocking = 1
        pgconn.enter_pipeline_mode()
        self._socket = socket
        loop.add_reader(self._socket, self._guarded, self._read)

    def send(self, batch: list[_Asked]) -> None:
        """Begin a batch: one transaction."""
        self._limit = self._loop.call_later(ANSWER_SECONDS, self._lose, "no answer")
        self._guarded(partial(self._send, [batch]))

    def close(self) -> None:
        """Whatever is on its way was not done, as far as anybody knows."""
        self._loop.remove_reader(self._socket)
        if self._is_writing:
            self._loop.remove_writer(self._socket)
        if self._limit is not None:
            self._limit.cancel()
        groups, self._groups = self._groups, deque()
        for asked in (*(one for group in groups for one in group), *self._again):
            asked.end(None)

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_exception(psycopg.OperationalError(reason))

    def _guarded(self, work: Callable[[], None]) -> None:
        """libpq raises where the connection has broken."""
        if self.lost.done():
            return
        try:
            work()
        except psycopg.Error as error:
            self._lose(str(error).strip())

    def _send(self, groups: Sequence[list[_Asked]]) -> None:
        pgconn = self._pgconn
        self._groups.extend(groups)
        for group in groups:
            for asked in group:
                statement = asked.statement
                pgconn.send_query_prepared(
                    statement.name, asked.parameters, statement.formats, result_format=_BINARY
                )
            pgconn.pipeline_sync()
        self._flush()

    def _flush(self) -> None:
        is_left = bool(self._pgconn.flush())
        if is_left and not self._is_writing:
            self._loop.add_writer(self._socket, self._guarded, self._flush)
        elif self._is_writing and not is_left:
            self._loop.remove_writer(self._socket)
        self._is_writing = is_left

    def _read(self) -> None:
        pgconn = self._pgconn
        pgconn.consume_input()
        if self._is_writing:
            self._flush()
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                if self._result is not None:
                    self._take(self._result)
                    self._result = None
                elif not self._groups:
                    return
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                self._group_has_ended()
            else:
                self._result = result

    def _take(self, result: pq.abc.PGresult) -> None:
        """What one statement of the first group has returned; the others of it follow."""
        group = self._groups[0]
        if self._answered == len(group):
            self._failed = _error(result)[0]  # The commit itself.
            return
        asked = group[self._answered]
        self._answered += 1
        if result.status == pq.ExecStatus.TUPLES_OK:
            rows, columns = range(result.ntuples), range(result.nfields)
            asked.rows = [
                tuple(result.get_value(row, column) for column in columns) for row in rows
            ]
        elif result.status == pq.ExecStatus.COMMAND_OK:
            asked.rows = []
        else:
            asked.rows = None
            if result.status == pq.ExecStatus.FATAL_ERROR:
                self._has_failed(asked, result)

    def _has_failed(self, asked: _Asked, result: pq.abc.PGresult) -> None:
        self._failed, message = _error(result)
        logger.info("%s goes over a thread: %s", asked.statement.name.decode(), message)
        asked.end(None)
        if self._failed in {_OUTDATED, ""}:
            self._lose(message)

    def _group_has_ended(self) -> None:
        """Committed; or, where one has failed, nothing of it was done."""
        group = self._groups.popleft()
        is_whole = self._answered == len(group) and self._failed is None
        self._answered, self._failed = 0, None
        if is_whole:
            for asked in group:
                asked.end(asked.rows)
        else:
            self._again += [asked for asked in group if not asked.outcome.done()]
        if self._groups:
            return
        again, self._again = self._again, []
        if again and len(group) > 1:
            self._send([[asked] for asked in again])
            return
        for asked in again:
            asked.end(None)
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        if not self.lost.done():
            self._ended(self)


def _error(result: pq.abc.PGresult) -> tuple[str, str]:
    """SQLSTATE and message; without the parameters, which may name a driver."""
    state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
    message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b""
    return state.decode(), message.decode("utf-8", "replace")
