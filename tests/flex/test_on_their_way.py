"""What speaks of a Session whose PUT is still being answered (ocpi/ocpi#378)."""

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from flex.models import FspAssignment, PreferenceCopy
from hub.ocpi.party import PartyId
from party.messages import Received, Reply
from sessions import pushes
from sessions.models import Push, Session
from sessions.tasks import forget_left_behind
from simulators.testing import PATIENCE
from tests.flex.agreements import agree
from tests.running_hub import changed_setting
from tests.scripted import Actor, code

HUB = PartyId("NL", "HUB")
WISHES = {"profile_type": "CHEAP", "departure_time": "2026-03-01T18:00:00Z", "energy_need": 12.5}
LATER = "2026-03-01T11:00:00Z"


def meanwhile(
    receiver: Actor, session_id: str, does: Callable[[], Any], answer: Reply | None = None
) -> list[Any]:
    """Let a receiver do something inside the handler of the Session's PUT; what came of it."""
    done: list[Any] = []

    async def handle(message: Received) -> Reply:
        if message.method == "PUT" and message.interface == "receiver" and not done:
            done.append(await asyncio.to_thread(does))
            return answer or Reply()
        return Reply()

    receiver.answers(session_id, handle)
    return done


def wish(cast, session_id: str, to: Actor | None = None):
    path = f"sender/sessions/{session_id}/charging_preferences"
    return cast.emsp.send("PUT", path, WISHES, to=to)


def copies(session_id: str) -> list[PreferenceCopy]:
    return list(PreferenceCopy.objects.filter(session__session_id=session_id))


def listed(viewer: Actor) -> list[str]:
    data = viewer.send("GET", "sender/sessions?limit=500", to=HUB).json()["data"]
    return [one["id"] for one in data]


def accepts(cast, session_id: str) -> None:
    """The CPO accepts whatever it is asked."""

    async def handle(message: Received) -> Reply:
        if "charging_preferences" in message.parts:
            return Reply("ACCEPTED")
        return Reply({"result": "ACCEPTED", "timeout": 30})

    cast.cpo.answers(session_id, handle)


@pytest.mark.parametrize("is_named", [True, False])
def test_preferences_inside_the_handler_reach_cpo_and_fsp_in_their_order(cast, is_named):
    session_id = f"WAY-1-{is_named}"
    agree(cast.scsp, cpo=cast.cpo)
    to = cast.cpo if is_named else None
    done = meanwhile(cast.emsp, session_id, lambda: wish(cast, session_id, to))
    assert code(cast.cpo.put_session(session_id, cast.emsp)) == 1000
    assert done[0].json()["data"] == "ACCEPTED"
    given = cast.scsp.wait_for(session_id, count=2)
    assert [message.interface for message in given] == ["receiver", "sender"]
    assert given[1].json() == WISHES
    [copy] = copies(session_id)
    assert not copy.is_waiting
    assert not Session.objects.named(session_id).get().has_waiting


def test_a_profile_inside_the_handler_finds_its_session(cast):
    done = meanwhile(cast.emsp, "WAY-2", lambda: cast.emsp.put_profile("WAY-2"))
    assert code(cast.cpo.put_session("WAY-2", cast.emsp)) == 1000
    assert done[0].json()["data"]["result"] == "ACCEPTED"
    assert len(cast.cpo.asked("WAY-2")) == 1


def test_a_profile_of_an_scsp_that_is_just_being_sent_the_session_is_carried(cast):
    """Also of a Session that the hub knows already, from its eMSP."""
    cast.cpo.put_session("WAY-3", cast.emsp)
    done = meanwhile(cast.scsp, "WAY-3", lambda: cast.scsp.put_profile("WAY-3"))
    assert code(cast.cpo.put_session("WAY-3", cast.emsp, to=cast.scsp)) == 1000
    assert done[0].json()["data"]["result"] == "ACCEPTED"
    session = Session.objects.named("WAY-3").get()
    assert session.sent_to == [str(cast.emsp), str(cast.scsp)]
    assert session.underway_to == []


def test_a_patch_inside_the_handler_is_kept_and_survives_the_put(cast):
    agree(cast.scsp, cpo=cast.cpo)
    period = {"start_date_time": LATER, "dimensions": [{"type": "TIME", "volume": 1}]}
    patch = {"kwh": 7, "charging_periods": [period], "last_updated": LATER}
    path = cast.cpo.session_path("WAY-4")
    done = meanwhile(cast.emsp, "WAY-4", lambda: cast.cpo.send("PATCH", path, patch))
    assert code(cast.cpo.put_session("WAY-4", cast.emsp)) == 1000
    assert code(done[0]) == 1000
    session = Session.objects.named("WAY-4").get()
    expected = cast.cpo.session("WAY-4", cast.emsp) | patch
    assert json.loads(bytes(session.document)) == expected
    assert session.is_accepted
    cast.scsp.running.wait_for(lambda: cast.scsp.got("WAY-4")[-1:])
    assert cast.scsp.got("WAY-4")[-1].json() == expected


def test_until_it_is_accepted_nobody_is_shown_it(cast):
    seen = meanwhile(cast.emsp, "WAY-5", lambda: (listed(cast.cpo), listed(cast.emsp)))
    cast.cpo.put_session("WAY-5", cast.emsp)
    assert not any("WAY-5" in one for one in seen[0])
    assert "WAY-5" in listed(cast.cpo)
    assert "WAY-5" in listed(cast.emsp)


def test_a_stranger_learns_nothing_of_a_session_on_its_way(cast):
    def ask():
        path = "sender/sessions/WAY-6/charging_preferences"
        return (
            cast.other_emsp.send("PUT", path, WISHES),
            cast.other_emsp.send("PUT", path, WISHES, to=cast.cpo),
            cast.other_emsp.put_profile("WAY-6"),
        )

    done = meanwhile(cast.emsp, "WAY-6", ask)
    cast.cpo.put_session("WAY-6", cast.emsp)
    open_, named, profile = done[0]
    assert code(open_) == 4001
    assert named.status_code == 404
    assert profile.json()["data"]["result"] == "UNKNOWN_SESSION"
    assert cast.cpo.got("WAY-6") == []


REFUSALS = [
    Reply(status_code=2001, message="no"),
    Reply(http_status=500, status_code=3000),
    Reply(http_status=404, status_code=2000),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_first_session_that_is_refused_is_forgotten_with_what_hangs_on_it(cast, refusal):
    session_id = f"GONE-{refusal.http_status}-{refusal.status_code}"
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.answers(session_id, Reply(status_code=2001))

    def act():
        cast.emsp.put_profile(session_id)
        return wish(cast, session_id)

    done = meanwhile(cast.emsp, session_id, act, refusal)
    response = cast.cpo.put_session(session_id, cast.emsp)
    assert (response.status_code, code(response)) == (refusal.http_status, refusal.status_code)
    assert code(done[0]) == 2001
    assert not Session.objects.named(session_id).exists()
    assert copies(session_id) == []
    assert not FspAssignment.objects.filter(session__session_id=session_id).exists()
    assert cast.scsp.got(session_id) == []


def test_preferences_that_the_cpo_accepted_stay_though_the_session_is_refused(cast):
    agree(cast.scsp, cpo=cast.cpo)
    accepts(cast, "STAY-1")
    refusal = Reply(http_status=500, status_code=3000)
    done = meanwhile(cast.emsp, "STAY-1", lambda: wish(cast, "STAY-1"), refusal)
    assert cast.cpo.put_session("STAY-1", cast.emsp).status_code == 500
    assert done[0].json()["data"] == "ACCEPTED"
    [copy] = copies("STAY-1")
    assert copy.cpo_answer == "ACCEPTED"
    [message] = cast.scsp.wait_for("STAY-1")
    assert message.json() == WISHES
    assert "STAY-1" not in listed(cast.cpo) + listed(cast.emsp)
    cast.cpo.put_session("STAY-1", cast.emsp)
    assert "STAY-1" in listed(cast.emsp)
    assert [one.interface for one in cast.scsp.wait_for("STAY-1", count=2)] == [
        "sender",
        "receiver",
    ]
    assert len(copies("STAY-1")) == 1


def test_a_refused_update_leaves_the_former_state(cast):
    cast.cpo.put_session("FORMER-1", cast.emsp, kwh=1)
    wish(cast, "FORMER-1")
    for receiver in (cast.emsp, cast.scsp):
        receiver.answers("FORMER-1", Reply(status_code=2001))
        cast.cpo.put_session("FORMER-1", cast.emsp, to=receiver, kwh=2, last_updated=LATER)
    session = Session.objects.named("FORMER-1").get()
    assert (session.kwh, session.is_accepted) == (1, True)
    assert (session.sent_to, session.underway_to) == ([str(cast.emsp)], [])
    assert len(copies("FORMER-1")) == 1


@pytest.mark.parametrize("first", ["emsp", "scsp"])
def test_of_two_receivers_at_once_one_that_accepts_is_enough(cast, first):
    session_id = f"TWO-1-{first}"
    may_answer = {name: threading.Event() for name in ("emsp", "scsp")}
    asked = {name: threading.Event() for name in ("emsp", "scsp")}

    def hesitates(name: str, answer: Reply) -> None:
        async def handle(message: Received) -> Reply:
            asked[name].set()
            await asyncio.to_thread(may_answer[name].wait, PATIENCE)
            return answer

        getattr(cast, name).answers(session_id, handle)

    hesitates("emsp", Reply())
    hesitates("scsp", Reply(status_code=2001))
    with ThreadPoolExecutor(2) as pool:
        answers = {
            name: pool.submit(cast.cpo.put_session, session_id, cast.emsp, to=getattr(cast, name))
            for name in may_answer
        }
        for event in asked.values():
            assert event.wait(PATIENCE)
        for name in (first, *({"emsp", "scsp"} - {first})):
            may_answer[name].set()
            answers[name].result(PATIENCE)
    session = Session.objects.named(session_id).get()
    assert session.is_accepted
    assert (session.sent_to, session.underway_to) == ([str(cast.emsp)], [])


def test_a_receiver_that_is_gone_or_too_slow_leaves_nothing(cast):
    may_answer = threading.Event()

    async def hesitate(message: Received) -> Reply:
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return Reply()

    cast.emsp.answers("LOST-1", hesitate)
    with changed_setting("FORWARD_TIMEOUT", 1.0):
        assert code(cast.cpo.put_session("LOST-1", cast.emsp)) == 4002
    may_answer.set()
    assert not Session.objects.named("LOST-1").exists()
    gone = Actor(cast.hub, next(iter(cast.emsp.platform.roles))[1])
    gone.running.set_faults(gone=True)
    assert code(cast.cpo.put_session("LOST-2", gone)) == 4003
    assert not Session.objects.named("LOST-2").exists()


def test_what_the_hub_holds_back_is_the_senders_to_send_again_and_nobody_elses(cast):
    """It says nothing of the eMSP, and what its CPO has been refused is not given to the FSP."""
    agree(cast.scsp, cpo=cast.cpo)
    patch = {"kwh": 4, "last_updated": LATER}
    path = cast.cpo.session_path("HELD-2")
    assert code(cast.cpo.put_session("HELD-2", cast.emsp)) == 1000
    cast.scsp.wait_for("HELD-2")
    with changed_setting("FORWARDS_PER_RECEIVER", 0):
        for answer in (
            cast.cpo.put_session("HELD-1", cast.emsp),
            cast.cpo.send("PATCH", path, patch, to=cast.emsp),
        ):
            assert (code(answer), answer.headers["Retry-After"]) == (3000, "1")
    assert not Session.objects.named("HELD-1").exists()
    kept = Session.objects.named("HELD-2").get()
    assert (kept.unanswered_by, kept.sent_to) == ("", [str(cast.emsp)])
    # They come again.
    assert code(cast.cpo.put_session("HELD-1", cast.emsp)) == 1000
    assert "X-Flexhub-Unanswered-By" not in cast.scsp.wait_for("HELD-1")[0].headers
    assert code(cast.cpo.send("PATCH", path, patch, to=cast.emsp)) == 1000
    second = cast.scsp.wait_for("HELD-2", count=2)[1]
    assert second.json()["kwh"] == 4
    assert "X-Flexhub-Unanswered-By" not in second.headers


def test_what_a_process_that_died_left_on_its_way_is_forgotten(cast):
    owner, emsp = cast.cpo.party, cast.emsp.party
    began = timezone.now()
    for session_id in ("DEAD-1", "DEAD-2", "ALIVE-1"):
        document = json.dumps(cast.cpo.session(session_id, cast.emsp)).encode()
        Session.leaves(Push(owner, session_id, document, emsp))
    accepts(cast, "DEAD-2")
    agree(cast.scsp, cpo=cast.cpo)
    assert wish(cast, "DEAD-2").json()["data"] == "ACCEPTED"
    assert copies("DEAD-2")[0].is_waiting
    past = timezone.now() - timedelta(seconds=1)
    Session.objects.filter(session_id__startswith="DEAD").update(underway_until=past)
    forget_left_behind()
    assert not Session.objects.named("DEAD-1").exists()
    assert len(cast.scsp.wait_for("DEAD-2")) == 1
    assert not copies("DEAD-2")[0].is_waiting
    assert not Session.objects.named("DEAD-2").get().is_accepted
    forget_left_behind()
    assert Session.objects.named("DEAD-2").exists()
    # Longer than a call may take, and no moment before.
    alive = Session.objects.named("ALIVE-1").get()
    assert alive.underway_until is not None
    assert alive.underway_until > began + timedelta(seconds=settings.FORWARD_TIMEOUT)
    cast.cpo.put_session("ALIVE-1", cast.emsp)
    assert Session.objects.named("ALIVE-1").get().is_accepted
    assert pushes.end_left_behind() == 0


def test_a_session_that_came_before_is_not_written_down_again_before_it_leaves(cast):
    cast.cpo.put_session("KNOWN-1", cast.emsp)

    def underway() -> list[str]:
        return Session.objects.named("KNOWN-1").get().underway_to

    done = meanwhile(cast.emsp, "KNOWN-1", underway)
    cast.cpo.put_session("KNOWN-1", cast.emsp, kwh=2)
    assert done == [[]]
    assert Session.objects.named("KNOWN-1").get().kwh == 2
