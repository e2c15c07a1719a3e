"""SCALE D2.3, 11.4: the SCSP learns the limit, plans, pushes, verifies, and plans anew."""

from datetime import timedelta
from typing import Any

from hub.ocpi.party import PartyId
from sessions.objects import ProfileType
from simulators.charging import Ev
from simulators.cpo import Cpo
from simulators.documents import SimulatedSession, session
from simulators.emsp import Emsp
from simulators.scsp import Scsp, Task
from simulators.testing import Running
from tests.simulators.conftest import start, tell, wishes

SCSP = PartyId("NL", "SCS")


def settled(scsp: Running[Scsp], of: SimulatedSession) -> Task:
    """The task of the session, once the SCSP has nothing more to do."""
    task = scsp.simulator.task(of.id)
    scsp.wait_for(lambda: not task.is_running and not task.is_dirty)
    return task


def ask(cpo: Running[Cpo], scsp: Running[Scsp], of: SimulatedSession, **more: Any) -> None:
    """What a hub does with the driver's wishes, given to the SCSP by its sessions SENDER."""
    answer = cpo.call(
        "sessions", "SENDER", "PUT", f"{of.id}/charging_preferences",
        to=SCSP, body=wishes(of, **more),
    )  # fmt: skip
    assert answer.data == "ACCEPTED"


def test_with_the_session_alone_it_learns_and_pushes_nothing(
    flexible: None, cpo: Running[Cpo], scsp: Running[Scsp]
) -> None:
    of = start(cpo)
    tell(cpo, scsp, of)
    scsp.wait_for(lambda: scsp.simulator.task(of.id).limits)
    task = settled(scsp, of)
    assert task.limits is not None
    assert (task.limits.unit, task.limits.rate, task.limits.minimum) == ("A", 16, 6)
    assert not cpo.received(module="chargingprofiles", method="PUT")


def test_the_active_profile_follows_the_schedule(
    flexible: None, cpo: Running[Cpo], scsp: Running[Scsp]
) -> None:
    of = start(cpo)
    tell(cpo, scsp, of)
    ask(cpo, scsp, of, hours=20, energy=5)
    scsp.wait_for(lambda: scsp.simulator.task(of.id).follows)
    task = settled(scsp, of)
    (message,) = cpo.received(module="chargingprofiles", method="PUT")
    assert message.from_party == SCSP
    assert task.pushed is not None
    assert of.plug.set_profiles == [task.pushed]
    limits = [period.limit for period in task.pushed.charging_profile_period]
    assert 0 in limits
    assert limits[-1] == 16
    # Learnt before, verified after.
    assert len(cpo.received(module="chargingprofiles", method="GET")) == 2


def test_preferences_may_come_before_the_session(
    flexible: None, cpo: Running[Cpo], scsp: Running[Scsp]
) -> None:
    of = start(cpo)
    ask(cpo, scsp, of)
    tell(cpo, scsp, of)
    scsp.wait_for(lambda: scsp.simulator.task(of.id).follows)


def test_new_preferences_make_a_new_plan_and_the_same_ones_none(
    flexible: None, cpo: Running[Cpo], scsp: Running[Scsp]
) -> None:
    of = start(cpo)
    tell(cpo, scsp, of)
    ask(cpo, scsp, of, hours=20, energy=5)
    scsp.wait_for(lambda: scsp.simulator.task(of.id).follows)
    ask(cpo, scsp, of, hours=20, energy=40)
    cpo.wait_for_message(module="chargingprofiles", method="PUT", count=2)
    settled(scsp, of)
    task = scsp.simulator.task(of.id)
    scsp.run(scsp.simulator._step(task))
    assert len(cpo.received(module="chargingprofiles", method="PUT")) == 2


def test_a_fast_driver_gets_the_full_rate(
    flexible: None, cpo: Running[Cpo], scsp: Running[Scsp]
) -> None:
    of = start(cpo)
    tell(cpo, scsp, of)
    cpo.call(
        "sessions", "SENDER", "PUT", f"{of.id}/charging_preferences",
        to=SCSP, body=wishes(of, kind=ProfileType.FAST),
    )  # fmt: skip
    scsp.wait_for(lambda: scsp.simulator.task(of.id).follows)
    (profile,) = of.plug.set_profiles
    assert [str(period.limit) for period in profile.charging_profile_period] == ["16"]


def test_a_lower_local_limit_is_learnt_from_the_update(
    flexible: None, cpo: Running[Cpo], scsp: Running[Scsp]
) -> None:
    of = start(cpo)
    tell(cpo, scsp, of)
    ask(cpo, scsp, of, hours=1, energy=30)
    scsp.wait_for(lambda: scsp.simulator.task(of.id).follows)
    cpo.run(cpo.simulator.set_site_limit(10))
    cpo.wait_for_message(module="chargingprofiles", method="PUT", count=2)
    task = settled(scsp, of)
    assert task.limits is not None
    assert task.limits.rate == 10


def test_a_profile_that_is_not_in_force_is_pushed_again(
    flexible: None, cpo: Running[Cpo], scsp: Running[Scsp]
) -> None:
    of = start(cpo)
    tell(cpo, scsp, of)
    ask(cpo, scsp, of, hours=20, energy=5)
    scsp.wait_for(lambda: scsp.simulator.task(of.id).follows)
    of.plug.set_profiles = []
    cpo.run(cpo.simulator.profiles.send_update(of, SCSP))
    cpo.wait_for_message(module="chargingprofiles", method="PUT", count=2)
    settled(scsp, of)
    assert of.plug.set_profiles


def test_the_phases_are_learnt_from_the_meter(
    flexible: None, cpo: Running[Cpo], scsp: Running[Scsp]
) -> None:
    of = start(cpo, ev=Ev(max_amps=16, phases=3))
    tell(cpo, scsp, of)
    scsp.wait_for(lambda: scsp.simulator.task(of.id).limits)
    assert settled(scsp, of).limits.phases == 1  # type: ignore[union-attr]
    of.meter.advance(of.plug, of.clock.now() + timedelta(hours=1))
    tell(cpo, scsp, of)
    assert settled(scsp, of).limits.phases == 3  # type: ignore[union-attr]


def test_a_refusal_is_tried_again_with_the_next_session_update(
    flexible: None, cpo: Running[Cpo], scsp: Running[Scsp]
) -> None:
    of = start(cpo)
    cpo.set_faults(profile_response="TOO_OFTEN")
    tell(cpo, scsp, of)
    ask(cpo, scsp, of)
    assert settled(scsp, of).pushed is None
    cpo.clear_faults()
    tell(cpo, scsp, of)
    scsp.wait_for(lambda: scsp.simulator.task(of.id).follows)


def test_a_cpo_that_is_gone_is_survived(
    flexible: None, cpo: Running[Cpo], scsp: Running[Scsp]
) -> None:
    of = start(cpo)
    cpo.set_faults(gone=True)
    document = session(of)
    (connection,) = scsp.simulator.connections
    answer = cpo.call("sessions", "RECEIVER", "PUT", of.path, to=SCSP, body=document)
    assert answer.is_success
    task = settled(scsp, of)
    assert task.limits is None
    assert connection in scsp.simulator.connections


def test_an_ended_session_is_left_alone(
    flexible: None, cpo: Running[Cpo], emsp: Running[Emsp], scsp: Running[Scsp]
) -> None:
    of = start(cpo)
    cpo.run(cpo.simulator.end_session(of.id))
    tell(cpo, scsp, of)
    assert settled_or_idle(scsp, of)
    assert not cpo.received(module="chargingprofiles")


def settled_or_idle(scsp: Running[Scsp], of: SimulatedSession) -> bool:
    return not scsp.simulator.task(of.id).is_running
