"""Jobs of the ChargingProfiles module: carry commands to the CPOs, pick up what was left behind."""

from celery import shared_task
from celery.signals import worker_shutting_down

from charging_profiles import carrier
from charging_profiles.models import ProfileCommand
from hub import outbox


@shared_task
def carry_commands(linger: float = carrier.LINGER) -> None:
    """Carry what waits, until nothing has come for `linger` seconds. Safe to run twice."""
    carrier.carry(linger)


@shared_task
def sweep() -> None:
    """Carry what a dead worker or a wiped broker dropped; end what waited long enough."""
    if ProfileCommand.left_behind().exists():
        outbox.wake("charging_profiles.tasks.carry_commands")
    ProfileCommand.end_overdue()


@worker_shutting_down.connect
def _stop(**_: object) -> None:
    """A worker that is told to end does not wait for more commands."""
    carrier.stop()
