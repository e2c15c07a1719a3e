"""How a profile command is sent to its CPO, by whoever has claimed it (mod_charging_profiles).

A loop of a worker (carrier.py), or the web process that has taken it (at_once.py). In which order
the commands of a session leave: order.py.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import psycopg
from django.conf import settings
from django.db.utils import IntegrityError

from charging_profiles import order
from charging_profiles.models import CommandState, ProfileCommand, Said
from charging_profiles.objects import ChargingProfileResponse, ChargingProfileResponseType
from hub.db import leases, sql
from hub.db.django_threads import DjangoThreads
from hub.db.leases import Lease
from hub.ocpi import envelope, headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, HubError
from hub.ocpi.party import PartyId
from hub.ocpi.results import CommandAnswer, answer_of
from hub.outbound.message import Message
from hub.outbound.platform_calls import AsyncCaller, LeaseEnded, NotArrived, Response
from hub.parties import still_alive, token_forms
from hub.record.note import Kind
from hub.routing.directory import Directory, PlatformEntry
from sessions import flexibility
from sessions.models import Session

logger = logging.getLogger(__name__)
# Seconds between two attempts to connect.
PAUSE = 0.2
# A lease that is older than these seconds is renewed before a command leaves under it.
ASK_AGAIN = 0.1
_REJECTED: Final = ChargingProfileResponse(ChargingProfileResponseType.REJECTED, timeout=0)
Rows = list[tuple[Any, ...]]


class _Replaced(Exception):
    """Another command of its session has ended it before it left; its sender has been told."""


class _Outdated(Exception):
    """The assignment under which it was given has ended before it left."""


class _NotTaken(ConnectionProblem):
    """The CPO has certainly not acted on it."""


class Turn(NamedTuple):
    """Under which lease a command leaves, and until when (leases.clock()); or that it must not."""

    lease: Lease
    until: float
    is_current: bool = True


class Sending(ABC):
    """Sends commands over `outbound`; `django` has threads for what is rare."""

    outbound: AsyncCaller
    django: DjangoThreads

    @abstractmethod
    async def run(self, query: str, parameters: Mapping[str, Any]) -> Rows:
        """The rows that a statement returns."""

    @abstractmethod
    async def keep(self, command: ProfileCommand, said: Said, lease: Lease) -> bool:
        """Keep what came of it; False where it is somebody else's by now."""

    @abstractmethod
    async def others_may_go(self) -> None:
        """Another command may leave: let somebody look for it."""

    async def carry(self, command: ProfileCommand, turn: Turn, directory: Directory) -> Said | None:
        """Send a command, and keep what came of it; None where that is for somebody else."""
        try:
            said = await self._said(command, turn, directory)
            return said if await self.keep(command, said, turn.lease) else None
        except _Replaced:
            logger.info("profile command %s was replaced before it left", command.pk)
        except LeaseEnded as error:
            logger.warning("profile command %s is left to another carrier: %s", command.pk, error)
            await self.run(_GIVE_BACK, _mine(command, turn.lease))
        except psycopg.Error:
            raise  # Without its database a carrier can do nothing.
        except Exception:
            # This concerns one command: whoever looks next tries again.
            logger.exception("profile command %s could not be carried", command.pk)
            await self.run(_RELEASE, _mine(command, turn.lease))
        return None

    async def renew(self, held: Mapping[int, Lease]) -> None:
        """Ask the database whether these are still ours, and keep them so."""
        if not held:
            return
        asked = leases.clock()
        fences = [lease.fence for lease in held.values()]
        renewed = {pk for (pk,) in await self.run(RENEW, {"held": list(held), "fences": fences})}
        for pk, lease in held.items():
            if pk in renewed:
                lease.asked = asked
            else:
                lease.end()

    async def _said(self, command: ProfileCommand, turn: Turn, directory: Directory) -> Said:
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
            await self.django.run(put_accepted, command.session_id, command.fsp)
        return said

    async def _call(self, command: ProfileCommand, turn: Turn, directory: Directory) -> Response:
        """Call the CPO, and once more where it takes the token only in its other form."""
        platform = directory.platforms.get(command.cpo_platform_id)
        if platform is None or not platform.is_registered:
            raise _NotTaken(f"{command.cpo} is not connected.")

        message = _message(command, platform)

        async def send(authorization: str) -> Response:
            return await self._send(command, turn, message, authorization)

        response = await token_forms.sent(platform, send, self.django.run)
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise _NotTaken(f"{command.cpo} refuses the hub's credentials.")
        return response

    async def _send(
        self,
        command: ProfileCommand,
        turn: Turn,
        message: Message,
        authorization: str,
    ) -> Response:
        """Call it, again and again while the CPO certainly did not get it and the sender waits."""
        # Refused connections are tried again for at most as long as a new one would take.
        give_up = leases.clock() + settings.CONNECT_TIMEOUT
        while True:
            if leases.clock() - turn.lease.asked > ASK_AGAIN:
                await self.renew({command.pk: turn.lease})
            left = turn.until - leases.clock()
            if left <= 0:
                raise ForwardTimeout(f"{command.cpo} did not answer in time.")
            try:
                return await message.send(
                    self.outbound, authorization, seconds=left, only_once=True, lease=turn.lease
                )
            except NotArrived:
                await self._has_not_left(command, turn.lease)
                if leases.clock() + PAUSE > give_up:
                    await self.django.run(still_alive.queue_check, command.cpo_platform_id)
                    raise
                await asyncio.sleep(PAUSE)
                await self._leaves(command, turn.lease)

    async def _has_not_left(self, command: ProfileCommand, lease: Lease) -> None:
        """It certainly did not arrive: a newer one goes before it, and ends it (_Replaced)."""
        if command.method == "GET":
            return
        found = await self.run(_NOT_LEFT, _mine(command, lease))
        if found and found[0][0]:
            order.tell(await self.run(order.replaced(order.OF_LANE), {"lane": command.lane}))
            await self.others_may_go()
            raise _Replaced
        if not found:
            raise _Replaced

    async def _leaves(self, command: ProfileCommand, lease: Lease) -> None:
        """Note that it may be at the CPO from now on, unless it is _Replaced or _Outdated."""
        if command.method == "GET":
            return
        try:
            found = await self.run(_LEAVES, _mine(command, lease))
        except (psycopg.errors.UniqueViolation, IntegrityError):
            found = []
            order.tell(await self.run(order.replaced(order.OF_LANE), {"lane": command.lane}))
        if not found:
            raise _Replaced
        if not found[0][0]:
            raise _Outdated


RENEW = f"""
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


def put_accepted(session_id: int, fsp: PartyId) -> None:
    """Say that the CPO has accepted a PUT of one that was not FSP when it came (epoch 0).

    One of those that asked is FSP from now on: what others asked for and has not left is ended.
    """
    session = Session.objects.filter(pk=session_id).first()
    chosen = None if session is None else flexibility.current().put_accepted(session, fsp)
    if session is not None and chosen is not None:
        why = f"{chosen} has become the flexibility provider of this session meanwhile."
        order.end_outdated(session.pk, why)


def _mine(command: ProfileCommand, lease: Lease) -> dict[str, int]:
    return {"id": command.pk, "fence": lease.fence}


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
