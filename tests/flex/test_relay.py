"""What the FSP gets: Sessions FROM the CPO, preferences FROM the eMSP (SCALE D2.3, 11.4)."""

import asyncio
import threading
from typing import Any

import pytest

from flex import relay
from flex.models import PreferenceCopy
from hub.models import Agreement, Delivery
from hub.ocpi.datatypes import Role
from party.messages import Received, Reply
from sessions.models import Session
from simulators.testing import PATIENCE
from tests.flex.agreements import agree
from tests.hub.strangers import until
from tests.scripted import SENDER, Actor, code

LATER = "2026-03-01T11:00:00Z"
WISHES = {"profile_type": "CHEAP", "departure_time": "2026-03-01T18:00:00Z", "energy_need": 12.5}


def owed(session_id: str) -> int:
    """How many pushes about this session the hub has ever owed anybody."""
    return Delivery.objects.filter(path__icontains=session_id).count()


def wish(cast, session_id: str, body: bytes | dict[str, Any] | None = None):
    path = f"sender/sessions/{session_id}/charging_preferences"
    return cast.emsp.send("PUT", path, body or WISHES, to=cast.cpo)


# --- Sessions ----------------------------------------------------------------------------------


def test_the_fsp_gets_the_session_as_a_put_from_the_cpo(cast):
    agree(cast.scsp, cpo=cast.cpo)
    body = str(cast.cpo.session("REL-1", cast.emsp)).replace("'", '"').replace("0.0", "0.00")
    path = cast.cpo.session_path("REL-1")
    sent = {"X-Correlation-ID": "correlation-rel-1"}
    cast.cpo.send("PUT", path, f" {body}\n".encode(), to=cast.emsp, headers=sent)
    [message] = cast.scsp.wait_for("REL-1")
    assert (message.method, message.interface) == ("PUT", "receiver")
    assert message.parts == (*cast.cpo.party, "REL-1")
    assert (message.from_party, message.to_party) == (cast.cpo.party, cast.scsp.party)
    assert message.body == f" {body}\n".encode()
    assert message.headers["X-Correlation-ID"] == "correlation-rel-1"
    assert message.connection is not None


def test_after_a_patch_the_fsp_gets_the_whole_session(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("REL-2", cast.emsp, x_own={"a": 1})
    cast.scsp.wait_for("REL-2")
    patch = {"kwh": 7.5, "last_updated": LATER}
    cast.cpo.send("PATCH", cast.cpo.session_path("REL-2"), patch, to=cast.emsp)
    second = cast.scsp.wait_for("REL-2", count=2)[1]
    assert second.method == "PUT"
    assert second.json() == cast.cpo.session("REL-2", cast.emsp, x_own={"a": 1}) | patch


def test_updates_arrive_in_order(cast):
    agree(cast.scsp, cpo=cast.cpo)
    for kwh in range(8):
        moment = f"2026-03-01T10:00:0{kwh}Z"
        cast.cpo.put_session("REL-3", cast.emsp, kwh=kwh, last_updated=moment)
    cast.scsp.running.wait_for(lambda: cast.scsp.got("REL-3")[-1:] and last_kwh(cast.scsp) == 7)
    seen = [message.json()["kwh"] for message in cast.scsp.got("REL-3")]
    assert seen == sorted(seen)


def last_kwh(actor: Actor) -> Any:
    return actor.got("REL-3")[-1].json()["kwh"]


def test_what_the_cpo_sends_itself_is_not_sent_twice(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("REL-4", cast.emsp, to=cast.scsp)
    cast.cpo.put_session("REL-4", cast.emsp)
    patch = {"kwh": 1, "last_updated": LATER}
    for receiver in (cast.scsp, cast.emsp):
        cast.cpo.send("PATCH", cast.cpo.session_path("REL-4"), patch, to=receiver)
    assert len(cast.scsp.got("REL-4")) == 2
    assert owed("REL-4") == 0


def test_what_the_cpo_sends_the_emsp_alone_is_given_though_it_sent_an_older_one_itself(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("REL-20", cast.emsp, to=cast.scsp)
    patch = {"kwh": 1, "last_updated": LATER}
    cast.cpo.send("PATCH", cast.cpo.session_path("REL-20"), patch, to=cast.emsp)
    [_, given] = cast.scsp.wait_for("REL-20", count=2)
    assert (given.method, given.json()["kwh"]) == ("PUT", 1)
    # An older one of the CPO's own is followed by what the FSP lacks then.
    cast.cpo.put_session("REL-20", cast.emsp, to=cast.scsp)
    assert cast.scsp.wait_for("REL-20", count=4)[3].json() == given.json()


def test_charging_periods_stand_at_the_fsp_once(cast):
    """The CPO's own PATCH would add to those that the hub has given it already."""
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("REL-21", cast.emsp)
    cast.scsp.wait_for("REL-21")
    period = {
        "start_date_time": "2026-03-01T10:30:00Z",
        "dimensions": [{"type": "ENERGY", "volume": 1.0}],
    }
    patch = {"charging_periods": [period], "last_updated": LATER}
    for receiver in (cast.emsp, cast.scsp):
        cast.cpo.send("PATCH", cast.cpo.session_path("REL-21"), patch, to=receiver)
    cast.scsp.wait_for("REL-21", count=4)
    held: list = []
    for message in cast.scsp.got("REL-21"):
        periods = message.json().get("charging_periods", [])
        held = periods if message.method == "PUT" else [*held, *periods]
    assert held == [period]


def test_what_waits_is_sent_neither_after_a_newer_one_nor_after_its_pair_was_closed(cast):
    slow = Actor(cast.hub, Role.SCSP)
    agree(slow, cpo=cast.cpo)
    waiting = Delivery.objects.filter(state="WAITING", to_party_id=slow.party.party_id)
    for session_id in ("REL-22", "REL-23"):
        slow.answers(session_id, Reply(http_status=429, headers={"Retry-After": "1"}))
        cast.cpo.put_session(session_id, cast.emsp)
        wish(cast, session_id)
    assert waiting.count() == 4
    session = Session.objects.named("REL-22").get()
    relay.end_waiting(session, slow.party, "a newer one has come")
    row = closed(cast.cpo, slow)
    until(lambda: not waiting.exists())
    row.delete()
    ended = Delivery.objects.filter(path__contains="REL-2", to_party_id=slow.party.party_id)
    told = dict(ended.values_list("path", "outcome"))
    assert {text.partition(":")[0] for path, text in told.items() if "REL-23" in path} == {
        "the parties may not exchange it any more"
    }
    assert "newer" in told["/".join((*cast.cpo.party, "REL-22"))]
    assert set(ended.values_list("state", flat=True)) == {"DROPPED"}


def closed(one: Actor, other: Actor) -> Agreement:
    """These two may exchange no Sessions."""
    return Agreement.objects.create(
        country_code_a=one.party.country_code,
        party_id_a=one.party.party_id,
        country_code_b=other.party.country_code,
        party_id_b=other.party.party_id,
        module="sessions",
        is_open=False,
    )


def test_what_the_emsp_did_not_answer_is_given_and_says_so(cast):
    agree(cast.scsp, cpo=cast.cpo)
    silent = Actor(cast.hub, Role.EMSP)
    silent.running.set_faults(gone=True)
    assert code(cast.cpo.put_session("REL-24", silent)) == 4003
    [first] = cast.scsp.wait_for("REL-24")
    assert first.headers["X-Flexhub-Unanswered-By"] == str(silent.party)
    assert first.json() == cast.cpo.session("REL-24", silent)
    patch = {"kwh": 4, "last_updated": LATER}
    path = cast.cpo.session_path("REL-24")
    assert code(cast.cpo.send("PATCH", path, patch, to=silent)) == 4003
    assert cast.scsp.wait_for("REL-24", count=2)[1].json()["kwh"] == 4
    session = Session.objects.named("REL-24").get()
    assert (session.unanswered_by, session.sent_to) == (str(silent.party), [])
    silent.running.clear_faults()
    until(lambda: code(cast.cpo.put_session("REL-24", silent, kwh=5, last_updated=LATER)) == 1000)
    last = cast.scsp.wait_for("REL-24", count=3)[2]
    assert "X-Flexhub-Unanswered-By" not in last.headers
    assert Session.objects.named("REL-24").get().unanswered_by == ""


def test_once_the_cpo_sends_itself_the_hub_stops(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("REL-5", cast.emsp)
    cast.scsp.wait_for("REL-5")
    cast.cpo.put_session("REL-5", cast.emsp, to=cast.scsp)
    cast.cpo.put_session("REL-5", cast.emsp, kwh=2)
    assert len(cast.scsp.got("REL-5")) == 2
    assert owed("REL-5") == 1


def test_what_the_fsp_refused_from_the_cpo_counts_as_not_sent(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.scsp.answers("REL-6", Reply(status_code=2001))
    cast.cpo.put_session("REL-6", cast.emsp, to=cast.scsp)
    cast.scsp.answers("REL-6", Reply())
    cast.cpo.put_session("REL-6", cast.emsp)
    assert len(cast.scsp.wait_for("REL-6", count=2)) == 2


@pytest.mark.parametrize(
    ("session_id", "answer"),
    [("REL-7-A", Reply(status_code=2001)), ("REL-7-B", Reply(http_status=500))],
)
def test_what_the_emsp_refused_is_not_given(cast, session_id, answer):
    agree(cast.scsp, cpo=cast.cpo)
    cast.emsp.answers(session_id, answer)
    cast.cpo.put_session(session_id, cast.emsp)
    assert owed(session_id) == 0


def test_what_is_older_than_what_is_kept_is_not_given(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("REL-8", cast.emsp, last_updated=LATER)
    cast.cpo.put_session("REL-8", cast.emsp, last_updated="2026-03-01T10:30:00Z")
    assert owed("REL-8") == 1


def test_nobody_without_an_agreement_gets_anything(cast):
    assert cast.other_scsp
    cast.cpo.put_session("REL-9", cast.emsp)
    wish(cast, "REL-9")
    assert owed("REL-9") == 0
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("REL-10", cast.emsp)
    cast.scsp.wait_for("REL-10")
    assert cast.other_scsp.got("REL-10") == []
    assert owed("REL-10") == 1


def test_an_agreement_made_meanwhile_counts_from_the_next_update(cast):
    cast.cpo.put_session("REL-11", cast.emsp)
    agree(cast.scsp, cpo=cast.cpo)
    patch = {"kwh": 3, "last_updated": LATER}
    cast.cpo.send("PATCH", cast.cpo.session_path("REL-11"), patch, to=cast.emsp)
    [message] = cast.scsp.wait_for("REL-11")
    assert message.json() == cast.cpo.session("REL-11", cast.emsp) | patch


def test_the_end_of_the_session_is_given_too(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("REL-12", cast.emsp)
    cast.scsp.wait_for("REL-12")
    patch = {"status": "COMPLETED", "last_updated": LATER}
    cast.cpo.send("PATCH", cast.cpo.session_path("REL-12"), patch, to=cast.emsp)
    assert cast.scsp.wait_for("REL-12", count=2)[1].json()["status"] == "COMPLETED"


def test_an_emsp_that_is_fsp_gets_nothing_twice(cast):
    agree(cast.emsp, cpo=cast.cpo)
    cast.cpo.put_session("REL-13", cast.emsp)
    wish(cast, "REL-13")
    assert owed("REL-13") == 0
    assert len(cast.emsp.got("REL-13")) == 1


def test_a_slow_fsp_keeps_neither_the_cpo_nor_the_emsp_waiting(cast):
    slow = Actor(cast.hub, Role.SCSP)
    agree(slow, cpo=cast.cpo)
    may_answer, answered = threading.Event(), []

    async def hesitate(message: Received) -> Reply:
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        answered.append(message)
        return Reply()

    slow.answers("REL-14", hesitate)
    assert code(cast.cpo.put_session("REL-14", cast.emsp)) == 1000
    assert code(wish(cast, "REL-14")) == 1000
    slow.wait_for("REL-14")
    assert not answered
    may_answer.set()
    assert len(slow.wait_for("REL-14", count=2)) == 2


def test_an_id_that_needs_encoding_is_encoded(cast):
    agree(cast.scsp, cpo=cast.cpo)
    document = cast.cpo.session("REL/15 ?#", cast.emsp)
    path = cast.cpo.session_path("REL%2F15%20%3F%23")
    assert code(cast.cpo.send("PUT", path, document, to=cast.emsp)) == 1000
    wish(cast, "REL%2F15%20%3F%23")
    first, second = cast.scsp.wait_for("REL/15 ?#", count=2)
    assert {first.parts, second.parts} == {
        (*cast.cpo.party, "REL/15 ?#"),
        ("REL/15 ?#", "charging_preferences"),
    }


def test_a_pair_that_the_operator_has_closed_exchanges_nothing(cast):
    out = Actor(cast.hub, Role.SCSP)
    agree(out, cpo=cast.cpo)
    closed(cast.cpo, out)
    until(lambda: code(cast.cpo.put_session("OUT", cast.emsp, to=out)) == 4003)
    cast.cpo.put_session("REL-16", cast.emsp)
    wish(cast, "REL-16")
    assert owed("REL-16") == 0


# --- Preferences -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session_id", "answer"),
    [
        ("WISH-1", Reply("ACCEPTED")),
        ("WISH-2", Reply("NOT_POSSIBLE")),
        ("WISH-3", Reply(http_status=404, status_code=2001)),
        ("WISH-4", Reply(status_code=2001)),
    ],
)
def test_the_fsp_gets_the_wishes_from_the_emsp_whatever_the_cpo_said(cast, session_id, answer):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session(session_id, cast.emsp)
    cast.cpo.answers(session_id, answer)
    body = b'{ "energy_need":12.50, "profile_type":"CHEAP","x_soc":0.10 }'
    response = wish(cast, session_id, body)
    assert (response.status_code, code(response)) == (answer.http_status, answer.status_code)
    given = cast.scsp.wait_for(session_id, count=2)
    [message] = [one for one in given if one.interface == "sender"]
    assert (message.method, message.parts) == ("PUT", (session_id, "charging_preferences"))
    assert message.body == body
    assert (message.from_party, message.to_party) == (cast.emsp.party, cast.scsp.party)


def test_the_emsp_hears_the_cpo_and_never_the_fsp(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("WISH-5", cast.emsp)
    cast.scsp.answers("WISH-5", Reply("NOT_POSSIBLE"))
    assert wish(cast, "WISH-5").json()["data"] == "ACCEPTED"
    assert PreferenceCopy.objects.get(session__session_id="WISH-5").cpo_answer == "ACCEPTED"


def test_an_fsp_without_that_interface_gets_the_session_alone(cast):
    plain = Actor(cast.hub, Role.SCSP, without=[("sessions", SENDER)])
    agree(plain, cpo=cast.cpo)
    cast.cpo.put_session("WISH-6", cast.emsp)
    assert wish(cast, "WISH-6").json()["data"] == "ACCEPTED"
    plain.wait_for("WISH-6")
    assert owed("WISH-6") == 1
    assert PreferenceCopy.objects.filter(session__session_id="WISH-6").count() == 1


def test_wishes_of_a_stranger_reach_nobody(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("WISH-7", cast.emsp)
    path = "sender/sessions/WISH-7/charging_preferences"
    assert cast.other_emsp.send("PUT", path, WISHES, to=cast.cpo).status_code == 404
    assert owed("WISH-7") == 1
    assert cast.cpo.got("WISH-7") == []


def test_who_became_fsp_by_a_profile_gets_the_wishes(cast):
    cast.cpo.put_session("WISH-8", cast.emsp)
    cast.cpo.put_session("WISH-8", cast.emsp, to=cast.scsp)
    wish(cast, "WISH-8")
    assert owed("WISH-8") == 0
    assert cast.scsp.put_profile("WISH-8").json()["data"]["result"] == "ACCEPTED"
    wish(cast, "WISH-8")
    given = cast.scsp.wait_for("WISH-8", method="PUT", count=2)
    assert [message.interface for message in given] == ["receiver", "sender"]
