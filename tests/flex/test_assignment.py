"""Another FSP of a session in its middle: what ends, what the new one gets (SCALE D2.3, 11.4)."""

from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from flex.assignment import assign, reconsider
from flex.choice import Choice, FspKind, Speaker
from flex.models import FlexAgreement, FspAssignment, JournalEntry
from flex.set_fsp import set_fsp
from hub.db import sql
from hub.models import Delivery
from sessions.models import Session
from simulators.testing import PATIENCE
from tests.flex.agreements import agree
from tests.scripted import Held, code

WISHES = {"profile_type": "CHEAP", "departure_time": "2026-03-01T18:00:00Z", "energy_need": 12.5}


def told(session: Session) -> list[str]:
    return list(
        JournalEntry.objects.filter(session=session, topic="ASSIGNMENT")
        .order_by("pk")
        .values_list("reason", flat=True)
    )


def test_what_a_process_of_the_release_before_writes_is_read_as_what_it_meant(cast):
    cast.cpo.put_session("SWI-OLD", cast.emsp)
    session = Session.objects.get(session_id="SWI-OLD")
    for epoch, (fsp, kind) in enumerate(((cast.emsp, "EMSP"), (cast.scsp, "SCSP")), 1):
        sql.run(_AS_BEFORE, (session.pk, *fsp.party, epoch))
        current = FspAssignment.current(session)
        assert current is not None
        assert (current.choice.kind, current.label) == (kind, str(fsp))
        current.end("a test")
    # Neither did it know of what words have now.
    cpo = cast.other_cpo.party
    sql.run(_AGREED_BEFORE, (*cast.scsp.party, *cpo))
    word = FlexAgreement.objects.get(cpo_party_id=cpo.party_id)
    assert (word.kind, word.said_by, word.consent_by) == ("SCSP", "CPO", "")


_AS_BEFORE = """
    INSERT INTO flex_fspassignment (session_id, kind, fsp_country_code, fsp_party_id, epoch, reason,
                                    started_at, is_relayed)
    VALUES (%s, 'PARTY', %s, %s, %s, 'agreement 1', now(), true)
"""
_AGREED_BEFORE = """
    INSERT INTO flex_flexagreement (fsp_country_code, fsp_party_id, cpo_country_code, cpo_party_id,
                                    emsp_country_code, emsp_party_id, token_uid, location_id,
                                    is_active, created_at)
    VALUES (%s, %s, %s, %s, '', '', '', '', false, now())
"""


def test_the_new_fsp_gets_session_and_preferences_and_the_former_one_nothing_more(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("SWI-1", cast.emsp)
    path = "sender/sessions/SWI-1/charging_preferences"
    assert code(cast.emsp.send("PUT", path, WISHES, to=cast.cpo)) == 1000
    assert len(cast.scsp.wait_for("SWI-1", count=2)) == 2
    session = Session.objects.get(session_id="SWI-1")
    holding = Held()
    cast.scsp.answers("SWI-1", holding)
    later = {"last_updated": "2026-03-01T10:30:00Z", "kwh": 2}
    cast.cpo.put_session("SWI-1", cast.emsp, **later)
    assert holding.has_come.wait(PATIENCE)
    cast.cpo.put_session("SWI-1", cast.emsp, **later | {"kwh": 3})  # It waits behind that one.

    choice = Choice.of_party(cast.other_scsp.party, session.emsp, "agreement 9")
    new = assign(session, choice, because="its agreement has ended")
    assert (new and new.epoch, new and new.kind) == (2, FspKind.SCSP)
    former = FspAssignment.objects.get(session=session, epoch=1)
    assert former.ended_at is not None
    assert former.end_reason == "its agreement has ended"
    messages = cast.other_scsp.wait_for("SWI-1", count=2)
    assert [message.interface for message in messages] == ["receiver", "sender"]
    assert messages[0].json()["kwh"] == 3
    assert messages[1].json() == WISHES
    holding.may_go.set()
    waited = Delivery.objects.filter(ordering_key__startswith=f"session:{session.pk} ")
    assert waited.filter(to_party_id=cast.scsp.party.party_id).latest("pk").state == "DROPPED"
    assert told(session)[1:] == [
        f"{cast.other_scsp} is FSP now (agreement 9), {cast.scsp} was: its agreement has ended"
    ]
    # What follows goes to the new one, and the old one may do nothing more.
    cast.cpo.put_session("SWI-1", cast.emsp, kwh=4.5, last_updated="2026-03-01T11:00:00Z")
    assert cast.other_scsp.wait_for("SWI-1", count=3)[2].json()["kwh"] == 4.5
    for actor, result in ((cast.scsp, "REJECTED"), (cast.other_scsp, "ACCEPTED")):
        assert actor.put_profile("SWI-1", to=cast.cpo).json()["data"]["result"] == result
    assert len(cast.scsp.got("SWI-1")) == 3


def test_the_same_again_changes_nothing_and_nobody_lets_the_first_put_decide(cast):
    cast.cpo.put_session("SWI-2", cast.emsp)
    session = Session.objects.get(session_id="SWI-2")
    assert assign(session, None, because="nothing") is None
    none = assign(session, Choice(FspKind.NONE, "the operator"), because="the operator said so")
    assert none is not None
    again = assign(session, Choice(FspKind.NONE, "the CPO"), because="the CPO said so too")
    assert (again and again.pk, again and again.reason) == (none.pk, "the CPO")
    assert cast.emsp.put_profile("SWI-2").json()["data"]["result"] == "REJECTED"
    assert reconsider(session, because="the CPO took it back") is None
    assert cast.emsp.put_profile("SWI-2").json()["data"]["result"] == "ACCEPTED"
    first = reconsider(session, because="somebody looked again")
    assert (first and first.epoch, first and first.kind) == (2, FspKind.EMSP)


def test_a_session_that_is_over_keeps_its_fsp(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("SWI-3", cast.emsp)
    cast.cpo.put_session(
        "SWI-3", cast.emsp, status="COMPLETED", last_updated="2026-03-01T11:00:00Z"
    )
    session = Session.objects.get(session_id="SWI-3")
    kept = assign(session, Choice(FspKind.EV, "a test"), because="too late")
    assert kept is not None
    assert (kept.fsp, kept.epoch) == (cast.scsp.party, 1)


def test_words_at_once_leave_one_fsp_and_one_epoch_after_the_other(cast):
    cast.cpo.put_session("SWI-4", cast.emsp)
    session = Session.objects.get(session_id="SWI-4")

    def say(who: str) -> None:
        try:
            set_fsp(session, who, said_by=Speaker.OPERATOR)
        finally:
            connection.close()

    who = [str(cast.scsp), str(cast.other_scsp), "NONE", "EMSP"] * 3
    with ThreadPoolExecutor(4) as pool:
        done = pool.map(say, who)
        for minute in range(10, 20):
            later = f"2026-03-01T11:{minute}:00Z"
            cast.cpo.put_session("SWI-4", cast.emsp, kwh=minute, last_updated=later)
        assert list(done) == [None] * len(who)
    history = list(FspAssignment.objects.filter(session=session).order_by("epoch"))
    assert [one.epoch for one in history] == list(range(1, len(history) + 1))
    assert [one.ended_at is None for one in history] == [False] * (len(history) - 1) + [True]
    assert all(one.end_reason for one in history[:-1])
    [word] = FlexAgreement.objects.filter(session=session, is_active=True)
    assert f"agreement {word.pk}: " in history[-1].reason
    assert len(told(session)) == len(history)
