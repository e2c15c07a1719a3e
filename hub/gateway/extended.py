"""Extension fields on their way: whoever did not agree on them never sees them (decision 0043).

They are taken out of a body when it comes in, so that nothing of the hub (copies, lists, relays,
broadcasts) has them, and go on to a receiver that agreed with their sender.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, TypeVar

from msgspec.structs import replace

from hub.deviations import noting
from hub.gateway import modules
from hub.gateway.outcome import Outcome
from hub.gateway.process import WebProcess
from hub.ocpi import extensions
from hub.ocpi.lenient import Deviation
from hub.ocpi.modules import Match
from hub.outbound.platform_calls import Response
from hub.routing.decisions import Forward
from hub.routing.directory import holder
from hub.routing.request import OcpiRequest

logger = logging.getLogger(__name__)
F = TypeVar("F")
# A longer body is looked through on a thread.
_AT_ONCE: Final = 100_000  # bytes
# What a PATCH that takes back has in it; or an escape, which may spell it.
_WHOLE_LISTS: Final = (b"capabilities", b"evses", b"\\u")


async def taken_apart(request: OcpiRequest, place: Match) -> OcpiRequest:
    """The request with what OCPI has of its body, and the rest beside it."""
    carrier = extensions.carrier_of(place)
    if carrier is None:
        return request
    found = await _looked_through(extensions.apart, carrier, request.body)
    if found is None:
        if not _may_take_back(request, carrier):
            return request
        found = extensions.Apart(request.body, request.body, ())
    return replace(request, body=found.plain, beside=found)


def _may_take_back(request: OcpiRequest, carrier: extensions.Carrier) -> bool:
    """Whether a body that tells nothing beside OCPI may take a told capability back."""
    if carrier not in extensions.WITH_CAPABILITIES:
        return False
    if holder.snapshot.extending.isdisjoint(request.platform.parties):
        return False
    # Of a change of the status alone nobody asks the database.
    return request.method == "PUT" or any(one in request.body for one in _WHOLE_LISTS)


def body_for(request: OcpiRequest) -> bytes:
    """What its receiver gets: byte for byte what came, where the two have agreed."""
    beside = request.beside
    if beside is not None and holder.snapshot.extends(request.sender, request.receiver):
        return beside.whole
    return request.body


async def answer_for(
    request: OcpiRequest, outcome: Outcome, decision: Forward, response: Response
) -> Response:
    """A receiver's answer to a GET, without the fields that its asker did not agree on."""
    place = request.match or outcome.match
    if (
        place is None
        or (carrier := extensions.carrier_of(place, is_answer=True)) is None
        or holder.snapshot.extends(decision.sender, decision.receiver.identity)
    ):
        return response
    body = await _looked_through(extensions.answer_without, carrier, response.body)
    if body is response.body:
        return response
    return Response(response.status, response.headers, body)


async def _looked_through(
    look: Callable[[extensions.Carrier, bytes], F], carrier: extensions.Carrier, body: bytes
) -> F:
    """A list of thousands of objects would hold up everybody on the event loop."""
    if len(body) <= _AT_ONCE:
        return look(carrier, body)
    return await asyncio.to_thread(look, carrier, body)


async def keep(worker: WebProcess, request: OcpiRequest) -> None:
    """Keep what was told, where its sender agreed with anybody; what cannot be read is noted.

    The message has been taken: should this fail, what else follows from it goes on all the same.
    """
    beside = request.beside
    if beside is None or request.sent_by is None:
        return
    if request.sent_by not in worker.directory.extending:
        paths = {f"{one.carrier}.{one.name}" for one in beside.told}
        found = [Deviation("extension-not-agreed", path) for path in sorted(paths)]
        noting.note(request.platform.id, found)
        return
    try:
        noting.note(request.platform.id, extensions.malformed(beside.told))
        await worker.django.run(modules.fields_told, request)
    except Exception:
        logger.exception("the extension fields of a message of %s are not kept", request.sent_by)
