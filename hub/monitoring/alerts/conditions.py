"""What each kind of rule finds at this moment: a few small queries, whatever there is."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from hub import backup
from hub.db import sql
from hub.db.leases import NOW
from hub.models import Party, Platform
from hub.models.workers import QUEUES
from hub.monitoring.alerts import effects
from hub.monitoring.alerts.models import Certificate, Kind, Rule
from hub.ocpi.datatypes import ConnectionStatus
from hub.ocpi.party import PartyId
from hub.outbox import owed
from hub.record import minutes
from hub.record.handshakes import failed_handshakes
from hub.record.note import Direction

WINDOW: Final = timedelta(minutes=10)
# Of fewer messages (profiles) a share says nothing.
LEAST_MESSAGES: Final = 20
LEAST_PROFILES: Final = 10
# A turn that comes once an hour is late after three.
_TURNS_MISSED: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is as it should not be: of what, and in words."""

    subject: str
    summary: str


def find(rule: Rule) -> dict[str, Finding]:
    """By subject; of one subject there is one."""
    return {found.subject: found for found in _OF[Kind(rule.kind)](rule)}


def is_looked_at(rule: Rule, subject: str) -> bool:
    """Whether this process would find it: disks are seen by the host that has them."""
    return rule.kind != Kind.DISK or subject.startswith(f"{socket.gethostname()}:")


def _platforms(rule: Rule) -> dict[int, Platform]:
    """By id; only that of the rule's party where it names one."""
    found = Platform.objects.all()
    if rule.party:
        party = PartyId.parse(rule.party)
        found = found.filter(
            parties__country_code__iexact=party.country_code,
            parties__party_id__iexact=party.party_id,
        )
    return found.in_bulk()


def _offline(rule: Rule) -> Iterator[Finding]:
    since = timezone.now() - timedelta(minutes=rule.limit)
    away = Party.objects.filter(status=ConnectionStatus.OFFLINE, last_updated__lte=since)
    platforms, parties = _platforms(rule), dict[int, list[Party]]()
    for party in away.order_by("last_updated", "pk"):
        parties.setdefault(party.platform_id, []).append(party)
    for pk, those in parties.items():
        if pk in platforms:
            named = ", ".join(dict.fromkeys(str(party.identity) for party in those))
            yield Finding(
                f"platform {pk}",
                f"{platforms[pk]} ({named}) is OFFLINE since {_at(those[0].last_updated)}.",
            )


def _errors(rule: Rule) -> Iterator[Finding]:
    since = timezone.now() - WINDOW
    if not rule.party:
        for row in _shares(rule, minutes.of_modules(since), "module"):
            yield Finding(f"module {row['module']}", f"{_told(row)} of {row['module']} failed.")
    platforms = _platforms(rule)
    for row in _shares(rule, minutes.of_platforms(since), "platform_id", "direction"):
        if (platform := platforms.get(row["platform_id"])) is not None:
            way = "from" if row["direction"] == Direction.IN else "to"
            yield Finding(f"{way} platform {platform.pk}", f"{_told(row)} {way} {platform} failed.")


def _shares(rule: Rule, rows: minutes.Minutes, *by: str) -> Iterator[dict[str, Any]]:
    summed = rows.order_by(*by).values(*by).annotate(all=Sum("number"), bad=Sum("failed"))
    for row in summed.filter(all__gte=LEAST_MESSAGES):
        if row["bad"] and 100 * row["bad"] >= rule.limit * row["all"]:
            yield row


def _told(row: dict[str, object]) -> str:
    return f"{row['bad']} of {row['all']} messages of the last 10 minutes"


def _backlog(rule: Rule) -> Iterator[Finding]:
    limit = timezone.now() - timedelta(minutes=rule.limit)
    platforms = _platforms(rule)
    for pk, since in owed.oldest_of_all().items():
        if since <= limit and pk in platforms:
            yield Finding(
                f"platform {pk}", f"What waits for {platforms[pk]} waits since {_at(since)}."
            )


def _handshakes(rule: Rule) -> Iterator[Finding]:
    platforms = _platforms(rule)
    for one in failed_handshakes(timezone.now() - timedelta(minutes=rule.limit)):
        if one.platform_id in platforms:
            subject, who = f"platform {one.platform_id}", str(platforms[one.platform_id])
        elif rule.party:
            continue
        else:
            subject, who = one.who[:100], one.who
        yield Finding(subject, f"The handshake with {who} failed at {_at(one.at)}: {one.why}")


def _certificates(rule: Rule) -> Iterator[Finding]:
    limit = timezone.now() + timedelta(days=rule.limit)
    platforms = _platforms(rule)
    for one in Certificate.objects.filter(ends_at__lte=limit, platform__in=platforms):
        yield Finding(
            f"platform {one.platform_id} {one}"[:120],
            f"The certificate of {one} ({platforms[one.platform_id]}) ends on "
            f"{one.ends_at:%d %b %Y}.",
        )


_HEARD: Final = f"""
    SELECT queue, extract(epoch FROM {NOW} - max(lease_until))::float8
    FROM unnest(%s::text[]) AS asked (queue) LEFT JOIN hub_workerprocess USING (queue)
    GROUP BY queue
"""  # noqa: S608 - a clock of ours
_OVERDUE: Final = f"""
    SELECT task, extract(epoch FROM {NOW} - due_at)::float8
    FROM unnest(%s::text[], %s::float8[]) AS asked (task, seconds) JOIN hub_timer USING (task)
    WHERE due_at < {NOW} - asked.seconds * interval '1 second'
"""  # noqa: S608 - a clock of ours


def _workers(rule: Rule) -> Iterator[Finding]:
    """What is late because the hub was not running is not late: it has just come back."""
    limit = timezone.now() - timedelta(seconds=rule.limit)
    if rule.watched_since is None or rule.watched_since > limit:
        return
    for queue, silent in sql.run(_HEARD, [list(QUEUES)]):
        if silent is None or silent > rule.limit:
            yield Finding(f"queue {queue}", f"No worker of the queue {queue} is alive.")
    turns = {
        task: float(max(rule.limit, _TURNS_MISSED * seconds))
        for of_queue in settings.TURNS_BY_THE_CLOCK.values()
        for task, seconds in of_queue.items()
    }
    for task, late in sql.run(_OVERDUE, [list(turns), list(turns.values())]):
        yield Finding(f"turn {task}", f"{task} should have been run {late / 60:.0f} minutes ago.")


def _disks(rule: Rule) -> Iterator[Finding]:
    for path in dict.fromkeys((str(settings.FLEXHUB_DATA), "/")):
        if not os.path.exists(path):
            continue
        disk = shutil.disk_usage(path)
        used = 100 * (1 - disk.free / disk.total)
        if used >= rule.limit:
            told = f"{used:.0f} % of the disk at {path} of {socket.gethostname()} is used"
            yield Finding(
                f"{socket.gethostname()}:{path}"[:120],
                f"{told}, {disk.free / 1e9:.1f} GB are free.",
            )


def _backup(rule: Rule) -> Iterator[Finding]:
    last = backup.last()
    is_old = last.is_too_old
    if rule.limit:
        is_old = last.at is None or last.at < timezone.now() - timedelta(hours=rule.limit)
    if is_old:
        told = "There is no backup" if last.at is None else f"The last backup is of {_at(last.at)}"
        why = f"; the last attempt failed: {last.problem}" if last.problem else ""
        yield Finding("backup", f"{told}{why}."[:300])


def _effects(rule: Rule) -> Iterator[Finding]:
    for one in effects.unknown_by_cpo(timezone.now() - timedelta(days=1)):
        is_wanted = not rule.party or rule.party.upper() == one.cpo
        if is_wanted and one.all >= LEAST_PROFILES and 100 * one.unknown >= rule.limit * one.all:
            yield Finding(
                one.cpo,
                f"Of {one.all} profiles that {one.cpo} accepted within a day, the effect of "
                f"{one.unknown} is not known.",
            )


def _at(moment: datetime) -> str:
    return f"{moment:%d %b %H:%M} UTC"


_OF: Final[dict[Kind, Callable[[Rule], Iterator[Finding]]]] = {
    Kind.OFFLINE: _offline,
    Kind.ERRORS: _errors,
    Kind.BACKLOG: _backlog,
    Kind.HANDSHAKE: _handshakes,
    Kind.CERTIFICATE: _certificates,
    Kind.WORKERS: _workers,
    Kind.DISK: _disks,
    Kind.BACKUP: _backup,
    Kind.EFFECT: _effects,
}
