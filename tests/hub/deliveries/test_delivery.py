"""Messages that the hub owes: in order, tried again, given up with OFFLINE (Offline behaviour)."""

import asyncio
import threading
from datetime import timedelta

import pytest
from django.db import transaction

from hub.models import Delivery, Party, Platform
from hub.ocpi.datatypes import Role
from hub.outbox import outbox
from hub.parties import onboarding
from hub.routing.directory import holder
from simulators.testing import PATIENCE
from tests.hub.deliveries.waiting import (
    deliver,
    delivery_to,
    platform_of,
    push,
    state_of,
    status_of,
    wake,
)
from tests.hub.newcomer import Newcomer
from tests.hub.strangers import CUSTOM, Gate, Stranger, ask, raw, until

pytestmark = pytest.mark.measured


def test_a_push_arrives_with_all_headers_and_byte_for_byte(hub, receiver):
    row = deliver(push(receiver, "a/b%2Fc"))
    assert row.state == "DELIVERED"
    assert row.ended_at
    (message,) = receiver.simulator.got
    assert message.body == b'{"n": 1.50}'
    assert receiver.simulator.targets[0].endswith(f"/{CUSTOM}/a/b%2Fc")
    assert message.to_party == receiver.simulator.party
    assert message.headers["OCPI-from-party-id"] == "HUB"
    assert message.headers["X-Correlation-ID"] == row.correlation_id
    assert message.headers["X-Request-ID"]
    assert message.headers["Content-Type"] == "application/json"
    assert message.connection is receiver.simulator.hub


def test_pushes_of_one_key_arrive_in_the_order_in_which_they_were_written(hub, receiver):
    outbox.enqueue([delivery_to(receiver, str(number)) for number in range(10)])
    outbox.enqueue([])
    receiver.wait_for(lambda: len(receiver.simulator.got) >= 10)
    assert [m.parts[-1] for m in receiver.simulator.got] == [str(number) for number in range(10)]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_an_empty_2xx_or_a_1xxx_is_delivered(hub, receiver, status):
    receiver.simulator.says = lambda message: raw(b"", status)
    assert deliver(push(receiver)).state == "DELIVERED"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"status_code":2001,"status_message":"why","timestamp":"T"}'),
        (400, b'{"status_code":1000,"timestamp":"T"}'),
        (404, b'{"status_code":2003,"timestamp":"T"}'),
        (404, b'{"status_code":2003,"status_message":"a\\u0000b","timestamp":"T"}'),
        (500, b"<html>"),
        (200, b"<html>"),
    ],
)
def test_what_the_receiver_refuses_is_not_sent_again(hub, receiver, status, body):
    receiver.simulator.says = lambda message: raw(body, status)
    row = deliver(push(receiver))
    assert row.state == "REFUSED"
    assert str(status) in row.outcome
    deliver(push(receiver, "next"))
    assert [m.parts[-1] for m in receiver.simulator.got] == ["1", "next"]


def test_a_refused_push_does_not_hold_up_the_next(hub, receiver):
    receiver.simulator.says = lambda message: raw(
        b"<html>", 500 if message.parts[-1] == "1" else 200
    )
    push(receiver, "1")
    deliver(push(receiver, "2"))
    assert [m.parts[-1] for m in receiver.simulator.got] == ["1", "2"]


def test_an_unreachable_receiver_is_tried_again_within_seconds_then_offline(hub, cpo, receiver):
    party = receiver.simulator.party
    receiver.set_faults(gone=True)
    row = push(receiver)
    waiting = [push(receiver, str(number), key=str(number)) for number in range(20)]
    wake()
    until(lambda: status_of(receiver) == "OFFLINE")
    until(lambda: {state_of(one) for one in (row, *waiting)} == {"FAILED"})
    for one in (row, *waiting):
        assert "OFFLINE" in one.outcome
        assert bytes(one.body) == b'{"n": 1.50}'
    cpo.wait_for(
        lambda: [
            m.json()["status"]
            for m in cpo.received(module="hubclientinfo")
            if m.parts == party and m.json()["status"] == "OFFLINE"
        ]
    )


def test_one_that_answers_a_check_stays_connected_and_its_rows_wait(hub, receiver):
    """Only its versions answer: a proxy in front of a module that is down."""
    is_down = True
    receiver.simulator.says = lambda message: raw(b"<html>", 502) if is_down else raw()
    row = push(receiver)
    wake()
    # The third failure asks whether it is there at all.
    until(lambda: row.refresh_from_db() or row.attempts >= 3)
    assert (row.state, status_of(receiver)) == ("WAITING", "CONNECTED")
    is_down = False
    until(lambda: state_of(row) == "DELIVERED")
    assert status_of(receiver) == "CONNECTED"


def test_a_module_that_is_down_holds_up_no_other(hub, receiver):
    receiver.simulator.says = lambda message: raw(b"", 502) if message.module == CUSTOM else raw()
    down = [push(receiver, str(number), key=str(number)) for number in range(15)]
    wake()
    receiver.wait_for(lambda: receiver.simulator.got)
    other = deliver(push(receiver, "NL/CPO/1", module="sessions"))
    assert other.state == "DELIVERED"
    assert {state_of(one) for one in down} == {"WAITING"}
    Delivery.objects.filter(pk__in=[one.pk for one in down]).delete()


def test_a_retry_that_succeeds_leaves_everything_well_and_nothing_overtakes(hub, receiver):
    receiver.set_faults(gone=True)
    first = push(receiver, "first")
    wake()
    until(lambda: first.refresh_from_db() or first.attempts >= 1)
    receiver.clear_faults()
    second = deliver(push(receiver, "second"))
    assert state_of(first) == second.state == "DELIVERED"
    assert first.attempts >= 2
    assert second.attempts == 1
    assert [m.parts[-1] for m in receiver.simulator.got] == ["first", "second"]
    assert status_of(receiver) == "CONNECTED"


def test_what_nobody_told_of_is_carried_all_the_same(hub, receiver):
    lost = push(receiver, "lost", key="a")
    done = push(receiver, "done", key="c", state="DELIVERED")
    until(lambda: state_of(lost) == "DELIVERED")
    assert [m.parts[-1] for m in receiver.simulator.got] == ["lost"]
    assert state_of(done) == "DELIVERED"


def test_a_receiver_that_unregistered_gets_nothing(hub):
    newcomer = Newcomer(hub)
    newcomer.post()
    newcomer.delete()
    platform = Party.objects.get(party_id=newcomer.party.party_id).platform_id
    row = Delivery.objects.create(
        receiver_id=platform,
        ordering_key="k",
        module=CUSTOM,
        method="PUT",
        interface_role="RECEIVER",
        path="1",
        body=b"{}",
        correlation_id="c",
    )
    assert deliver(row).state == "DROPPED"
    assert not newcomer.stranger.got


def test_an_endpoint_that_is_offered_no_more_drops_the_push_and_nothing_else(hub, receiver):
    row = push(receiver, module="never-offered")
    assert deliver(row).state == "DROPPED"
    assert deliver(push(receiver)).state == "DELIVERED"
    assert Party.objects.get(party_id=receiver.simulator.party.party_id).status == "CONNECTED"


def test_a_slow_receiver_does_not_delay_another_one(hub, receiver):
    other = hub.join(Stranger(Role.EMSP, listens=False))
    freed, answered = threading.Event(), []

    async def hangs(message):
        await asyncio.to_thread(freed.wait, PATIENCE)
        answered.append(message)
        return raw()

    receiver.simulator.says = hangs
    for running in (receiver, other):
        for number in range(4):
            push(running, str(number), key=str(number))
    wake()
    try:
        other.wait_for(lambda: len(other.simulator.got) == 4)
        assert not answered
    finally:
        freed.set()
    receiver.wait_for(lambda: len(receiver.simulator.got) == 4)


def test_a_change_that_is_rolled_back_pushes_nothing_and_is_routed_by_nobody(hub, cpo, receiver):
    before = Delivery.objects.count()
    parties = Party.objects.filter(party_id=receiver.simulator.party.party_id)
    with transaction.atomic():
        onboarding.suspend(receiver.simulator.party)
        # While it is not committed, nobody is refused for it.
        assert ask(hub, cpo, "GET", "sender/tokens", to=receiver).said == (200, 1000)
        transaction.set_rollback(True)
    assert Delivery.objects.count() == before
    assert ask(hub, cpo, "GET", "sender/tokens", to=receiver).said == (200, 1000)
    assert parties.get().status == "CONNECTED"


def test_objects_of_one_receiver_are_on_their_way_at_once(hub, receiver):
    gate = receiver.simulator.says = Gate()
    rows = [push(receiver, str(number), key=str(number)) for number in range(12)]
    wake()
    receiver.wait_for(lambda: len(receiver.simulator.got) == 10)
    gate.is_open.set()
    until(lambda: {state_of(row) for row in rows} == {"DELIVERED"})
    assert {m.parts[-1] for m in receiver.simulator.got} == {str(number) for number in range(12)}


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_a_pause_gets_it_and_then_everything_in_order(
    hub, receiver, status
):
    answers = iter([raw(b"", status, Retry_After="2")])
    receiver.simulator.says = lambda message: next(answers, raw())
    first, second = push(receiver, "first"), push(receiver, "second")
    wake()
    until(lambda: state_of(second) == "DELIVERED")
    refused, again, after = receiver.simulator.got
    assert [m.parts[-1] for m in (refused, again, after)] == ["first", "first", "second"]
    assert again.at - refused.at >= timedelta(seconds=2)
    assert (state_of(first), first.attempts) == ("DELIVERED", 2)
    assert status_of(receiver) == "CONNECTED"


def test_an_endless_pause_is_cut_short(hub, receiver, settings):
    settings.DELIVERY_MAX_PAUSE = 0.1
    answers = iter([raw(b"", 429, Retry_After="Fri, 01 Jan 2100 00:00:00 GMT")])
    receiver.simulator.says = lambda message: next(answers, raw())
    assert deliver(push(receiver)).state == "DELIVERED"


def test_a_platform_may_have_a_rate_of_its_own(hub, receiver):
    Platform.objects.filter(pk=platform_of(receiver)).update(pushes_per_second=4)
    holder.refresh()  # The drain's own.
    for number in range(9):
        push(receiver, str(number), key=str(number))
    wake()
    receiver.wait_for(lambda: len(receiver.simulator.got) == 9)
    times = [m.at for m in receiver.simulator.got]
    assert times[-1] - times[0] >= timedelta(seconds=0.9)


def test_an_offline_receiver_that_answers_is_checked(hub, receiver):
    Party.objects.filter(party_id=receiver.simulator.party.party_id).update(status="OFFLINE")
    assert deliver(push(receiver)).state == "DELIVERED"
    until(lambda: status_of(receiver) == "CONNECTED")


def test_a_token_that_changed_under_way_is_looked_up_again(hub, receiver):
    platforms = Platform.objects.filter(pk=platform_of(receiver))

    async def says(message):
        if len(receiver.simulator.got) > 1:
            return raw()
        # Fixed, or it would have been tried in its other form.
        await asyncio.to_thread(platforms.update, fixed_token_form="BASE64")
        return raw(b"", 401)

    receiver.simulator.says = says
    row = deliver(push(receiver))
    assert (row.state, row.outcome) == ("DELIVERED", "HTTP 200, OCPI 1000")
