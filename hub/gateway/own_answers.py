"""The hub's own answer to a message, from a Django view (hub/views.py).

It may have to wait for another party (AnswerLater), which takes no thread.
"""

import asyncio
from typing import Final

from django.http.response import HttpResponse

from hub.db.notify import LOOK_AGAIN
from hub.fairness.lanes import behalf
from hub.fairness.unanswered import forwards
from hub.gateway import modules
from hub.gateway.answer import Outgoing, of_django
from hub.gateway.outcome import Outcome
from hub.gateway.process import WebProcess
from hub.ocpi import envelope
from hub.routing.request import OcpiRequest
from hub.views import REQUEST, AnswerLater, RelatedAnswer

_LOOK_AT_LEAST: Final = 5.0  # seconds


async def answer(worker: WebProcess, request: OcpiRequest, outcome: Outcome) -> Outgoing:
    """The hub's own answer, once it is known."""
    response = await _of_view(worker, request, outcome)
    sent = getattr(response, "sent", None)
    if isinstance(response, AnswerLater):
        # "Open response, Hub to requesting platform": FROM is the receiving party.
        outcome.receiver = response.answered_by
        receiver = response.receiver
        try:
            response = await _wait(worker, response)
        finally:
            forwards.give_back(receiver)
    if isinstance(response, RelatedAnswer):
        outcome.related_id = response.related_id
    outgoing = of_django(response)
    outgoing.sent = sent
    said = envelope.read_own(outgoing.body)
    outcome.code, outcome.problem = said.status_code, said.status_message or ""
    return outgoing


async def _of_view(worker: WebProcess, request: OcpiRequest, outcome: Outcome) -> HttpResponse:
    whose = behalf.get()
    django = worker.threads_of(whose.lane)
    # The name under which the hub was called means nothing: its URLs are those of BASE_URL.
    extra = {REQUEST: request, "HTTP_HOST": "127.0.0.1"}
    async with worker.in_hand.one(whose):
        response = await modules.answered_at_once(worker.writer, django, request)
        if response is None:
            response = await django.answer(request.scope, request.body, **extra)
        room = outcome.with_room(worker.under_way.of_sender(request.platform.id))
        await room.grow(len(response.content))
    return response


async def _wait(worker: WebProcess, later: AnswerLater) -> HttpResponse:
    """Wait without a thread; `resume` ends by itself at the command's deadline."""
    pause = LOOK_AGAIN
    with worker.listener.expect(later.topic) as expected:
        if later.carry is not None:
            carrying = worker.start(later.carry(worker.writer, worker.django, worker.carrying))
            if (response := await asyncio.shield(carrying)) is not None:
                return response
        while True:
            told = await expected.wait(pause)
            if told:
                return later.told(told)
            response = await worker.django.run(later.resume)
            if response is not None:
                return response
            # Each look takes a thread: many that wait for long look less often.
            pause = min(2 * pause, _LOOK_AT_LEAST)
