"""Who is away, what waits, which handshakes and lists failed, and what is newly odd."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.db.models import Prefetch, Q
from django.urls import reverse
from django.utils.safestring import SafeString

from hub.console.alerts import state_badge
from hub.console.statuses import problem_of
from hub.console.tables import ago
from hub.deviations.models import DeviationCount
from hub.models import Party, Platform, Pull
from hub.models.pulls import PullState
from hub.monitoring.alerts.models import Alert
from hub.ocpi.datatypes import ConnectionStatus
from hub.outbox import owed
from hub.record.handshakes import failed_handshakes

MOST: Final = 6
MOST_ALERTS: Final = 8
# What has waited for less is on its way.
ON_ITS_WAY: Final = timedelta(seconds=10)
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a card: what, since when, why, and where more of it is."""

    what: str
    when: SafeString | None
    why: str
    url: str


@dataclass(frozen=True, slots=True)
class Card:
    """A heading with its lines; `number` is all there is, `nothing` what is said without any."""

    title: str
    number: int
    items: list[Item]
    nothing: str
    url: str


@dataclass(frozen=True, slots=True)
class Going:
    """An alert that goes on."""

    badge: SafeString
    summary: str
    when: SafeString | None
    url: str


def alerts() -> list[Going]:
    """What goes on, critical ones first."""
    found = Alert.objects.filter(ended_at__isnull=True).select_related("rule")
    newest = found.prefetch_related("notices").order_by("rule__severity", "-began_at")
    return [
        Going(
            state_badge(alert),
            alert.summary,
            ago(alert.began_at),
            reverse("admin:alerts_alert_change", args=[alert.pk]),
        )
        for alert in newest[:MOST_ALERTS]
    ]


def offline() -> Card:
    """Platforms with a party that is OFFLINE, the one that has been away longest first."""
    is_away = Q(status=ConnectionStatus.OFFLINE)
    away = Party.objects.filter(is_away).order_by("last_updated", "pk")
    first: dict[int, Party] = {}
    for party in away:
        first.setdefault(party.platform_id, party)
    platforms = (
        Platform.objects.select_related("health")
        .prefetch_related(Prefetch("parties", queryset=away))
        .in_bulk(list(first)[:MOST])
    )
    items = [
        Item(
            _names(platforms[pk]),
            ago(party.last_updated),
            problem_of(platforms[pk]),
            reverse("admin:hub_platform_change", args=[pk]),
        )
        for pk, party in list(first.items())[:MOST]
    ]
    url = f"{reverse('admin:hub_party_changelist')}?status__exact=OFFLINE"
    return Card("OFFLINE now", len(first), items, "Everybody who is connected answers.", url)


def _names(platform: Platform) -> str:
    """Bornes du Sud (FR-BDS)."""
    parties = ", ".join(dict.fromkeys(str(party.identity) for party in platform.parties.all()))
    return f"{platform.name} ({parties})"


def behind(now: datetime) -> Card:
    """Receivers for which something waits for a while, where it has waited longest first."""
    late = {pk: since for pk, since in owed.oldest_of_all().items() if since < now - ON_ITS_WAY}
    found = sorted(late.items(), key=lambda pair: pair[1])
    shown = [pk for pk, _ in found[:MOST]]
    platforms = Platform.objects.in_bulk(shown)
    items = [
        Item(
            platforms[pk].name if pk in platforms else f"platform {pk}, which is gone",
            ago(since),
            "",
            f"{reverse('owed')}?receiver={pk}",
        )
        for pk, since in found[:MOST]
    ]
    nothing = "Every receiver has been told what the hub has."
    return Card("Deliveries behind", len(found), items, nothing, reverse("owed"))


def handshakes(now: datetime) -> Card:
    """Platforms whose last handshake of the day has failed, with what they were told."""
    found = failed_handshakes(now - _A_DAY)
    names = Platform.objects.in_bulk({one.platform_id for one in found[:MOST] if one.platform_id})
    items = []
    for one in found[:MOST]:
        platform = names.get(one.platform_id or 0)
        items.append(
            Item(
                platform.name if platform else one.who or "somebody",
                ago(one.at),
                one.why,
                f"{reverse('exchange')}?{urlencode({'correlation_id': one.correlation_id})}",
            )
        )
    url = f"{reverse('messages')}?{urlencode({'module': 'credentials', 'failed': '1'})}"
    nothing = "No registration has failed since yesterday."
    return Card("Failed handshakes", len(found), items, nothing, url)


def deviations(now: datetime) -> Card:
    """Differences from the text that were met for the first time since yesterday."""
    since = now - _A_DAY
    found = DeviationCount.objects.filter(last_at__gte=since, first_at__gte=since)
    newest = found.select_related("platform").order_by("-first_at", "-pk")[:MOST]
    items = [
        Item(
            f"{one.platform.name}: {one.rule}",
            ago(one.first_at),
            f"{one.path}, {one.number:,} times" if one.number > 1 else one.path,
            reverse("admin:hub_platform_change", args=[one.platform_id]),
        )
        for one in newest
    ]
    nothing = "Nobody spells anything differently than yesterday."
    url = reverse("admin:deviations_deviationcount_changelist")
    return Card("New deviations", found.count(), items, nothing, url)


def pulls() -> Card:
    """Lists that the hub could not read to their end."""
    found = Pull.objects.filter(Q(state=PullState.FAILED) | Q(failures__gt=0))
    items = [
        Item(
            f"{pull.module} of {pull.identity}",
            ago(pull.begun_at),
            pull.last_error,
            reverse("admin:hub_platform_change", args=[pull.platform_id]),
        )
        for pull in found.order_by("-begun_at", "-pk")[:MOST]
    ]
    nothing = "Each list that the hub fetches was read."
    return Card(
        "Failed pulls", found.count(), items, nothing, reverse("admin:hub_platform_changelist")
    )
    nothing = "Each list that the hub fetches was read."
    url = reverse("admin:hub_platform_changelist")
    return Card("Failed pulls", found.count(), items, nothing, url)
