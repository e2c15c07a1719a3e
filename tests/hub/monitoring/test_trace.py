"""The ladder of one exchange: `manage.py trace CORRELATION_ID`."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management.base import CommandError
from django.db import connection

from hub.models import Delivery, StaleCopy
from hub.monitoring import exchange_trace
from hub.ocpi.datatypes import Role
from tests.hub.commands.calling import run
from tests.hub.console.rows import platform
from tests.hub.pushing import HUB, location_of, settled
from tests.hub.recording import at, message, recorded
from tests.hub.strangers import Stranger, ask, raw
from tests.minimal import owned
from tests.scripted import Cast, url_given


@pytest.fixture
def correlation_id():
    """Of one exchange that no other test has."""
    return f"c-{uuid4()}"


def traced(correlation_id: str, *options: str) -> str:
    """What the command prints when all is recorded."""
    recorded()
    return str(run("trace", correlation_id, *options))


def test_a_forwarded_message_is_four_steps_from_party_to_party_and_back(hub, cpo, emsp):
    ids = {"X-Correlation-ID": f"c-{uuid4()}"}
    ask(hub, cpo, "PUT", "receiver/locations/{own}/L1", to=emsp, body=b"{}", headers=ids)
    recorded(2, correlation_id=ids["X-Correlation-ID"])
    sender, receiver = cpo.simulator.party, emsp.simulator.party
    path = f"receiver/locations/{owned(sender, 'L1')}"
    head, *steps = traced(ids["X-Correlation-ID"]).splitlines()
    assert ids["X-Correlation-ID"] in head
    for step, parts in zip(
        steps,
        (
            (f"{sender} ──▶ hub", f"PUT {path} (forward, 2 bytes)"),
            (f"hub ──▶ {receiver}", f"PUT {path} (forward, 2 bytes)"),
            (f"hub ◀── {receiver}", "HTTP 200 OCPI 1000"),
            (f"{sender} ◀── hub", "HTTP 200 OCPI 1000"),
        ),
        strict=True,
    ):
        for part in parts:
            assert part in step
        assert "✗" not in step


def test_what_failed_is_marked_and_says_why(hub, cpo, correlation_id):
    gone = hub.join(Stranger(Role.EMSP, listens=False))
    gone.set_faults(gone=True)
    ask(hub, cpo, "GET", "sender/tokens", to=gone, headers={"X-Correlation-ID": correlation_id})
    recorded(2, correlation_id=correlation_id)
    _, asked, sent, failed, answered = traced(correlation_id).splitlines()
    assert "✗" not in asked + sent
    assert "✗ no answer, OCPI 4003" in failed
    assert "cannot be reached" in failed
    assert "✗ HTTP 200 OCPI 4003" in answered


def test_a_broadcast_is_traced_with_what_became_of_each_push(hub, cpo, correlation_id):
    taker, refuser = (hub.join(Stranger(Role.EMSP, listens=False)) for _ in range(2))
    refuser.simulator.says = lambda message: raw(b"<html>", 500)
    party = cpo.simulator.party
    location = location_of(party, "TRACED")
    answer = ask(
        hub,
        cpo,
        "PUT",
        f"receiver/locations/{party.country_code}/{party.party_id}/TRACED",
        to=HUB,
        body=json.dumps(location).encode(),
        headers={"X-Correlation-ID": correlation_id},
    )
    assert answer.code == 1000, answer
    settled()
    recorded(3, correlation_id=correlation_id)
    told = traced(correlation_id)
    assert f"{party} ──▶ hub" in told
    assert "(broadcast, " in told
    for receiver in (taker, refuser):
        assert f"hub ──▶ {receiver.simulator.party}" in told
    assert (
        f"✗ locations {party} TRACED to {refuser.simulator.party}: refused by the receiver, "
        "until it changes again: HTTP 500"
    ) in told


def test_a_profile_command_is_traced_to_its_result(hub):
    cast = Cast(hub)
    cast.cpo.put_session("S-TRACE", cast.emsp)
    cast.emsp.put_profile("S-TRACE", to=cast.cpo)
    (command,) = [m for m in cast.cpo.asked("S-TRACE") if m.method == "PUT"]
    correlation_id = command.headers["X-Correlation-ID"]
    cast.cpo.post_result(url_given(command), {"result": "ACCEPTED"})
    cast.emsp.results("S-TRACE")
    recorded(3, correlation_id=correlation_id)
    recorded(1, related_id=correlation_id)
    told = traced(correlation_id).splitlines()
    emsp, cpo = cast.emsp.party, cast.cpo.party
    arrows = (
        f"{emsp} ──▶ hub",
        f"hub ──▶ {cpo}",
        f"hub ◀── {cpo}",
        f"{emsp} ◀── hub",
        f"hub ◀── {cpo}",
    )
    for line, arrow in zip(told[1:6], arrows, strict=True):
        assert arrow in line
    assert "POST profile-result/••• (result, " in told[5]
    assert any(f"{emsp} ◀── hub" in line and "(callback, " in line for line in told[6:])
    fate = f"· PUT chargingprofiles/S-TRACE from {emsp} to {cpo}: done: accepted by the EVSE"
    assert fate in told


@pytest.mark.django_db
def test_a_push_that_waits_or_was_dropped_has_a_fate_and_no_steps(correlation_id):
    message(correlation_id=correlation_id)
    receiver = platform("Receiver", ("DE", "MSP", "EMSP"))
    for state in ("WAITING", "DROPPED"):
        Delivery.objects.create(
            receiver=receiver,
            ordering_key="k",
            module="locations",
            method="PUT",
            interface_role="RECEIVER",
            path="NL/CPO/L1",
            body=b"{}",
            correlation_id=correlation_id,
            state=state,
            outcome="the receiver is OFFLINE" if state == "DROPPED" else "",
        )
    found = exchange_trace.of(correlation_id)
    assert len(found.steps) == 2
    assert [(fate.state, fate.failed) for fate in found.sequels] == [
        ("waiting", False),
        ("dropped: there is nobody to send it to", True),
    ]


@pytest.mark.django_db
def test_of_very_many_marks_those_of_an_exchange_are_looked_for_among_the_newest(correlation_id):
    message(correlation_id=correlation_id)
    mark = {"receiver": platform("Receiver", ("DE", "MSP", "EMSP")), "party": "DE-MSP"}
    of = {"module": "locations", "owner": "NL-CPO", "correlation_id": correlation_id}
    with connection.cursor() as cursor:
        StaleCopy.objects.create(**mark, **of, object_id="OLD")
        cursor.execute(
            "INSERT INTO hub_stalecopy (receiver_id, party, module, owner, object_id, variant, "
            "part, spelling, is_deleted, priority, raised, correlation_id, merged, first_at, "
            "state, outcome) SELECT 0, '', 'tariffs', 'NL-CPO', n, '', '', '', false, 1, 1, "
            "'c', '{}', now(), 'WAITING', '' FROM generate_series(1, %s) AS n",
            [exchange_trace.MOST_MARKS - 1],
        )
        StaleCopy.objects.create(**mark, **of, object_id="NEW")
    found = exchange_trace.of(correlation_id)
    assert found is not None
    assert [(fate.what.partition(" to ")[0], fate.state) for fate in found.sequels] == [
        ("objects except the 20,000 that were marked last", "not looked at"),
        ("locations NL-CPO NEW", "waiting"),
    ]


@pytest.mark.django_db
def test_an_object_that_waits_or_was_refused_says_so_also_to_earlier_changes(correlation_id):
    message(correlation_id=correlation_id)
    mark = {"receiver": platform("Receiver", ("DE", "MSP", "EMSP")), "party": "DE-MSP"}
    of = {"module": "locations", "owner": "NL-CPO", "object_id": "L1", "part": "E1\x1f1"}
    later = {"correlation_id": "later", "merged": ["x", correlation_id], "outcome": "HTTP 429"}
    StaleCopy.objects.create(**mark, **of, **later)
    of = {"module": "tokens", "owner": "DE-MSP", "object_id": "04A2B3C4D5", "variant": "RFID"}
    refused = {"state": "REFUSED", "outcome": "HTTP 200, OCPI 2001: Invalid"}
    StaleCopy.objects.create(**mark, **of, **refused, correlation_id=correlation_id)
    found = exchange_trace.of(correlation_id)
    assert found is not None
    assert [line for line in exchange_trace.lines(found) if line[0] in "·✗"] == [
        "· locations NL-CPO L1 (E1/1) to DE-MSP: waiting: changed again by later; HTTP 429",
        (
            "✗ tokens DE-MSP •••4D5 to DE-MSP: refused by the receiver, until it changes again: "
            "HTTP 200, OCPI 2001: Invalid"
        ),
    ]


@pytest.mark.django_db
def test_steps_are_in_the_order_of_time_and_bodies_are_shown_where_they_are_kept(correlation_id):
    begun = at("2026-03-01T10:00:00")
    message(correlation_id=correlation_id, at=begun, milliseconds=50.0, request_body='{"a":1}')
    message(
        correlation_id="its own",
        related_id=correlation_id,
        at=begun + timedelta(milliseconds=10),
        direction="OUT",
        milliseconds=20.0,
    )
    found = exchange_trace.of(correlation_id)
    assert [(step.milliseconds, step.party, step.to_hub) for step in found.steps] == [
        (0, "NL-CPO", True),
        (10, "DE-MSP", False),
        (30, "DE-MSP", True),
        (50, "NL-CPO", False),
    ]
    assert found.steps[0].body == '{"a":1}'
    assert (found.milliseconds, found.is_cut) == (50, False)


@pytest.mark.django_db
def test_an_exchange_of_very_many_messages_is_cut(correlation_id):
    for _ in range(exchange_trace.MOST_MESSAGES + 1):
        message(correlation_id=correlation_id, direction="OUT")
    found = exchange_trace.of(correlation_id)
    assert len(found.steps) == 2 * exchange_trace.MOST_MESSAGES
    assert found.is_cut
    assert "only the first" in "\n".join(exchange_trace.lines(found))


@pytest.mark.django_db
def test_as_json_for_programs(correlation_id):
    message(correlation_id=correlation_id, http_status=None, ocpi_code=4002, is_failed=True)
    told = json.loads(run("trace", correlation_id, "--json"))
    assert told["correlation_id"] == correlation_id
    assert [step["to_hub"] for step in told["steps"]] == [True, False]
    assert told["steps"][1]["failed"]


@pytest.mark.django_db
def test_an_unknown_exchange_says_so():
    with pytest.raises(CommandError, match="is recorded"):
        run("trace", "nothing")
    assert exchange_trace.of("nothing") is None


def test_nothing_is_traced_by_an_empty_id(db):
    message(related_id="")
    assert exchange_trace.of("") is None
