"""The hub's own commands: it asks for the active profile, and releases a session."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from charging_profiles import tasks
from charging_profiles.models import CommandState, ProfileCommand, Purpose
from flex import hub_commands
from flex.assignment import assign
from flex.choice import Choice, FspKind
from flex.life.models import HubCommand, NotTaken, Step
from flex.models import FspAssignment, JournalEntry
from hub.db import leases
from sessions.models import Session
from tests.charging_profiles.test_order import held, methods, wait, written
from tests.flex.steering import (
    ACCEPTED,
    NONE,
    active,
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
from tests.scripted import PROFILE


@pytest.fixture(autouse=True)
def _nothing_stays_learned(hub) -> Iterator[None]:
    yield
    forget_what_was_learned()


def test_a_release_is_sent_until_it_is_taken_and_is_verified(cast):
    session = steered(cast, "OWN-1")
    says(cast.cpo, "OWN-1", "TOO_OFTEN", "TOO_OFTEN")
    row = hub_commands.release(session, "its provider is lost")
    assert hub_commands.release(session, "once more") == row
    assert has_sent(cast, "OWN-1", "PUT", "DELETE", "DELETE", "DELETE")
    told(cast.cpo, "OWN-1", 4)
    assert has_sent(cast, "OWN-1", "PUT", "DELETE", "DELETE", "DELETE", "GET")
    told(cast.cpo, "OWN-1", 5, NONE)
    assert (ended(row).step, row.outcome[-17:]) == (Step.DONE, "at its full rate.")
    assert row.attempts == 3
    # In the name of its FSP, which is told of none of it; and every step is in the journal.
    sent = cast.cpo.asked("OWN-1", 5)[1:]
    assert {message.from_party for message in sent} == {cast.emsp.party}
    assert len(cast.emsp.results("OWN-1")) == 1
    told_why = journal(session)
    assert "releases the session: its provider is lost" in told_why
    assert "ended as TOO_OFTEN: it is sent again after a pause" in told_why
    assert "Verified by a GET of the active profile" in told_why


def test_a_cpo_that_ignores_delete_is_sent_a_full_rate_profile_and_that_is_learned(cast):
    session = steered(cast, "OWN-2")
    connector_of_32_amperes(cast)
    row = hub_commands.release(session, "its provider is lost")
    assert has_sent(cast, "OWN-2", "PUT", "DELETE")
    told(cast.cpo, "OWN-2", 2)
    assert has_sent(cast, "OWN-2", "PUT", "DELETE", "GET")
    told(cast.cpo, "OWN-2", 3, active(8))  # What the FSP has set.
    assert has_sent(cast, "OWN-2", "PUT", "DELETE", "GET", "PUT")
    sent = cast.cpo.asked("OWN-2", 4)[3].json()["charging_profile"]
    period = {"start_period": 0, "limit": 32.0}
    assert sent == {"charging_rate_unit": "A", "charging_profile_period": [period]}
    told(cast.cpo, "OWN-2", 4)
    assert has_sent(cast, "OWN-2", "PUT", "DELETE", "GET", "PUT", "GET")
    told(cast.cpo, "OWN-2", 5, active(20))  # The CPO's own limit: nobody's profile.
    assert "another limit" in ended(row).outcome
    assert NotTaken.objects.get(party_id=cast.cpo.party.party_id).why == "IGNORED"
    other = steered(cast, "OWN-3")
    row = hub_commands.release(other, "its provider is lost")
    assert has_sent(cast, "OWN-3", "PUT", "PUT")
    says(cast.cpo, "OWN-3")
    cast.cpo.put_session(
        "OWN-3", cast.emsp, status="COMPLETED", last_updated="2026-03-01T12:00:00Z"
    )
    told(cast.cpo, "OWN-3", 2)
    assert ended(row).outcome == "The session has ended."


def test_where_no_means_is_taken_the_operator_is_told_and_it_goes_on(cast):
    session = steered(cast, "OWN-7")
    says(cast.cpo, "OWN-7", "REJECTED")
    row = hub_commands.release(session, "its provider is lost")
    assert has_sent(cast, "OWN-7", "PUT", "DELETE", "DELETE")
    told_of = JournalEntry.objects.get(session=session, detail__attention=True)
    assert "takes no DELETE, and the full rate of the session is not known" in told_of.reason
    told(cast.cpo, "OWN-7", 3, NONE)
    assert has_sent(cast, "OWN-7", "PUT", "DELETE", "DELETE", "GET")
    told(cast.cpo, "OWN-7", 4, NONE)
    assert (ended(row).step, row.is_told) == (Step.DONE, True)


def test_one_get_on_its_way_serves_all_who_ask_also_a_partys(cast):
    session = steered(cast, "OWN-4")
    assert cast.emsp.get_profile("OWN-4").json()["data"] == ACCEPTED
    rows = [hub_commands.ask_active(session, why) for why in ("effect", "switch")]
    assert rows[0] == rows[1]
    assert goes_on(lambda: HubCommand.objects.get(pk=rows[0].pk).step == Step.AT_CPO)
    assert hub_commands.ask_active(session, "and again") == rows[0]
    late = hub_commands.ask_active(session, "after a change", since=leases.now())
    assert late != rows[0]
    assert has_sent(cast, "OWN-4", "PUT", "GET", "GET")
    told(cast.cpo, "OWN-4", 2, active(8))
    told(cast.cpo, "OWN-4", 3, active(16))
    assert ended(rows[0]).step == ended(late).step == Step.DONE
    assert late.command is not None
    assert late.command.purpose == Purpose.ASK
    assert len(cast.emsp.results("OWN-4", 2)) == 2


def test_a_release_ends_no_command_of_a_party_and_gives_way_to_one(cast):
    session = steered(cast, "OWN-5")
    with ThreadPoolExecutor(2) as pool:
        holding, first = held(cast, "OWN-5", pool)
        second = pool.submit(cast.emsp.put_profile, "OWN-5")
        written("OWN-5", 3)
        row = hub_commands.release(session, "its provider was silent")
        # It leaves while the other's PUT waits, and is not carried out in its place.
        own = ProfileCommand.objects.create(**own_of(session, row))
        assert wait(lambda: tasks.end_overdue() or state_of(own) == CommandState.SUPERSEDED)
        holding.may_go.set()
        answers = [one.result().json()["data"]["result"] for one in (first, second)]
        assert answers == ["ACCEPTED", "ACCEPTED"]
    assert methods(cast, "OWN-5") == ["PUT", "PUT", "PUT"]
    again = cast.emsp.put_profile("OWN-5", charging_profile=PROFILE)
    assert again.json()["data"]["result"] == "ACCEPTED"
    assert ended(row).outcome == "Its FSP has sent a PUT of its own meanwhile."


def own_of(session: Session, row: HubCommand) -> dict[str, Any]:
    """A DELETE of the hub's own, as one that was decided a moment too early would be."""
    last = ProfileCommand.objects.filter(session=session).latest("pk")
    names = (
        *("session_id_sent", "lane", "fsp_platform_id", "fsp_country_code", "fsp_party_id"),
        *("cpo_platform_id", "cpo_country_code", "cpo_party_id", "path"),
    )
    return {name: getattr(last, name) for name in names} | {
        "method": "DELETE",
        "session": session,
        "purpose": Purpose.RELEASE,
        "epoch": row.epoch,
        "correlation_id": "own",
        "answer_by": leases.now() + timedelta(hours=1),
    }


def state_of(command: ProfileCommand) -> str:
    command.refresh_from_db()
    return command.state


def test_a_release_under_an_ended_assignment_leaves_and_one_before_a_new_assignment_does_not(cast):
    session = steered(cast, "OWN-6")
    FspAssignment.objects.filter(session=session).update(ended_at=Now())
    row = hub_commands.release(session, "its agreement has ended")
    assert has_sent(cast, "OWN-6", "PUT", "DELETE")
    switched = Choice(FspKind.SCSP, "the operator's word", cast.scsp.party)
    assert assign(session, switched, because="a test")
    told(cast.cpo, "OWN-6", 2)
    assert has_sent(cast, "OWN-6", "PUT", "DELETE", "GET")
    told(cast.cpo, "OWN-6", 3, active(8))  # It is not released; but that is another's affair now.
    assert "Another assignment has begun" in ended(row).outcome
    assert methods(cast, "OWN-6") == ["PUT", "DELETE", "GET"]
