"""The registry of chapters, and running them against a party.

A chapter is a module with RULES and `check(probe)`, which yields findings. A new rule is a Rule and
a few lines in its chapter; a new chapter is one more line here.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from hub import outbox
from hub.conformance import (
    authorization,
    charging_profiles,
    commands,
    hub_client_info,
    lists,
    pushes,
    single_objects,
    tokens,
    transport,
    versions,
)
from hub.conformance.findings import Finding, Rule
from hub.conformance.models import AwaitedResult, ConformanceCheck
from hub.conformance.probe import Probe
from hub.directory import Directory, holder
from hub.ocpi.party import PartyId

RESULTS_PATH = "/ocpi/2.2.1/check-result"
LOST_AFTER = timedelta(minutes=10)
KEEP_RESULTS = timedelta(days=1)


class Chapter(NamedTuple):
    """What a module of this package offers."""

    rules: tuple[Rule, ...]
    check: Callable[[Probe], Iterator[Finding]]


CHAPTERS = tuple(
    Chapter(module.RULES, module.check)
    for module in (
        versions,
        authorization,
        lists,
        single_objects,
        hub_client_info,
        tokens,
        commands,
        charging_profiles,
        pushes,
        transport,
    )
)


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
    outbox.wake("hub.conformance.check.run_queued", check.pk)
    return check


@shared_task
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


@shared_task
def sweep() -> None:
    """Queue again what a lost broker has forgotten; end what a lost worker has begun."""
    now = timezone.now()
    waiting = ConformanceCheck.objects.filter(ended_at__isnull=True)
    for check in waiting.filter(began_at__isnull=True, created_at__lt=now - timedelta(seconds=5)):
        outbox.wake("hub.conformance.check.run_queued", check.pk)
    for check in waiting.filter(began_at__lt=now - LOST_AFTER):
        check.end([], "The check was lost with its worker; start it again.")
    AwaitedResult.objects.filter(created_at__lt=now - KEEP_RESULTS).delete()


def run(check: ConformanceCheck, *, seconds: float = 10.0) -> None:
    """Run all chapters and keep the findings."""
    if check.begin():
        check.end(findings_of(_probe(check, holder.refresh(), seconds)))


def findings_of(probe: Probe) -> list[Finding]:
    """What each chapter finds; a rule that none has spoken of was not tried."""
    found: list[Finding] = []
    for chapter in CHAPTERS:
        if not (probe.is_unreachable or probe.over):
            found += chapter.check(probe)
    if probe.is_unreachable:
        found = [transport.IN_TIME.failed(probe.calls[0])]
        reason = "the party cannot be reached"
    else:
        reason = probe.over or "the party offers nothing for it"
    spoken = {finding.rule for finding in found}
    rules = [rule for chapter in CHAPTERS for rule in chapter.rules]
    return [*found, *(rule.not_tried(reason) for rule in rules if rule.id not in spoken)]


def _probe(check: ConformanceCheck, directory: Directory, seconds: float) -> Probe:
    def response_url() -> str:
        row = AwaitedResult.objects.create(platform_id=check.platform_id)
        return f"{settings.BASE_URL}{RESULTS_PATH}/{row.key}?check={check.pk}"

    return Probe(
        directory.platforms[check.platform_id],
        check.identity,
        directory.hub,
        push=check.is_pushing,
        response_url=response_url,
        seconds=seconds,
    )
