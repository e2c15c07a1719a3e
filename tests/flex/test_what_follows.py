"""What follows the end of a command, the silence of an FSP, and a departure; over HTTP."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from charging_profiles.models import ProfileCommand
from flex import hub_commands
from flex.api.shown import Shower
from flex.life import means, spacing, unknown, watching
from flex.life.models import HubCommand, LookedUntil, SteeredSession, Step
from flex.models import FspAssignment, JournalEntry, PreferenceCopy
from flex.sites import keeping
from flex.sites.models import SiteLimit
from flex.switching import commands
from hub.db import leases
from hub.db.one_by_one import each
from sessions.models import Session
from tests.charging_profiles.test_order import methods, wait
from tests.flex.steering import (
    ACCEPTED,
    active,
    advance,
    connector_of_32_amperes,
    ended,
    forget_what_was_learned,
    goes_on,
    has_sent,
    journal,
    says,
    steered,
    told,
)
from tests.minimal import MOMENT
from tests.running_hub import changed_setting

LATER = {"last_updated": "2026-03-01T12:00:00Z"}


@pytest.fixture(autouse=True)
def _nothing_stays_learned(hub) -> Iterator[None]:
    yield
    forget_what_was_learned()


def prefers(cast, session_id: str, profile_type: str, hours: float = 6) -> PreferenceCopy:
    departure = timezone.now() + timedelta(hours=hours)
    body = {"profile_type": profile_type, "departure_time": f"{departure:%Y-%m-%dT%H:%M:%SZ}"}
    path = f"sender/sessions/{session_id}/charging_preferences"
    assert cast.emsp.send("PUT", path, body, to=cast.cpo).status_code == 200
    return PreferenceCopy.objects.filter(session__session_id=session_id).latest("pk")


def test_after_a_put_without_a_result_the_active_profile_is_asked_for(cast):
    session = steered(cast, "END-1")
    assert cast.emsp.put_profile("END-1").json()["data"] == ACCEPTED
    ProfileCommand.objects.filter(session=session, state="ACCEPTED").update(result_by=Now())
    assert has_sent(cast, "END-1", "PUT", "PUT", "GET")
    told(cast.cpo, "END-1", 3, active(8))
    assert ended(HubCommand.objects.get(session=session)).step == Step.DONE
    said = journal(session)
    assert f"{cast.emsp.party}'s PUT ended as EXPIRED. The CPO has accepted it and never" in said
    assert "The CPO was asked for the active profile: it has told it." in said
    # Once, however often the turn comes.
    advance()
    assert methods(cast, "END-1") == ["PUT", "PUT", "GET"]


def test_a_session_that_its_cpo_does_not_know_is_steered_no_more_until_it_is_heard_of(cast):
    session = steered(cast, "END-2")
    says(cast.cpo, "END-2", "UNKNOWN_SESSION")
    assert cast.emsp.put_profile("END-2").json()["data"]["result"] == "UNKNOWN_SESSION"
    assert goes_on(lambda: unknown.is_unknown(session))
    asked = hub_commands.ask_active(session, "a test")
    assert ended(asked).step == Step.FAILED
    release = hub_commands.release(session, "a test")
    assert goes_on(lambda: HubCommand.objects.get(pk=release.pk).due_at > leases.now())
    assert methods(cast, "END-2") == ["PUT", "PUT"]
    # A party's own goes as ever.
    assert cast.emsp.get_profile("END-2").json()["data"] == ACCEPTED
    cast.cpo.put_session("END-2", cast.emsp, **LATER)
    assert has_sent(cast, "END-2", "PUT", "PUT", "GET", "DELETE")


def test_what_an_evse_does_not_support_is_learned_until_it_is_accepted(cast):
    session = steered(cast, "END-3")
    says(cast.cpo, "END-3", "NOT_SUPPORTED", "NOT_SUPPORTED")
    asked = hub_commands.ask_active(session, "a test")
    assert ended(asked).step == Step.FAILED
    assert goes_on(lambda: means.is_not_taken(session, "GET"))
    assert ended(hub_commands.ask_active(session, "once more")).step == Step.FAILED
    release = hub_commands.release(session, "a test")
    connector_of_32_amperes(cast)
    assert has_sent(cast, "END-3", "PUT", "GET", "DELETE", "PUT")
    told(cast.cpo, "END-3", 4)
    # It is taken, but that cannot be verified: the operator is told.
    assert "cannot be verified" in ended(release).outcome
    attention = JournalEntry.objects.filter(session=session, detail__attention=True)
    assert "cannot be verified" in attention.get().reason
    assert cast.emsp.get_profile("END-3").json()["data"] == ACCEPTED
    LookedUntil.objects.filter(what="accepted").update(until=Now() - timedelta(minutes=1))
    assert goes_on(lambda: not means.is_not_taken(session, "GET"))


def test_too_often_is_passed_on_and_the_hubs_own_gets_keep_the_spacing(cast):
    session = steered(cast, "END-4")
    says(cast.cpo, "END-4")
    assert cast.emsp.get_profile("END-4").json()["data"] == ACCEPTED
    says(cast.cpo, "END-4", "TOO_OFTEN")
    assert cast.emsp.get_profile("END-4").json()["data"]["result"] == "TOO_OFTEN"
    assert goes_on(lambda: spacing.of_cpo(cast.cpo.party))
    [known] = spacing.of_cpo(cast.cpo.party)
    assert (known.of, known.within, known.refusals) == ("GET", "SESSION", 1)
    known.seconds = spacing.MOST
    known.save()
    assignment = FspAssignment.current(session)
    assert assignment is not None
    [shown] = Shower().fsp_session(session, assignment).spacings
    assert (shown.of, shown.within, shown.seconds) == ("GET", "SESSION", spacing.MOST)
    asked = hub_commands.ask_active(session, "a test", since=leases.now())
    assert wait(lambda: advance() or HubCommand.objects.get(pk=asked.pk).due_at > leases.now())
    # The newest waits alone; a party's own does not wait, and serves it.
    assert hub_commands.ask_active(session, "later", since=leases.now()) == asked
    assert cast.emsp.get_profile("END-4").json()["data"] == ACCEPTED
    told(cast.cpo, "END-4", 4, active(8))
    assert ended(asked).step == Step.DONE
    assert methods(cast, "END-4") == ["PUT", "GET", "GET", "GET"]
    # What the hub has cleared may have been all there was: whether it was does not wait.
    commands.clear(ProfileCommand.objects.filter(session=session).earliest("pk"), 1)
    assert has_sent(cast, "END-4", "PUT", "GET", "GET", "GET", "DELETE")
    told(cast.cpo, "END-4", 5)
    hub_commands.ask_active(session, "it was cleared", since=leases.now())
    assert has_sent(cast, "END-4", "PUT", "GET", "GET", "GET", "DELETE", "GET")
    told(cast.cpo, "END-4", 6, active(8))
    # What was accepted sooner shows that so much is not needed.
    type(known).objects.update(looked_at=Now() - timedelta(seconds=spacing.MOST / 2 + 1))
    spacing.forget_what_was_not_needed()
    assert spacing.of_cpo(cast.cpo.party)[0].seconds == spacing.MOST / 2


def test_one_that_fails_keeps_no_other_from_its_turn(cast):
    done = []

    def go_on(item: int) -> None:
        done.append(6 // item)

    assert each([1, 0, 3], go_on) == [0]
    assert done == [6, 2]


def test_a_departure_beyond_all_times_is_looked_at_like_any_other(cast):
    session = steered(cast, "END-9")
    never = {"profile_type": "CHEAP", "departure_time": "9999-12-31T23:59:59Z"}
    path = "sender/sessions/END-9/charging_preferences"
    assert cast.emsp.send("PUT", path, never, to=cast.cpo).status_code == 200
    assert goes_on(lambda: SteeredSession.objects.filter(session=session, due_at__gt=leases.now()))


def test_at_departure_a_session_is_released_once_where_it_is_held_back(cast):
    session = steered(cast, "END-5")
    prefers(cast, "END-5", "CHEAP")
    assert goes_on(lambda: SteeredSession.objects.filter(session=session, due_at__gt=leases.now()))
    assert methods(cast, "END-5") == ["PUT"]
    PreferenceCopy.objects.filter(session=session).update(departure_time=Now())
    assert has_sent(cast, "END-5", "PUT", "DELETE")
    told(cast.cpo, "END-5", 2)
    assert has_sent(cast, "END-5", "PUT", "DELETE", "GET")
    told(cast.cpo, "END-5", 3, active(8))
    assert "departure time has come" in journal(session)


def test_an_fsp_that_does_not_answer_a_change_is_silent_until_it_sends_a_profile(cast):
    session = steered(cast, "END-6")
    copy = prefers(cast, "END-6", "GREEN")
    assert watching.silent(session) is None
    past = Now() - timedelta(seconds=settings.FSP_SILENCE + 1)
    ProfileCommand.objects.filter(session=session).update(created_at=past)
    PreferenceCopy.objects.filter(pk=copy.pk).update(received_at=past + timedelta(seconds=1))

    def found() -> bool:
        return session in [one for one, _ in watching.silent_sessions()]

    session.fsp_assignments.update(started_at=past)
    assert goes_on(found)
    silence = watching.silent(session)
    assert silence is not None
    assert (silence.why, silence.holds_back) == ("the driver's preferences changed", True)
    assert "Its FSP is silent: the driver's preferences changed" in journal(session)
    assert cast.emsp.put_profile("END-6").json()["data"] == ACCEPTED
    assert watching.silent(session) is None
    with changed_setting("FSP_SILENCE", 3600):
        assert goes_on(lambda: not found())
    # What was written of one that ended so, or has no FSP now, is not in the others' way.
    row = SteeredSession.objects.filter(session=session)
    row.update(silent_since=Now())
    assert found()
    Session.objects.filter(pk=session.pk).update(status="COMPLETED")
    assert not found()
    Session.objects.filter(pk=session.pk).update(status="ACTIVE")
    session.fsp_assignments.update(ended_at=Now())
    assert not found()


def test_the_turn_sees_each_change_that_has_left_and_each_new_limit_of_a_site(cast):
    """Also of sessions whose driver has said nothing."""
    watching.see_changes()
    session = steered(cast, "END-7")
    rows = ProfileCommand.objects.filter(session=session)
    moment = leases.now() - timedelta(seconds=6)
    # Up to one that had not left then.
    LookedUntil.objects.filter(what="changes").update(until=moment)
    rows.update(created_at=moment)
    watching.see_changes()
    assert SteeredSession.objects.get(session=session).seen_command == rows.get().pk
    assert not due_again(session)
    site, _ = keeping.put(cast.cpo.party, "garage", [("LOC1", "")], rejects_breaches=False)
    periods = [{"start": MOMENT, "limit": 20}]
    keeping.set_limits(site, "A", periods, told_by=str(cast.cpo.party))
    SiteLimit.objects.update(told_at=moment)
    LookedUntil.objects.filter(what="changes").update(until=moment - timedelta(seconds=1))
    watching.see_changes()
    assert SteeredSession.objects.get(session=session).due_at is not None
    assert watching.facts_of([session.pk], moment)[session.pk].limit_changed_at == moment


def due_again(session: Session) -> bool:
    """Whether a further turn finds anything, when this one has looked."""
    row = SteeredSession.objects.filter(session=session)
    assert goes_on(lambda: row.get().due_at is None)
    watching.see_changes()
    return row.get().due_at is not None
