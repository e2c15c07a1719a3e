"""Checks of connected parties: queued, run by a worker, kept (party/check/ has the rules)."""

from datetime import timedelta

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from hub.conformance.asking import HubAsker
from hub.conformance.models import AwaitedResult, ConformanceCheck
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.routing.directory import holder
from party.check.asking import Target
from party.check.chapters import findings_of
from party.check.probe import Probe

LOST_AFTER = timedelta(minutes=10)
KEEP_RESULTS = timedelta(days=1)


class CannotCheck(Exception):
    """There is nobody to check; the message says why."""


def prepare(party: PartyId, *, push: bool = False) -> ConformanceCheck:
    """The row of a check that is still to be run."""
    entry = holder.refresh().parties.get(party)
    if entry is None:
        raise CannotCheck(f"{party} is not a party of this hub.")
    if not entry.platform.is_registered:
        raise CannotCheck(f"{party} is not registered: there is nothing to call yet.")
    return ConformanceCheck.objects.create(
        platform_id=entry.platform.id,
        country_code=party.country_code,
        party_id=party.party_id,
        is_pushing=push,
    )


@transaction.atomic
def queue(party: PartyId, *, push: bool = False) -> ConformanceCheck:
    """Have a worker check a party."""
    check = prepare(party, push=push)
    outbox.wake("conformance.run_check", check.pk)
    return check


@shared_task(name="conformance.run_check")
def run_queued(check_id: int) -> None:
    """Run a check, unless another worker does."""
    check = ConformanceCheck.objects.filter(pk=check_id).first()
    if check is None:
        return
    try:
        run(check)
    except Exception as error:
        check.end([], f"The check itself failed: {type(error).__name__}: {error}")
        raise


@shared_task(name="conformance.queue_waiting")
def queue_waiting() -> None:
    """Queue again what a lost broker has forgotten; end what a lost worker has begun."""
    now = timezone.now()
    waiting = ConformanceCheck.objects.filter(ended_at__isnull=True)
    for check in waiting.filter(began_at__isnull=True, created_at__lt=now - timedelta(seconds=5)):
        outbox.wake("conformance.run_check", check.pk)
    for check in waiting.filter(began_at__lt=now - LOST_AFTER):
        check.end([], "The check was lost with its worker; start it again.")
    AwaitedResult.objects.filter(created_at__lt=now - KEEP_RESULTS).delete()


def run(check: ConformanceCheck, *, seconds: float = 10.0) -> None:
    """Run all chapters and keep the findings."""
    if check.begin():
        check.end(findings_of(_probe(check, seconds)))


def _probe(check: ConformanceCheck, seconds: float) -> Probe:
    directory = holder.refresh()
    platform = directory.platforms[check.platform_id]
    return Probe(
        Target(platform.versions_url, platform.authorization, platform.parties, platform.endpoints),
        check.identity,
        HubAsker(directory.hub, platform, check),
        push=check.is_pushing,
        seconds=seconds,
    )
