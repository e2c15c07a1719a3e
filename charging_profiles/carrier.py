"""Carries profile commands to their CPOs: one event loop, many calls open at once.

Each worker of profiles has one that never ends. A command is claimed by a lease on its row, so any
number of carriers may be at work; whoever writes a row notifies them, and they look each second.
"""

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import psycopg
import uvloop
from django.conf import settings

from charging_profiles import order
from charging_profiles.models import CommandState, ProfileCommand, Said
from charging_profiles.objects import ChargingProfileResponse, ChargingProfileResponseType
from hub.db import leases, sql
from hub.db.django_threads import DjangoThreads
from hub.db.leases import Lease
from hub.db.notify import connection_parameters
from hub.ocpi import envelope, headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, HubError
from hub.ocpi.party import PartyId
from hub.ocpi.results import CommandAnswer, answer_of
from hub.outbound.message import Message
from hub.outbound.platform_calls import AsyncCaller, LeaseEnded, NotArrived, Response
from hub.parties import still_alive, token_forms
from hub.record.note import Kind
from hub.routing.directory import Directory, PlatformEntry, holder
from hub.workers.pulse import pulse
from sessions import flexibility
from sessions.models import Session

logger = logging.getLogger(__name__)
# Seconds between two attempts to connect.
PAUSE = 0.2
# A lease that is older than these seconds is renewed before a command leaves under it.
ASK_AGAIN = 0.1
# A carrier that hears of nothing looks this often, in seconds.
LOOK_EVERY = 1.0


_FIELDS: Final = [field.attname for field in ProfileCommand._meta.concrete_fields]
_REJECTED: Final = ChargingProfileResponse(ChargingProfileResponseType.REJECTED, timeout=0)


class _Replaced(Exception):
    """Another command of its session has ended it before it left; its sender has been told."""


class _Outdated(Exception):
    """The assignment under which it was given has ended before it left."""


class _NotTaken(ConnectionProblem):
    """The CPO has certainly not acted on it."""


class _Turn(NamedTuple):
    """Under which lease a command leaves, and until when (leases.clock()); or that it must not."""

    lease: Lease
    until: float
    is_current: bool


class Carrier:
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

    async def run(self) -> None:
        """Carry until it is stopped."""
        self._django = DjangoThreads(1)
        self._outbound = AsyncCaller()
        try:
            async with await _connection() as self._database:
                await self._database.execute(f"{sql.BY_INDEX}; SET synchronous_commit = off")
                await self._django.run(holder.current)
                async with asyncio.TaskGroup() as group:
                    renewing = group.create_task(self._renew_leases())
                    await self._carry_all(group)
                    while self._claimed:
                        await asyncio.wait([task for _, task in self._claimed.values()])
                    await _cancelled(renewing)
        finally:
            self._outbound.close()
            await asyncio.to_thread(self._django.close)

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(leases.RENEW_EVERY)
            await self._renew({pk: lease for pk, (lease, _) in self._claimed.items()})

    async def _renew(self, held: Mapping[int, Lease]) -> None:
        """Ask the database whether these are still ours, and keep them so."""
        if not held:
            return
        asked = leases.clock()
        fences = [lease.fence for lease in held.values()]
        renewed = {pk for (pk,) in await self._run(_RENEW, {"held": list(held), "fences": fences})}
        for pk, lease in held.items():
            if pk in renewed:
                lease.asked = asked
            else:
                lease.end()

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
            directory = await self._django.run(holder.refresh)
        for *row, left, is_current, _, _ in sorted(found):
            command = ProfileCommand.from_db(None, _FIELDS, row)
            lease = Lease(command.fence, asked)
            if command.pk in self._claimed:
                # Still at work on it, though its lease could not be renewed in time.
                held = self._claimed[command.pk][0]
                held.fence, held.asked = lease.fence, lease.asked
                continue
            carrying = self._carry(command, _Turn(lease, asked + left, is_current), directory)
            self._at_cpo[command.cpo_platform_id] += 1
            self._claimed[command.pk] = lease, group.create_task(carrying)

    async def _leased(self) -> list[tuple[Any, ...]]:
        """The rows of `CLAIM`, which says what they have."""
        most = settings.PROFILE_CALLS_PER_RECEIVER
        busy = {"cpos": list(self._at_cpo), "open": list(self._at_cpo.values()), "most": most}
        try:
            return await self._run(CLAIM, busy)
        except psycopg.errors.UniqueViolation:
            # Another carrier has just sent a command of the same session: look again, and see it.
            self._to_look.set()
            return []

    async def _carry(self, command: ProfileCommand, turn: _Turn, directory: Directory) -> None:
        """Send a command, and record what came of it."""
        fence = turn.lease.fence
        try:
            said = await self._said(command, turn, directory)
            changed = await self._run(*command.answered(said, turn.lease))
            order.tell(changed)
            if any(is_waited_for for *_, is_waited_for in changed):
                self._to_look.set()
        except _Replaced:
            logger.info("profile command %s was replaced before it left", command.pk)
        except LeaseEnded as error:
            logger.warning("profile command %s is left to another carrier: %s", command.pk, error)
            await self._run(_GIVE_BACK, _mine(command, fence))
        except psycopg.Error:
            raise  # Without its database this carrier can do nothing.
        except Exception:
            # This concerns one command: whoever looks next tries again.
            logger.exception("profile command %s could not be carried", command.pk)
            await self._run(_RELEASE, _mine(command, fence))
        finally:
            self._give_up_place(command)

    def _give_up_place(self, command: ProfileCommand) -> None:
        cpo = command.cpo_platform_id
        del self._claimed[command.pk]
        if self._at_cpo[cpo] >= settings.PROFILE_CALLS_PER_RECEIVER:
            self._to_look.set()  # Others may wait for this place.
        self._at_cpo[cpo] -= 1
        if not self._at_cpo[cpo]:
            del self._at_cpo[cpo]

    async def _said(self, command: ProfileCommand, turn: _Turn, directory: Directory) -> Said:
        """Send a command; return what came of it."""
        try:
            if not turn.is_current:
                raise _Outdated
            response = await self._call(command, turn, directory)
        except _Outdated:
            why = f"{command.fsp} is not the flexibility provider of this session any more."
            body = envelope.success(_REJECTED, why)
            return Said(CommandState.SUPERSEDED, 200, body, problem=why, is_unsent=True)
        except ForwardTimeout as error:
            return Said(CommandState.TIMED_OUT, problem=error.told)
        except LeaseEnded:
            raise
        except HubError as error:
            is_unsent = isinstance(error, (NotArrived, _NotTaken))
            return Said(CommandState.UNREACHABLE, problem=error.told, is_unsent=is_unsent)
        said = _said_by(command, response)
        is_accepted_put = said.state == CommandState.ACCEPTED and command.method == "PUT"
        if is_accepted_put and not command.epoch and command.session_id is not None:
            await self._django.run(_put_accepted, command.session_id, command.fsp)
        return said

    async def _call(self, command: ProfileCommand, turn: _Turn, directory: Directory) -> Response:
        """Call the CPO, and once more where it takes the token only in its other form."""
        platform = directory.platforms.get(command.cpo_platform_id)
        if platform is None or not platform.is_registered:
            raise _NotTaken(f"{command.cpo} is not connected.")

        message = _message(command, platform)

        async def send(authorization: str) -> Response:
            return await self._send(command, turn, message, authorization)

        response = await token_forms.sent(platform, send, self._django.run)
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise _NotTaken(f"{command.cpo} refuses the hub's credentials.")
        return response

    async def _send(
        self,
        command: ProfileCommand,
        turn: _Turn,
        message: Message,
        authorization: str,
    ) -> Response:
        """Call it, again and again while the CPO certainly did not get it and the sender waits."""
        # Refused connections are tried again for at most as long as a new one would take.
        give_up = leases.clock() + settings.CONNECT_TIMEOUT
        while True:
            if leases.clock() - turn.lease.asked > ASK_AGAIN:
                await self._renew({command.pk: turn.lease})
            left = turn.until - leases.clock()
            if left <= 0:
                raise ForwardTimeout(f"{command.cpo} did not answer in time.")
            try:
                return await message.send(
                    self._outbound, authorization, seconds=left, only_once=True, lease=turn.lease
                )
            except NotArrived:
                await self._has_not_left(command, turn.lease)
                if leases.clock() + PAUSE > give_up:
                    await self._django.run(still_alive.queue_check, command.cpo_platform_id)
                    raise
                await asyncio.sleep(PAUSE)
                await self._leaves(command, turn.lease)

    async def _has_not_left(self, command: ProfileCommand, lease: Lease) -> None:
        """It certainly did not arrive: a newer one goes before it, and ends it (_Replaced)."""
        if command.method == "GET":
            return
        found = await self._run(_NOT_LEFT, _mine(command, lease.fence))
        if found and found[0][0]:
            order.tell(await self._run(order.replaced(order.OF_LANE), {"lane": command.lane}))
            self._to_look.set()
            raise _Replaced
        if not found:
            raise _Replaced

    async def _leaves(self, command: ProfileCommand, lease: Lease) -> None:
        """Note that it may be at the CPO from now on, unless it is _Replaced or _Outdated."""
        if command.method == "GET":
            return
        try:
            found = await self._run(_LEAVES, _mine(command, lease.fence))
        except psycopg.errors.UniqueViolation:
            found = []
            order.tell(await self._run(order.replaced(order.OF_LANE), {"lane": command.lane}))
        if not found:
            raise _Replaced
        if not found[0][0]:
            raise _Outdated

    async def _run(self, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
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
_RENEW = f"""
    UPDATE ocpi_charging_profiles_profilecommand AS command SET {leases.RENEWED}
    FROM unnest(%(held)s::bigint[], %(fences)s::bigint[]) AS held (id, fence)
    WHERE command.id = held.id AND command.fence = held.fence
    RETURNING command.id
"""  # noqa: S608 - names of ours
_NOT_LEFT = f"""
    UPDATE ocpi_charging_profiles_profilecommand AS command SET sent_at = NULL
    WHERE id = %(id)s AND fence = %(fence)s AND state = 'SENDING'
    RETURNING EXISTS (
        SELECT FROM ocpi_charging_profiles_profilecommand AS newer
        WHERE newer.lane = command.lane AND newer.method <> 'GET' AND newer.id <> command.id
          AND {order.replaces("newer", "command")}), {sql.DURABLE}
"""  # noqa: S608 - names of ours
_LEAVES = f"""
    UPDATE ocpi_charging_profiles_profilecommand AS command
    SET sent_at = CASE WHEN {order.is_current("command")} THEN {leases.NOW} END
    WHERE id = %(id)s AND fence = %(fence)s AND state = 'SENDING'
    RETURNING sent_at IS NOT NULL, {sql.DURABLE}
"""  # noqa: S608 - names of ours
# For a lease that has ended before a byte has left.
_GIVE_BACK = f"""
    UPDATE ocpi_charging_profiles_profilecommand
    SET state = 'WAITING', sent_at = NULL, {leases.RELEASED}
    WHERE id = %(id)s AND fence = %(fence)s AND state = 'SENDING' RETURNING {sql.DURABLE}
"""  # noqa: S608 - names of ours
_RELEASE = f"""
    UPDATE ocpi_charging_profiles_profilecommand SET {leases.RELEASED}
    WHERE id = %(id)s AND fence = %(fence)s
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
                await self._carrier.run()
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


def _put_accepted(session_id: int, fsp: PartyId) -> None:
    """Say that the CPO has accepted a PUT of one that was not FSP when it came (epoch 0).

    One of those that asked is FSP from now on: what others asked for and has not left is ended.
    """
    session = Session.objects.filter(pk=session_id).first()
    chosen = None if session is None else flexibility.current().put_accepted(session, fsp)
    if session is not None and chosen is not None:
        why = f"{chosen} has become the flexibility provider of this session meanwhile."
        order.end_outdated(session.pk, why)


def _mine(command: ProfileCommand, fence: int) -> dict[str, int]:
    return {"id": command.pk, "fence": fence}


def _said_by(command: ProfileCommand, response: Response) -> Said:
    """What a CPO's own answer means for the command."""
    answer = _read(response)
    said = Said(CommandState.REFUSED, response.status, response.body)
    if answer is not None:
        said = said._replace(timeout=answer.timeout)
        if answer.result == ChargingProfileResponseType.ACCEPTED:
            said = said._replace(state=CommandState.ACCEPTED)
    problem = ""
    if not envelope.is_object(response.body):
        problem = f"{command.cpo} answered HTTP {response.status} with something that is not OCPI."
    elif answer is None and _is_success(response):
        # It may have taken it all the same: what follows is verified (docs/decisions/0028).
        said = said._replace(state=CommandState.NO_RESULT)
        problem = (
            f"{command.cpo} answered OCPI {response.said.status_code} without the `result` "
            "that a ChargingProfileResponse must have: nobody knows whether it has accepted it."
        )
    if not problem:
        return said
    return said._replace(body=envelope.failure(HubError(problem)), problem=problem)


def _message(command: ProfileCommand, platform: PlatformEntry) -> Message:
    sender = command.fsp_country_code, command.fsp_party_id
    receiver = command.cpo_country_code, command.cpo_party_id
    return Message(
        kind=Kind.COMMAND,
        method=command.method,
        url=command.path,
        platform=platform,
        module="chargingprofiles",
        role=InterfaceRole.RECEIVER,
        path=quote(command.session_id_sent, safe=""),
        routing=headers.routing(sender, receiver),
        correlation_id=command.correlation_id,
        body=bytes(command.body),
    )


def _is_success(response: Response) -> bool:
    return response.status < HTTPStatus.MULTIPLE_CHOICES and response.said.is_success


def _read(response: Response) -> CommandAnswer | None:
    """The ChargingProfileResponse; None where the answer has none."""
    return answer_of(bytes(response.said.data)) if _is_success(response) else None
