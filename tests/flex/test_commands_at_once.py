"""Which profile commands and results need no thread, and which do (decision 0030)."""

import json
from typing import Any
from urllib.parse import quote

from django.http import HttpResponse
from msgspec.structs import replace

from charging_profiles import at_once
from charging_profiles.models import ProfileCommand
from hub.db.batch_writer import Writer
from hub.db.django_threads import DjangoThreads
from hub.fairness.unanswered import forwards
from hub.gateway import modules
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import match
from hub.outbound.platform_calls import AsyncCaller
from hub.routing.directory import KnownToken, holder
from hub.routing.request import OcpiRequest
from hub.views import AnswerLater
from tests.at_once import run_at_once
from tests.flex.agreements import agree
from tests.scripted import PROFILE, Actor

RESULT = b'{"result":"ACCEPTED"}'


def request_of(actor: Actor, body: bytes, session_id: str = "", to: Actor | None = None, **more):
    place = None
    if session_id:
        place = match("chargingprofiles", InterfaceRole.RECEIVER, session_id, "PUT")
    given: dict[str, Any] = {
        "method": "PUT",
        "path": "",
        "correlation_id": "correlation",
        "token": KnownToken(holder.current().parties[actor.party].platform, is_token_a=False),
        "match": place,
        "body": body,
        "sent_by": actor.party if session_id else None,
        "sent_to": to.party if to else None,
    }
    return OcpiRequest(**given | more)


def answered(request: OcpiRequest) -> HttpResponse | None:
    """As the gateway asks it; what it is to carry is carried, and a place at the CPO given back."""
    django = DjangoThreads(1)

    async def ask(writer: Writer) -> HttpResponse | None:
        response = await modules.answered_at_once(writer, django, request)
        if isinstance(response, AnswerLater):
            assert response.carry is not None
            outbound = AsyncCaller()
            carried = await response.carry(writer, django, outbound)
            outbound.close()
            assert carried is not None
            assert json.loads(carried.content)["data"]["result"] == "ACCEPTED"
        return response

    try:
        response = run_at_once(ask)
    finally:
        django.close()
    if isinstance(response, AnswerLater):
        forwards.give_back(response.receiver)
    return response


def asked(actor: Actor, session_id: str, to: Actor | None = None, **more: Any):
    wish = {"charging_profile": PROFILE, "response_url": actor.response_url(session_id)} | more
    return answered(request_of(actor, json.dumps(wish).encode(), session_id, to))


def static(command: ProfileCommand) -> dict[str, Any]:
    """What no carrier changes, but for its own names."""
    [row] = ProfileCommand.objects.filter(pk=command.pk).values()
    changing = {"id", "key", "path", "body", "created_at", "answer_by", "fence", "lease_until"}
    changing |= {"state", "attempts", "sent_at", "follows_id", "in_force", "problem"}
    changing |= {"answered_at", "answer_http_status", "answer_body", "passed_on_at", "result_by"}
    return {name: value for name, value in row.items() if name not in changing}


def test_a_command_of_the_fsp_needs_no_thread_and_is_what_a_thread_writes(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("QUICK-1", cast.emsp)
    assert isinstance(asked(cast.scsp, "QUICK-1"), AnswerLater)
    assert isinstance(asked(cast.scsp, "quick-1", cast.cpo), AnswerLater)
    cast.scsp.put_profile("QUICK-1")
    rows = ProfileCommand.objects.filter(lane__endswith="/QUICK-1").order_by("pk")
    first, second, third = map(static, rows)
    same = {"correlation_id": "", "session_id_sent": "", "response_url": ""}
    assert first | same == second | same == third | same
    assert first["epoch"] == 1
    query = f"duration=60&response_url={quote(cast.scsp.response_url('QUICK-1'))}"
    got = request_of(cast.scsp, b"", "QUICK-1", method="GET", query=query)
    assert isinstance(answered(got), AnswerLater)
    assert answered(replace(got, query=query.replace("60", "x"))) is None


def test_what_anybody_else_asks_and_what_is_refused_has_a_thread_and_is_not_written(cast):
    agreement = agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("SLOW-1", cast.emsp)
    assert asked(cast.emsp, "SLOW-1") is None
    assert asked(cast.scsp, "SLOW-2") is None
    assert asked(cast.scsp, "SLOW-1", cast.other_cpo) is None
    assert asked(cast.scsp, "SLOW-1", response_url="") is None
    agreement.delete()
    cast.other_cpo.put_session("SLOW-1", cast.emsp)
    assert asked(cast.scsp, "SLOW-1") is None  # Whose it is has to be asked.
    assert not ProfileCommand.objects.filter(lane__contains="/SLOW-").exists()


def test_a_command_that_is_written_twice_is_one(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("TWICE-1", cast.emsp)
    cast.scsp.put_profile("TWICE-1")
    command = ProfileCommand.objects.get(session_id_sent="TWICE-1")
    number, command.pk = command.pk, None
    django = DjangoThreads(1)
    run_at_once(lambda writer: at_once.add(writer, django, command))
    django.close()
    assert command.pk == number
    command.pk = None
    command.add()
    assert command.pk == number


def test_the_first_result_needs_no_thread_but_what_is_odd_about_one_does(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("DONE-1", cast.emsp)
    cast.scsp.put_profile("DONE-1")
    command = ProfileCommand.objects.get(session_id_sent="DONE-1")
    path = {"method": "POST", "path": f"/ocpi/2.2.1/profile-result/{command.key}"}
    assert answered(request_of(cast.cpo, b'{"result":""}', **path)) is None
    assert answered(request_of(cast.emsp, RESULT, **path)) is None
    assert not ProfileCommand.objects.get(pk=command.pk).result
    response = answered(request_of(cast.cpo, RESULT, **path))
    assert response is not None
    assert response.status_code == 200
    [message] = cast.scsp.results("DONE-1")
    assert message.body == RESULT
    assert answered(request_of(cast.cpo, RESULT, **path)) is None  # It had been received.
