"""Carries profile commands to their CPOs: one event loop, many calls open at once.

Each worker of profiles has one that never ends. It carries what no web process has taken
(at_once.py), or has taken and left by dying. A command is claimed by a lease on its row, so any
number of carriers may be at work; whoever leaves a row to them notifies them, and they look each
second.
"""

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import psycopg
import uvloop
from django.conf import settings

from charging_profiles import order
from charging_profiles.models import ProfileCommand, Said
from charging_profiles.sending import Rows, Sending, Turn
from hub.db import leases, sql
from hub.db.django_threads import DjangoThreads
from hub.db.leases import Lease
from hub.db.notify import connection_parameters
from hub.outbound.platform_calls import AsyncCaller
from hub.routing.directory import Directory, holder
from hub.workers.pulse import pulse

logger = logging.getLogger(__name__)
# A carrier that hears of nothing looks this often, in seconds.
LOOK_EVERY = 1.0
_FIELDS: Final = [field.attname for field in ProfileCommand._meta.concrete_fields]


class Carrier(Sending):
    """What one event loop carries."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_stopping = False
        self._to_look = asyncio.Event()
        # What is claimed, and how much of it is at each CPO: one that hangs must not take all.
        self._claimed: dict[int, tuple[Lease, asyncio.Task[None]]] = {}
        self._at_cpo: dict[int, int] = defaultdict(int)

    def look(self) -> None:
        """From any thread: there may be commands that nobody has notified."""
        with suppress(RuntimeError):  # Its loop is closed: it has ended.
            self._loop.call_soon_threadsafe(self._to_look.set)

    def stop(self) -> None:
        """From any thread: end when what is under way has ended."""
        self._is_stopping = True
        self.look()

    async def live(self) -> None:
        """Carry until it is stopped."""
        self.django = DjangoThreads(1)
        self.outbound = AsyncCaller()
        try:
            async with await _connection() as self._database:
                await self._database.execute(f"{sql.BY_INDEX}; SET synchronous_commit = off")
                await self.django.run(holder.current)
                async with asyncio.TaskGroup() as group:
                    renewing = group.create_task(self._renew_leases())
                    await self._carry_all(group)
                    while self._claimed:
                        await asyncio.wait([task for _, task in self._claimed.values()])
                    await _cancelled(renewing)
        finally:
            self.outbound.close()
            await asyncio.to_thread(self.django.close)

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(leases.RENEW_EVERY)
            await self.renew({pk: lease for pk, (lease, _) in self._claimed.items()})

    async def _carry_all(self, group: asyncio.TaskGroup) -> None:
        while not self._is_stopping:
            self._to_look.clear()
            await self._claim(group)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._to_look.wait()

    async def _claim(self, group: asyncio.TaskGroup) -> None:
        """Lease what may leave, as much as each CPO has places, and begin to carry it."""
        asked = leases.clock()
        found = await self._leased()
        if not found:
            return
        directory = holder.snapshot
        if found[0][-1] > directory.version:
            # `holder.current` may be too old: perhaps a party has just come.
            directory = await self.django.run(holder.refresh)
        for *row, left, is_current, _, _ in sorted(found):
            command = ProfileCommand.from_db(None, _FIELDS, row)
            lease = Lease(command.fence, asked)
            if command.pk in self._claimed:
                # Still at work on it, though its lease could not be renewed in time.
                held = self._claimed[command.pk][0]
                held.fence, held.asked = lease.fence, lease.asked
                continue
            carrying = self._carry_one(command, Turn(lease, asked + left, is_current), directory)
            self._at_cpo[command.cpo_platform_id] += 1
            self._claimed[command.pk] = lease, group.create_task(carrying)

    async def _leased(self) -> list[tuple[Any, ...]]:
        """The rows of `CLAIM`, which says what they have."""
        most = settings.PROFILE_CALLS_PER_RECEIVER
        busy = {"cpos": list(self._at_cpo), "open": list(self._at_cpo.values()), "most": most}
        try:
            return await self.run(CLAIM, busy)
        except psycopg.errors.UniqueViolation:
            # Another carrier has just sent a command of the same session: look again, and see it.
            self._to_look.set()
            return []

    async def _carry_one(self, command: ProfileCommand, turn: Turn, directory: Directory) -> None:
        try:
            await self.carry(command, turn, directory)
        finally:
            self._give_up_place(command)

    async def keep(self, command: ProfileCommand, said: Said, lease: Lease) -> bool:
        """In one statement, which tells the request that waits for it."""
        changed = await self.run(*command.answered(said, lease))
        order.tell(changed)
        if any(is_waited_for for *_, is_waited_for in changed):
            self._to_look.set()
        return bool(changed)

    async def others_may_go(self) -> None:
        """This one looks itself."""
        self._to_look.set()

    def _give_up_place(self, command: ProfileCommand) -> None:
        cpo = command.cpo_platform_id
        del self._claimed[command.pk]
        if self._at_cpo[cpo] >= settings.PROFILE_CALLS_PER_RECEIVER:
            self._to_look.set()  # Others may wait for this place.
        self._at_cpo[cpo] -= 1
        if not self._at_cpo[cpo]:
            del self._at_cpo[cpo]

    async def run(self, query: str, parameters: Mapping[str, Any]) -> Rows:
        """Over a raw cursor: the statements are long."""
        text, names = sql.numbered(query)
        async with psycopg.AsyncRawCursor(self._database) as cursor:
            values = [parameters[name] for name in names]
            await cursor.execute(text, values, prepare=True, binary=True)
            # `description` would say the same, and make an object of each column for it.
            return await cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []


# A row is free when nobody has it, or who had it is dead; but what may have left is never sent
# again by another (order.py). Who claims one sends it at once: as many as the CPO has places here.
CLAIM = f"""
    WITH candidate AS MATERIALIZED (
        SELECT id, cpo_platform_id,
               row_number() OVER (PARTITION BY cpo_platform_id ORDER BY id) AS place
        FROM ocpi_charging_profiles_profilecommand AS command
        WHERE state IN ('WAITING', 'SENDING') AND {leases.free()} AND answer_by > {leases.NOW}
          AND {order.may_leave()}
    )
    UPDATE ocpi_charging_profiles_profilecommand AS command
    SET state = 'SENDING', {leases.TAKEN}, attempts = attempts + 1,
        sent_at = CASE WHEN before.is_current THEN {leases.NOW} END,
        follows_id = before.id,
        in_force = CASE WHEN before.id IS NULL THEN '' ELSE 'DUE' END
    FROM (
        SELECT command.id AS claimed, {order.is_current("command")} AS is_current, before.*
        FROM ocpi_charging_profiles_profilecommand AS command
        JOIN candidate USING (id)
        LEFT JOIN unnest(%(cpos)s::bigint[], %(open)s::int[]) AS busy (cpo, open)
             ON busy.cpo = candidate.cpo_platform_id
        LEFT JOIN LATERAL (
            SELECT CASE WHEN is_doubtful THEN id END AS id
            FROM ({order.BEFORE}) AS before WHERE command.method <> 'GET'
        ) AS before ON true
        WHERE place + coalesce(busy.open, 0) <= %(most)s AND {leases.free("command")}
          AND command.state IN ('WAITING', 'SENDING')
          AND (command.method = 'GET' OR command.sent_at IS NULL)
        FOR UPDATE OF command SKIP LOCKED
    ) AS before
    WHERE command.id = before.claimed
    RETURNING {sql.columns(ProfileCommand, "command")},
              extract(epoch FROM answer_by - {leases.NOW})::float8,
              before.is_current,
              CASE WHEN command.method <> 'GET' THEN {sql.DURABLE} END,
              (SELECT max(version) FROM hub_directoryversion)
"""  # noqa: S608 - names of ours


class Carrying:
    """The permanent loop of a worker of profiles."""

    def __init__(self) -> None:
        self._is_stopping = threading.Event()
        self._carrier: Carrier | None = None

    def run(self) -> None:
        """Carry what waits and what comes, until it is stopped; without the database, later."""
        while not self._is_stopping.is_set():
            try:
                uvloop.run(self._carry())
            except* psycopg.Error as errors:
                logger.warning("commands wait for the database: %s", errors.exceptions[0])
                self._is_stopping.wait(LOOK_EVERY)
            except* Exception:
                # The boundary of this thread: without it the process would live and carry nothing.
                logger.exception("the carrier of this process failed; beginning again")
                self._is_stopping.wait(LOOK_EVERY)

    async def _carry(self) -> None:
        self._carrier = Carrier()
        if self._is_stopping.is_set():
            return
        try:
            with pulse.of_this_loop("profiles"):
                await self._carrier.live()
        finally:
            self._carrier = None

    def look(self) -> None:
        """From any thread: there may be commands that nobody has notified."""
        if (carrier := self._carrier) is not None:
            carrier.look()

    def stop(self) -> None:
        """From any thread: end when what is under way has ended."""
        self._is_stopping.set()
        if (carrier := self._carrier) is not None:
            carrier.stop()


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


async def _connection() -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(autocommit=True, **connection_parameters())
