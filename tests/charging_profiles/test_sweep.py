"""What dead workers left behind, and what can wait no longer (carrier.py, tasks.py)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from charging_profiles import order, tasks
from charging_profiles.models import CommandState, ProfileCommand
from hub.models import Delivery, DeliveryState
from hub.routing.directory import holder
from tests.scripted import ACCEPTED, url_given

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def left(cast, session_id: str, **changes: Any) -> ProfileCommand:
    """A command that nobody was told of."""
    endpoint = cast.cpo.platform.endpoint_url("chargingprofiles", "receiver")
    assert cast.emsp
    directory = holder.refresh()
    fields = {
        "method": "DELETE",
        "session_id_sent": session_id,
        "lane": order.lane_of(cast.cpo.party, session_id),
        "fsp_platform_id": directory.parties[cast.emsp.party].platform.id,
        "fsp_country_code": cast.emsp.party.country_code,
        "fsp_party_id": cast.emsp.party.party_id,
        "cpo_platform_id": directory.parties[cast.cpo.party].platform.id,
        "cpo_country_code": cast.cpo.party.country_code,
        "cpo_party_id": cast.cpo.party.party_id,
        "path": f"{endpoint}/{session_id}?response_url={cast.hub.url}",
        "response_url": cast.emsp.response_url(session_id),
        "correlation_id": session_id,
        "created_at": timezone.now() - 2 * SECOND,
        "answer_by": timezone.now() + 20 * SECOND,
    }
    return ProfileCommand.objects.create(**(fields | changes))


def state(command: ProfileCommand) -> str:
    command.refresh_from_db()
    return command.state


def has_left(command: ProfileCommand, cast) -> None:
    cast.cpo.running.wait_for(lambda: state(command) == CommandState.ACCEPTED)


def somebody_has_looked(cast, session_id: str) -> None:
    """A carrier has claimed what there was to claim."""
    has_left(left(cast, f"{session_id}-LATER"), cast)


def test_a_command_that_nobody_was_told_of_is_sent_once(cast):
    command = left(cast, "SWEEP-1")
    tasks.end_overdue()
    has_left(command, cast)
    assert len(cast.cpo.asked("SWEEP-1")) == 1


def test_a_command_whose_worker_died_is_sent_again_when_the_lease_has_ended(cast):
    changes = {"state": CommandState.SENDING, "fence": 1, "attempts": 1}
    command = left(cast, "SWEEP-3", lease_until=timezone.now() - SECOND, **changes)
    has_left(command, cast)
    assert len(cast.cpo.asked("SWEEP-3")) == 1
    command.refresh_from_db()
    assert command.attempts == 2


def test_a_command_whose_worker_lives_is_left_alone(cast):
    changes = {"state": CommandState.SENDING, "fence": 1, "attempts": 1}
    command = left(cast, "SWEEP-4", lease_until=timezone.now() + HOUR, **changes)
    somebody_has_looked(cast, "SWEEP-4")
    assert state(command) == CommandState.SENDING
    assert cast.cpo.got("SWEEP-4", method="DELETE") == []


@pytest.mark.parametrize("before", [CommandState.WAITING, CommandState.SENDING])
def test_a_command_that_nobody_carried_in_time_ends(cast, before):
    session_id = f"SWEEP-5-{before}"
    command = left(cast, session_id, state=before, answer_by=timezone.now() - SECOND)
    tasks.end_overdue()
    assert state(command) == CommandState.TIMED_OUT
    somebody_has_looked(cast, session_id)
    assert state(command) == CommandState.TIMED_OUT
    assert cast.cpo.got(session_id, method="DELETE") == []


@pytest.mark.parametrize(
    "ended",
    [
        CommandState.REFUSED,
        CommandState.UNREACHABLE,
        CommandState.RESULT_REJECTED,
        CommandState.EXPIRED,
        CommandState.SUPERSEDED,
    ],
)
def test_a_command_that_has_ended_is_never_sent(cast, ended):
    command = left(cast, f"SWEEP-6-{ended}", state=ended)
    tasks.end_overdue()
    somebody_has_looked(cast, command.session_id_sent)
    assert state(command) == ended
    assert cast.cpo.got(command.session_id_sent, method="DELETE") == []


def test_a_result_whose_web_process_died_is_handed_over_when_nobody_waits_any_more(cast):
    command = left(cast, "SWEEP-8")
    has_left(command, cast)
    body = b'{"result":"REJECTED"}'
    assert command.pk is not None
    command.refresh_from_db()
    given = f"{cast.hub.url}/ocpi/2.2.1/profile-result/{command.key}"
    assert cast.cpo.post_result(given, body).status_code == 200
    tasks.end_overdue()
    assert not Delivery.objects.filter(path=command.response_url).exists()
    ProfileCommand.objects.filter(pk=command.pk).update(answer_by=timezone.now() - SECOND)
    tasks.end_overdue()
    tasks.end_overdue()
    [message] = cast.emsp.results("SWEEP-8")
    assert message.body == body
    assert Delivery.objects.filter(path=command.response_url).count() == 1


def test_a_delivery_that_nobody_was_told_of_is_sent_once(cast):
    waiting = Delivery.objects.create(
        receiver_id=holder.refresh().parties[cast.emsp.party].platform.id,
        ordering_key="sweep-9",
        module="chargingprofiles",
        method="POST",
        path=cast.emsp.response_url("SWEEP-9"),
        body=b"{}",
        correlation_id="sweep-9",
        created_at=timezone.now() - 2 * SECOND,
    )
    cast.emsp.results("SWEEP-9")

    def delivered() -> bool:
        waiting.refresh_from_db()
        return waiting.state == DeliveryState.DELIVERED

    cast.emsp.running.wait_for(delivered)
    assert len(cast.emsp.got("SWEEP-9")) == 1


def test_the_url_of_a_real_command_is_the_one_that_ends_it(cast):
    cast.cpo.put_session("SWEEP-10", cast.emsp)
    cast.emsp.put_profile("SWEEP-10")
    command = ProfileCommand.objects.get(session_id_sent="SWEEP-10")
    assert url_given(cast.cpo.asked("SWEEP-10")[0]).endswith(f"/{command.key}")
    assert len(command.key) >= 32


@pytest.mark.parametrize("seconds", [-100, 100])
def test_no_hosts_time_decides_about_a_command(cast, seconds):
    """This host is so much behind the database's, or before it; the commands are of another one."""
    timely = {"answer_by": Now() + 60 * SECOND, "created_at": Now() - 2 * SECOND}
    alive = {"state": CommandState.SENDING, "fence": 1, "lease_until": Now() + 60 * SECOND}
    overdue = {"answer_by": Now() - SECOND, "created_at": Now() - 2 * SECOND}
    with time_machine.travel(datetime.now(UTC) + seconds * SECOND, tick=True):
        waiting = left(cast, f"HOSTS-1{seconds}", **timely)
        carried = left(cast, f"HOSTS-2{seconds}", **timely, **alive)
        late = left(cast, f"HOSTS-3{seconds}", **overdue)
        tasks.end_overdue()
        has_left(waiting, cast)
        assert state(carried) == CommandState.SENDING
        assert state(late) == CommandState.TIMED_OUT
        cast.cpo.put_session(f"HOSTS-4{seconds}", cast.emsp)
        assert cast.emsp.put_profile(f"HOSTS-4{seconds}").json()["data"] == ACCEPTED
    command = ProfileCommand.objects.get(session_id_sent=f"HOSTS-4{seconds}")
    taken = (command.answer_by - command.created_at).total_seconds()
    assert taken == settings.FORWARD_TIMEOUT
    assert cast.cpo.got(late.session_id_sent, method="DELETE") == []
    assert len(cast.cpo.asked(waiting.session_id_sent)) == 1
