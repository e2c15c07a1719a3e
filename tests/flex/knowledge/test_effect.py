"""What a profile has done: the rules one by one, the rows, the journal (flex/knowledge/effect)."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from charging_profiles.models import ProfileCommand, ProfileUpdate
from flex.knowledge import active, effect
from flex.knowledge.models import ProfileEffect
from flex.life.models import HubCommand
from flex.models import JournalEntry
from flex.sites import keeping
from hub.keeping import retention
from hub.keeping.erasure import Driver, Eraser
from hub.ocpi.party import PartyId
from sessions.models import Session
from tests.flex.knowledge.told import T0, Told, at, period, profile
from tests.hub.console import rows

pytestmark = pytest.mark.django_db
CPO = PartyId("NL", "CPO")
FULL = profile("W", (0, 11040))
ABOVE = "up to 11040 W is active where 4000 W was set"


@pytest.fixture
def told() -> Told:
    return Told()


def verdict(told: Told) -> tuple[str, str]:
    found = effect.current(told.session)
    assert found is not None
    return found.verdict.effect.value, found.verdict.because


def test_without_a_profile_there_is_nothing_to_say(told):
    told.gets(1, FULL)
    assert effect.current(told.session) is None
    assert effect.of(told.session) == []


def test_what_is_active_as_it_was_set_and_does_not_flow_beyond_is_in_force(told):
    told.gets(5, FULL)
    told.puts(10, profile("W", (0, 4000)))
    assert verdict(told) == ("UNKNOWN", "no active profile was told since")
    told.gets(11, profile("W", (0, 4000)))
    told.meters(10, [period(0, POWER=11.0)])
    assert verdict(told)[0] == "UNKNOWN"  # Nothing was metered since.
    told.meters(30, [period(0, POWER=11.0), period(12, POWER=4.0)])
    assert verdict(told) == ("IN_FORCE", "what is active is what was set, now 4000 W")


def test_of_a_cpo_that_meters_nothing_its_word_is_taken(told):
    told.gets(5, FULL)
    told.puts(10, profile("W", (0, 4000)))
    told.tells(11, profile("W", (0, 4000)))
    assert verdict(told)[0] == "IN_FORCE"


def test_more_active_than_set_or_more_metered_than_allowed_is_no_effect(told):
    told.gets(5, FULL)
    told.puts(10, profile("W", (0, 4000)))
    told.gets(11, FULL)
    assert verdict(told) == ("NOTHING", ABOVE)
    told.gets(12, profile("W", (0, 4000)))
    told.meters(30, [period(0, POWER=11.0), period(13, POWER=11.0)])
    assert verdict(told) == ("NOTHING", "11.0 kW flowed where 4000 W was set")


def test_less_active_than_set_is_somebody_elses_limit_with_its_name_where_it_is_known(told):
    told.puts(10, profile("A", (0, 16)))
    told.gets(11, profile("A", (0, 8)))
    found = effect.current(told.session)
    assert found is not None
    assert found.verdict[:3] == ("LIMITED", "8 A is active where 16 A was set", "8 A at the EVSE")
    site, _ = keeping.put(CPO, "Depot", [(told.session.location_id, "")], rejects_breaches=False)
    keeping.set_limits(
        site, "A", [{"start": "2026-03-01T09:00:00Z", "limit": 40}], told_by="the operator"
    )
    found = effect.current(told.session)
    assert found is not None
    assert found.verdict.limited_by == "8 A at the EVSE; site Depot may take 40 A"


def test_what_was_allowed_before_any_profile_is_named_as_the_limit(told):
    told.gets(5, profile("A", (0, 16)))
    told.puts(10, profile("A", (0, 32)))
    told.gets(11, profile("A", (0, 16)))
    found = effect.current(told.session)
    assert found is not None
    assert found.verdict.limited_by == "16 A: EV, EVSE or site, as before any profile"


def test_a_car_that_takes_less_limits_itself_whatever_the_phases(told):
    told.gets(5, profile("A", (0, 16)))
    told.puts(10, profile("A", (0, 12)))
    told.gets(11, profile("A", (0, 12)))
    told.meters(30, [period(0, POWER=5.0, CURRENT=7.0), period(13, POWER=5.0, CURRENT=7.0)])
    assert verdict(told) == ("LIMITED", "5.0 kW flow where 12 A is set")


def test_amperes_that_may_be_the_sum_of_the_phases_are_no_proof(told):
    told.gets(5, profile("A", (0, 16)))
    told.puts(10, profile("A", (0, 8)))
    told.gets(11, profile("A", (0, 8)))
    told.meters(30, [period(0, POWER=3.7, CURRENT=16.0), period(13, POWER=3.7, CURRENT=16.0)])
    assert verdict(told) == (
        "UNKNOWN",
        "more may flow than it allows: the phases are not known",
    )


def test_a_limit_that_was_active_anyway_proves_nothing(told):
    told.gets(5, FULL)
    told.puts(10, profile("W", (0, 11040)))
    told.gets(11, FULL)
    told.meters(50, [period(0, POWER=11.0), period(13, POWER=11.0), period(28, POWER=11.0)])
    assert verdict(told) == ("UNKNOWN", "it asks for what was active before it anyway")
    effect.judge_due()
    assert not ProfileEffect.objects.get().is_counted


def test_what_was_proved_once_needs_no_other_proof(told):
    told.gets(5, FULL)
    told.puts(10, profile("W", (0, 0), (60, 11040)))
    told.tells(12, profile("W", (0, 0), (58, 11040)))
    told.meters(40, [period(0, POWER=11.0), period(12, POWER=0), period(25, POWER=0)])
    assert verdict(told)[0] == "IN_FORCE"
    # A pause alone, which by itself would prove nothing.
    told.tells(30, profile("W", (0, 0), duration=1200))
    assert verdict(told)[0] == "IN_FORCE"


def test_a_pause_is_the_profiles_when_it_is_in_force_and_else_the_cars(told):
    told.gets(5, FULL)
    told.puts(10, profile("W", (0, 0), (20, 11040)))
    told.gets(11, profile("W", (0, 0), (19, 11040)))
    told.meters(28, [period(0, POWER=11.0), period(12, POWER=0)])
    found = effect.current(told.session)
    assert found is not None
    assert (found.verdict.effect, found.verdict.pause) == ("IN_FORCE", "profile")
    periods = [period(0, POWER=11.0), period(12, POWER=0), period(31, POWER=0)]
    told.meters(50, periods)
    found = effect.current(told.session)
    assert found is not None
    assert (found.verdict.effect, found.verdict.pause) == ("LIMITED", "car")


def test_power_that_follows_the_limits_is_a_proof_without_an_active_profile(told):
    told.puts(10, profile("A", (0, 16), (15, 8), (30, 16)))
    flows = [(0, 11.0), (10, 11.0), (25, 5.5), (40, 11.0)]
    told.meters(55, [period(start, POWER=power) for start, power in flows])
    assert verdict(told) == ("IN_FORCE", "the metered power follows its limits")


def test_a_clock_of_the_cpo_that_is_an_hour_behind_changes_nothing(told):
    told.gets(5, FULL)
    told.puts(70, {**profile("W", (0, 4000)), "start_date_time": "2026-03-01T10:10:00Z"})
    told.gets(71, profile("W", (0, 4000)))
    # By its own clock the GETs were answered an hour before they were.
    for command in ProfileCommand.objects.filter(method="GET"):
        moved = (
            bytes(command.result_body).replace(b"T11:11", b"T10:11").replace(b"T10:05", b"T09:05")
        )
        ProfileCommand.objects.filter(pk=command.pk).update(result_body=moved)
    seen = [each.profile.start for each in active.seen(told.session)]
    assert seen == [at(-55), at(11)]
    told.meters(90, [period(0, POWER=11.0), period(12, POWER=4.0)])
    assert verdict(told)[0] == "IN_FORCE"


def test_the_turn_keeps_what_is_known_tells_it_once_and_counts_it(told):
    told.gets(5, FULL)
    command = told.puts(10, profile("W", (0, 4000)))
    told.gets(11, FULL)
    assert effect.judge_due() == 1
    row = ProfileEffect.objects.get()
    assert (row.command_id, row.cpo, row.effect, row.is_counted) == (
        command.pk,
        "NL-CPO",
        "NOTHING",
        True,
    )
    effect.judge_session(told.session)
    lines = list(JournalEntry.objects.order_by("id").values_list("topic", "reason"))
    assert lines == [
        (
            "EFFECT",
            f"The profile of NL-SCS is accepted, but nothing happened: {ABOVE}.",
        ),
        (
            "BOUND",
            "Contradiction: The active profile allows 11040 W where 4000 W was set and accepted.",
        ),
    ]
    assert effect.judge_due() == 0
    # Nothing was told since: it is due, and not judged; what is told meanwhile is.
    for heard_at, judged in ((T0, 0), (Now(), 1)):
        Session.objects.update(received_at=heard_at)
        ProfileEffect.objects.update(due_at=Now())
        assert effect.judge_due() == judged
        assert ProfileEffect.objects.get().due_at > row.due_at
    # 30 days are counted, and these are of another year.
    assert effect.known_share(CPO).share is None
    days = (row.due_at - T0).days + 2
    assert effect.known_share(CPO, days=days) == effect.Share(1, 1)


def test_the_hub_asks_once_what_is_active_where_nobody_else_does(told):
    told.puts(10, profile("W", (0, 4000)))
    effect.add_new()
    for minutes, asked in ((10.5, 0), (12, 1), (13, 1)):
        effect.judge_session(told.session, at(minutes))
        assert HubCommand.objects.filter(wish="ASK").count() == asked
    told.gets(14, profile("W", (0, 4000)))
    told.puts(20, profile("W", (0, 2000)))
    told.tells(21, profile("W", (0, 2000)))
    effect.add_new()
    effect.judge_session(told.session, at(25))
    assert HubCommand.objects.filter(wish="ASK").count() == 1


def test_a_profile_is_counted_after_two_metering_intervals_and_looked_at_until_it_is_replaced(told):
    told.puts(10, profile("W", (0, 4000)))
    effect.judge_due()
    assert not ProfileEffect.objects.get().is_counted
    told.meters(40, [period(0, POWER=3.0), period(11, POWER=3.9), period(26, POWER=3.9)])
    effect.judge_session(told.session, at(41))
    row = ProfileEffect.objects.get()
    assert (row.effect, row.is_counted, row.due_at is None) == ("UNKNOWN", True, False)
    told.puts(50, profile("W", (0, 4000)))
    effect.judge_session(told.session, at(51))
    assert ProfileEffect.objects.get().due_at is not None
    effect.judge_session(told.session, at(50) + timedelta(minutes=16))
    assert ProfileEffect.objects.get().due_at is None


def test_one_that_the_evse_refuses_after_all_is_not_counted_and_rows_end_with_their_command(told):
    command = told.puts(10, profile("W", (0, 4000)), "ACCEPTED", result_at=None)
    effect.judge_due()
    ProfileCommand.objects.filter(pk=command.pk).update(state="RESULT_REJECTED")
    effect.judge_session(told.session)
    row = ProfileEffect.objects.get()
    assert (row.effect, row.is_counted, row.due_at) == ("UNKNOWN", False, None)
    assert "refused" in row.because
    ProfileCommand.objects.update(created_at=at(0) - timedelta(days=4000))
    retention.forget()
    assert not ProfileEffect.objects.exists()


def test_what_is_known_of_a_driver_ends_with_the_session_that_is_erased(told):
    told.gets(5, FULL)
    told.puts(10, profile("W", (0, 4000)))
    told.tells(11, FULL)
    effect.judge_due()
    driver = Driver(PartyId("DE", "MSP"), rows.TOKEN_UID)
    Eraser(driver, with_running=True).run("a test")
    assert not ProfileEffect.objects.exists()
    assert not ProfileUpdate.objects.exists()
    assert not JournalEntry.objects.exists()
