"""Which CPO has which reservation, from RESERVE_NOW to its end (mod_commands, Flow)."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from commands.models import Reservation
from commands.objects import CommandResultType
from hub.ocpi.datatypes import Role
from tests.commands.test_post_command import command, commands_at, post, response
from tests.hub.deviations.counts import counts_of
from tests.hub.strangers import Stranger, ask, raw, until

UNKNOWN = (200, 4001)
REFUSING = [
    one
    for one in CommandResultType
    if one not in {CommandResultType.ACCEPTED, CommandResultType.CANCELED_RESERVATION}
]


@pytest.fixture(scope="module")
def second_cpo(hub):
    return hub.join(Stranger(Role.CPO))


def reserve(hub, emsp, cpo, reservation_id: Any, result: str = "ACCEPTED", **more: Any) -> str:
    """RESERVE_NOW; the URL that the CPO gets for its result."""
    cpo.simulator.says = lambda message: raw(response(result))
    body = command(emsp, "RESERVE_NOW", "L", **{"reservation_id": reservation_id, **more})
    assert post(hub, emsp, "RESERVE_NOW", body, to=cpo).code == 1000
    return commands_at(cpo)[-1].json()["response_url"]


def tell(hub, cpo, url: str, result: Any) -> None:
    body = result if isinstance(result, bytes) else json.dumps({"result": result}).encode()
    assert ask(hub, cpo, "POST", url, body=body).code == 1000


def cancel(hub, emsp, reservation_id: str, to=None):
    return post(
        hub, emsp, "CANCEL_RESERVATION", command(emsp, "CANCEL_RESERVATION", reservation_id), to=to
    )


def reached(answer) -> str:
    """The party id of the CPO that was asked; empty when nobody was."""
    if answer.code != 1000:
        assert answer.said == UNKNOWN
        return ""
    return answer.headers["ocpi-from-party-id"]


def cancelled(hub, emsp, cpo, reservation_id: str, result: Any, to=None) -> None:
    """A CANCEL_RESERVATION whose result comes later."""
    cpo.simulator.says = lambda message: raw(response("ACCEPTED"))
    assert cancel(hub, emsp, reservation_id, to=to).code == 1000
    tell(hub, cpo, commands_at(cpo)[-1].json()["response_url"], result)


@pytest.mark.parametrize(
    "expiry_date",
    [
        "2099-01-01T00:00:00+00:00",
        "2099-01-01 00:00:00",
        "2099-01-01T01:00:00+0100",
        "2099-01-01T00:00:00.000Z",
    ],
)
def test_its_end_is_read_in_any_spelling(hub, cpo, emsp, expiry_date):
    reservation_id = f"END-{expiry_date[10:]}"
    reserve(hub, emsp, cpo, reservation_id, expiry_date=expiry_date)
    row = Reservation.objects.get(reservation_id=reservation_id)
    assert row.expiry_date == datetime(2099, 1, 1, tzinfo=UTC)
    assert reached(cancel(hub, emsp, reservation_id)) == cpo.simulator.party.party_id


@pytest.mark.parametrize("expiry_date", ["soon", None, 4070908800, "9999-12-31T23:59:59-14:00"])
def test_one_whose_end_nobody_can_read_is_known_for_a_day(hub, cpo, emsp, expiry_date):
    reservation_id = f"ENDLESS-{expiry_date}"
    reserve(hub, emsp, cpo, reservation_id, expiry_date=expiry_date)
    row = Reservation.objects.get(reservation_id=reservation_id.upper())
    assert timedelta(hours=23) < row.expiry_date - timezone.now() <= timedelta(days=1)
    assert reached(cancel(hub, emsp, reservation_id)) == cpo.simulator.party.party_id


@pytest.mark.parametrize("reservation_id", [4711, "n" * 60, "\u00e4"])
def test_an_odd_id_names_it(hub, cpo, emsp, reservation_id):
    reserve(hub, emsp, cpo, reservation_id)
    assert reached(cancel(hub, emsp, str(reservation_id))) == cpo.simulator.party.party_id


@pytest.mark.parametrize("said", ["accepted", " Accepted "])
def test_an_odd_answer_that_accepts_it_accepts_it(hub, cpo, emsp, said):
    reserve(hub, emsp, cpo, f"ODD-{said}", said)
    assert reached(cancel(hub, emsp, f"ODD-{said}")) == cpo.simulator.party.party_id


@pytest.mark.parametrize(
    "data",
    [
        b'{"result":"ACCEPTED"}',
        b'{"result":"ACCEPTED","timeout":"30"}',
        b'[{"result":"ACCEPTED","timeout":30.0,"message":"fine"}]',
        b'"ACCEPTED"',
    ],
)
def test_an_answer_needs_nothing_but_its_result(hub, cpo, emsp, data):
    body = b'{"status_code":1000,"data":%s}' % data
    cpo.simulator.says = lambda message: raw(body)
    reservation_id = f"BARE-{len(data)}"
    sent = command(emsp, "RESERVE_NOW", "L", reservation_id=reservation_id)
    assert post(hub, emsp, "RESERVE_NOW", sent, to=cpo).body == body
    cpo.simulator.says = lambda message: raw(response("ACCEPTED"))
    assert reached(cancel(hub, emsp, reservation_id)) == cpo.simulator.party.party_id


@pytest.mark.parametrize("result", REFUSING)
def test_a_first_one_that_the_charge_point_refuses_is_forgotten(hub, cpo, emsp, result):
    tell(hub, cpo, reserve(hub, emsp, cpo, f"NO-{result}"), result)
    assert reached(cancel(hub, emsp, f"NO-{result}")) == ""


@pytest.mark.parametrize(
    "body",
    [
        b'[{"result":"EVSE_OCCUPIED"}]',
        b'{"result":"evse_occupied","message":5}',
        b'{"status_code":1000,"data":{"result":"EVSE_OCCUPIED"}}',
    ],
)
def test_a_refusal_is_understood_in_any_spelling_and_passes_to_the_byte(hub, cpo, emsp, body):
    tell(hub, cpo, reserve(hub, emsp, cpo, f"SPELLED-{len(body)}"), body)
    assert commands_at(emsp)[-1].body == body
    assert reached(cancel(hub, emsp, f"SPELLED-{len(body)}")) == ""


@pytest.mark.parametrize("result", ["ACCEPTED", "ON_ITS_WAY"])
def test_one_that_is_accepted_or_not_refused_stays(hub, cpo, emsp, result):
    tell(hub, cpo, reserve(hub, emsp, cpo, f"YES-{result}"), result)
    assert reached(cancel(hub, emsp, f"YES-{result}")) == cpo.simulator.party.party_id


def test_a_refusal_that_comes_before_the_answer_counts(hub, cpo, emsp):
    async def posts_first(message):
        url, body = message.json()["response_url"], b'{"result":"EVSE_OCCUPIED"}'
        answer = await asyncio.to_thread(ask, hub, cpo, "POST", url, body=body)
        assert answer.said == (200, 1000)
        return raw(response("ACCEPTED"))

    cpo.simulator.says = posts_first
    body = command(emsp, "RESERVE_NOW", "L", reservation_id="EARLY")
    assert post(hub, emsp, "RESERVE_NOW", body, to=cpo).code == 1000
    assert reached(cancel(hub, emsp, "EARLY")) == ""


def test_a_refusal_counts_though_its_emsp_does_not_take_it(hub, cpo, emsp):
    url = reserve(hub, emsp, cpo, "NOT-TAKEN")
    refusal = b'{"status_code":3000,"timestamp":"2026-01-01T00:00:00Z"}'
    emsp.simulator.says = lambda message: raw(refusal, 500)
    assert ask(hub, cpo, "POST", url, body=b'{"result":"REJECTED"}').status == 500
    assert reached(cancel(hub, emsp, "NOT-TAKEN")) == ""


@pytest.mark.parametrize("is_confirmed", [True, False])
@pytest.mark.parametrize("refused_by", ["answer", "result"])
def test_a_refused_replacement_leaves_the_former_as_it_was(
    hub, cpo, emsp, refused_by, is_confirmed
):
    reservation_id = f"FORMER-{refused_by}-{is_confirmed}"
    url = reserve(hub, emsp, cpo, reservation_id, expiry_date="2098-01-01T00:00:00Z")
    if is_confirmed:
        tell(hub, cpo, url, "ACCEPTED")
    said = "REJECTED" if refused_by == "answer" else "ACCEPTED"
    url = reserve(hub, emsp, cpo, reservation_id, said, expiry_date="2099-01-01T00:00:00Z")
    if refused_by == "result":
        tell(hub, cpo, url, "EVSE_OCCUPIED")
    row = Reservation.objects.get(reservation_id=reservation_id.upper())
    assert row.expiry_date.year == 2098
    assert reached(cancel(hub, emsp, reservation_id)) == cpo.simulator.party.party_id


def test_a_confirmed_replacement_stands_for_the_former(hub, cpo, emsp):
    tell(hub, cpo, reserve(hub, emsp, cpo, "NEWER"), "ACCEPTED")
    tell(hub, cpo, reserve(hub, emsp, cpo, "NEWER", expiry_date="2097-01-01T00:00:00Z"), "ACCEPTED")
    assert Reservation.objects.get(reservation_id="NEWER").expiry_date.year == 2097


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("result", ["ACCEPTED", "CANCELED_RESERVATION", "UNKNOWN_RESERVATION"])
def test_a_cancel_that_is_accepted_ends_it(hub, cpo, emsp, result, is_named):
    reservation_id = f"CANCEL-{result}-{is_named}"
    for _ in range(2):
        reserve(hub, emsp, cpo, reservation_id)
    cancelled(hub, emsp, cpo, reservation_id, result, to=cpo if is_named else None)
    assert reached(cancel(hub, emsp, reservation_id)) == ""


@pytest.mark.parametrize("result", ["REJECTED", "FAILED", "TIMEOUT"])
def test_a_cancel_that_fails_leaves_it(hub, cpo, emsp, result):
    reserve(hub, emsp, cpo, f"KEEP-{result}")
    cancelled(hub, emsp, cpo, f"KEEP-{result}", result)
    assert reached(cancel(hub, emsp, f"KEEP-{result}")) == cpo.simulator.party.party_id


def test_a_cancel_that_its_cpo_does_not_take_leaves_it(hub, cpo, emsp):
    reserve(hub, emsp, cpo, "KEEP-ANSWER")
    cpo.simulator.says = lambda message: raw(response("REJECTED"))
    assert cancel(hub, emsp, "KEEP-ANSWER").code == 1000
    assert Reservation.objects.filter(reservation_id="KEEP-ANSWER").exists()


def test_a_late_result_of_a_cancel_does_not_end_the_next_reservation(hub, cpo, emsp):
    reserve(hub, emsp, cpo, "AGAIN")
    cpo.simulator.says = lambda message: raw(response("ACCEPTED"))
    cancel(hub, emsp, "AGAIN")
    url = commands_at(cpo)[-1].json()["response_url"]
    reserve(hub, emsp, cpo, "AGAIN")
    tell(hub, cpo, url, "ACCEPTED")
    assert reached(cancel(hub, emsp, "AGAIN")) == cpo.simulator.party.party_id


@pytest.mark.parametrize("on", ["first", "second"])
def test_the_cpo_cancels_on_any_url_that_it_was_given_for_it(hub, cpo, emsp, on):
    urls = {}
    for name in ("first", "second"):
        urls[name] = reserve(hub, emsp, cpo, f"BY-CPO-{on}")
        tell(hub, cpo, urls[name], "ACCEPTED")
    tell(hub, cpo, urls[on], "CANCELED_RESERVATION")
    assert reached(cancel(hub, emsp, f"BY-CPO-{on}")) == ""


def test_the_same_id_at_another_cpo_is_another_reservation(hub, cpo, second_cpo, emsp):
    tell(hub, cpo, reserve(hub, emsp, cpo, "MOVED"), "EVSE_OCCUPIED")
    tell(hub, second_cpo, reserve(hub, emsp, second_cpo, "MOVED"), "ACCEPTED")
    assert reached(cancel(hub, emsp, "MOVED")) == second_cpo.simulator.party.party_id
    reserve(hub, emsp, cpo, "MOVED")
    answer = cancel(hub, emsp, "MOVED")
    assert answer.said == UNKNOWN
    assert str(cpo.simulator.party) in answer.envelope["status_message"]
    cancelled(hub, emsp, cpo, "MOVED", "ACCEPTED", to=cpo)
    assert reached(cancel(hub, emsp, "MOVED")) == second_cpo.simulator.party.party_id


def test_of_another_emsp_it_is_another_reservation(hub, cpo, emsp):
    other = hub.join(Stranger(Role.EMSP))
    reserve(hub, emsp, cpo, "MINE")
    tell(hub, cpo, reserve(hub, other, cpo, "MINE"), "REJECTED")
    assert reached(cancel(hub, emsp, "MINE")) == cpo.simulator.party.party_id
    assert reached(cancel(hub, other, "MINE")) == ""


@pytest.mark.parametrize(("minutes", "is_known"), [(1, True), (50, True), (61, False)])
def test_it_is_forgotten_some_time_after_its_end(hub, cpo, emsp, minutes, is_known):
    reserve(hub, emsp, cpo, f"OVER-{minutes}")
    ended = timezone.now() - timedelta(minutes=minutes)
    Reservation.objects.filter(reservation_id=f"OVER-{minutes}").update(expiry_date=ended)
    assert bool(reached(cancel(hub, emsp, f"OVER-{minutes}"))) == is_known


def test_what_deviates_is_counted_for_who_sent_it(hub):
    cpo, emsp = hub.join(Stranger(Role.CPO)), hub.join(Stranger(Role.EMSP))
    url = reserve(hub, emsp, cpo, "COUNTED", expiry_date="2099-01-01T00:00:00+00:00")
    tell(hub, cpo, url, "evse_occupied")
    at_emsp = {("date-time", "ReserveNow.expiry_date")}
    at_cpo = {("unknown-enum-value", "CommandResult.result")}
    until(lambda: set(counts_of(emsp.simulator.party)) == at_emsp)
    until(lambda: set(counts_of(cpo.simulator.party)) == at_cpo)
