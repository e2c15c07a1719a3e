"""Commands that the web process which gets them carries itself (mod_charging_profiles, Receiver).

What can leave at once is claimed by the statement that writes it, sent from this event loop, and
its answer goes straight to who asked: no worker wakes up for it, and no notification is sent. Their
order and the lease are those of all commands (order.py, docs/decisions/0042). What has to wait for
another command of its session, and what a process leaves behind that dies, a worker carries.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.db.utils import Error as DatabaseError
from django.http import HttpResponse

from charging_profiles import order
from charging_profiles.models import (
    ADD,
    ADDED,
    ANSWER,
    INSERT,
    IS_WAITED_FOR,
    ONCE,
    REPLACES,
    TELL_CARRIERS,
    CommandState,
    ProfileCommand,
    Said,
)
from charging_profiles.sending import Rows, Sending, Turn
from hub.db import leases, sql
from hub.db.batch_writer import Statement, Writer
from hub.db.django_threads import DjangoThreads
from hub.db.leases import NEXT_FENCE, NOW, UNTIL, Lease
from hub.ocpi.errors import ConnectionProblem, ForwardTimeout
from hub.outbound.platform_calls import AsyncCaller
from hub.routing.directory import holder
from hub.views import JSON, refusal

logger = logging.getLogger(__name__)
_BODIES: Final = frozenset({"body", "answer_body", "result_body"})
_TELL: Final = f"SELECT {TELL_CARRIERS}"
# Written and claimed in one, where it may leave now: nothing else of its session is on its way or
# waits, the outcome of what left before is known, and it is still its FSP's. Of two at the same
# moment one breaks `one_change_on_its_way`. `mine` has what the statements of order.py name.
_IF_FREE: Final = {
    name: f"CASE WHEN (SELECT is_free FROM now) THEN {then} ELSE {otherwise} END"  # noqa: S608
    for name, then, otherwise in (
        ("state", "'SENDING'", "'WAITING'"),
        ("fence", NEXT_FENCE, "0"),
        ("lease_until", UNTIL, "NULL"),
        ("sent_at", NOW, "NULL"),
        ("attempts", "1", "0"),
    )
}
_TAKEN: Final = f"""
    WITH mine AS (
        SELECT {2**63 - 1} AS id, %(method)s::text AS method, %(lane)s::text AS lane,
               %(session_id)s::bigint AS session_id, ''::text AS purpose, %(epoch)s::int AS epoch,
               {NOW} AS created_at, 'WAITING'::text AS state, NULL::timestamptz AS sent_at,
               %(fsp_country_code)s::text AS fsp_country_code,
               %(fsp_party_id)s::text AS fsp_party_id
    ), now AS MATERIALIZED (
        SELECT command.method = 'GET' OR NOT EXISTS (
            SELECT FROM ocpi_charging_profiles_profilecommand AS other
            WHERE other.lane = command.lane AND other.method <> 'GET'
              AND other.state IN ('WAITING', 'SENDING')
        ) AND coalesce((SELECT NOT is_doubtful FROM ({order.BEFORE}) AS before), true)
          AND {order.is_current("command")} AS is_free
        FROM mine AS command
    )
    {INSERT} VALUES ({", ".join((ADDED | _IF_FREE).values())}) {ONCE}
    RETURNING id::text, {REPLACES}, fence::text,
              CASE WHEN state = 'WAITING' THEN {TELL_CARRIERS}::text END
"""  # noqa: S608 - names of ours


def _answered(*more: str) -> str:
    """By the process that waits for it itself: the state, then `more`."""
    returned = ["state", *more, f"CASE WHEN {IS_WAITED_FOR} THEN {TELL_CARRIERS}::text END"]
    return f"WITH answered AS ({ANSWER}) SELECT {', '.join(returned)} FROM answered"  # noqa: S608


# Foreign keys may wait for a platform. A PUT or DELETE that is claimed here waits for the disk;
# what is left to a worker is there before it leaves, since the claim's commit comes later, and a
# GET that should be lost has changed nothing (docs/decisions/0041).
_ADD: Final = Statement("command_add", f"{ADD}, {sql.SOON}", binary=_BODIES, may_wait=True)
_TAKE: Final = Statement("command_take", _TAKEN, binary=_BODIES, may_wait=True)
_TAKE_GET: Final = Statement(
    "command_take_get", f"{_TAKEN}, {sql.SOON}", binary=_BODIES, may_wait=True
)
_ANSWERED: Final = Statement("command_answered", _answered(), binary={"body"})
# Who shares this commit does not wait either.
_ANSWERED_GET: Final = Statement(
    "command_answered_get",
    _answered(sql.SOON),
    binary={"body"},
    shared_by="commits that do not wait",
)
STATEMENTS: Final = (_ADD, _TAKE, _TAKE_GET, _ANSWERED, _ANSWERED_GET)
# How many this process has open at each CPO, from before they are claimed: what is beyond its
# places, workers carry in turn.
_at_cpo: Final[Counter[int]] = Counter()


async def add(writer: Writer, django: DjangoThreads, command: ProfileCommand) -> Lease | None:
    """Do as `command.add`; the lease by which this process is to `carry` it, None: a worker does.

    With the lease it has a place at its CPO, which `carry` gives back. Should the process die
    before that, a worker sees to it when the lease has ended.
    """
    cpo = command.cpo_platform_id
    if _at_cpo[cpo] >= settings.PROFILE_CALLS_PER_RECEIVER:
        return await _added(writer, django, command, _ADD)
    # Before anything is waited for: each of a burst sees those before it.
    _at_cpo[cpo] += 1
    lease = None
    try:
        how = _TAKE_GET if command.method == "GET" else _TAKE
        lease = await _added(writer, django, command, how)
    finally:
        if lease is None:
            _at_cpo[cpo] -= 1
    return lease


async def _added(
    writer: Writer, django: DjangoThreads, command: ProfileCommand, how: Statement
) -> Lease | None:
    given = {
        name: str(value) if isinstance(value, str) else value
        for name, value in sql.by_column(command).items()
    }
    asked = leases.clock()
    found = await writer.run(how, given | {"seconds": str(settings.FORWARD_TIMEOUT)})
    if not found:
        await django.run(command.add_after_all)
        return None
    pk, replaces, fence, *_ = found[0]
    command.pk, command.fence = int(pk or b""), int(fence or 0)
    if replaces == b"true" and command.method != "GET":
        await django.run(order.end_older, command.lane)
    return Lease(command.fence, asked) if command.fence else None


async def carry(
    command: ProfileCommand,
    lease: Lease,
    writer: Writer,
    django: DjangoThreads,
    outbound: AsyncCaller,
) -> HttpResponse | None:
    """Send it under its lease, then give its place back.

    The CPO's answer; None where the row is to say what came of it.
    """
    sending = _AtOnce(writer, django, outbound)
    turn = Turn(lease, lease.asked + settings.FORWARD_TIMEOUT)
    renewing = asyncio.create_task(sending.hold(command, lease))
    try:
        said = await sending.carry(command, turn, holder.snapshot)
    except DatabaseError as error:
        logger.warning("what became of profile command %s is not kept: %s", command.pk, error)
        return None
    finally:
        renewing.cancel()
        _at_cpo[command.cpo_platform_id] -= 1
    if said is None:
        return None
    if said.http_status is not None:
        return HttpResponse(said.body, status=said.http_status, content_type=JSON)
    kind = ForwardTimeout if said.state == CommandState.TIMED_OUT else ConnectionProblem
    return refusal(kind(said.problem))


class _AtOnce(Sending):
    """What is simple goes by the writer, all else over threads."""

    def __init__(self, writer: Writer, django: DjangoThreads, outbound: AsyncCaller) -> None:
        self._writer = writer
        self.django = django
        self.outbound = outbound

    async def hold(self, command: ProfileCommand, lease: Lease) -> None:
        """Renew its lease until cancelled; without the database it ends by itself."""
        while True:
            await asyncio.sleep(leases.RENEW_EVERY)
            try:
                await self.renew({command.pk: lease})
            except DatabaseError as error:
                logger.warning("the lease of a profile command waits to be renewed: %s", error)

    async def run(self, query: str, parameters: Mapping[str, Any]) -> Rows:
        """On a thread."""
        return await self.django.run(sql.run, query, parameters)

    async def keep(self, command: ProfileCommand, said: Said, lease: Lease) -> bool:
        """In one statement, with the answers of others; nobody else waits for it."""
        statement, given = command.answered(said, lease)
        del given["payload"]
        how = _ANSWERED_GET if command.method == "GET" else _ANSWERED
        told = {**given, "state": str(said.state), "wait": str(given["wait"])}
        found = await self._writer.run(how, told)
        if found is None:
            changed = await self.run(statement, {**given, "payload": command.topic})
            order.tell(changed)
            if any(is_waited_for for *_, is_waited_for in changed):
                await self.others_may_go()
            return bool(changed)
        for row in found:
            order.tell([(*command.news, (row[0] or b"").decode())])
        return bool(found)

    async def others_may_go(self) -> None:
        """They are in the database, for whoever carries commands."""
        await self.run(_TELL, {})
