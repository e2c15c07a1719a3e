"""The numbers at the head of the first page, each with what it is made of and where that is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from charging_profiles.models import ProfileCommand
from hub import backup
from hub.console.deliveries import STATE_COLOURS
from hub.console.overview.steering import Steering, effect_badge
from hub.console.overview.traffic import Traffic
from hub.console.owed import state_badge
from hub.console.sessions_page import STATUS_COLOURS as SESSION_COLOURS
from hub.console.statuses import status_badge
from hub.console.tables import GREEN, GREY, RED, ago, badge, duration
from hub.models import Delivery, DeliveryState, Party, WorkerProcess
from hub.models.stale_copies import CopyState
from hub.models.workers import Workers
from hub.ocpi.datatypes import ConnectionStatus
from hub.outbox import owed
from sessions.models import Session
from sessions.objects import SessionStatus


@dataclass(frozen=True)
class Line:
    """One number, and where it leads, if anywhere."""

    badge: SafeString
    count: str
    url: str


@dataclass(frozen=True)
class Tile:
    """A heading, a number, and what it is made of."""

    title: str
    count: str
    lines: list[Line]
    nothing: str
    note: SafeString | str = ""
    # Out of how many.
    of: str = ""


def _counts(rows: QuerySet[Any], field: str) -> dict[str, int]:
    return dict(rows.order_by().values_list(field).annotate(Count("pk")))


def _lines(
    counts: dict[str, int],
    order: Iterable[str],
    draw: Callable[[str], SafeString],
    url: str,
    field: str,
) -> list[Line]:
    return [
        Line(draw(key), owed.as_text(counts[key]), f"{reverse(url)}?{field}__exact={key}")
        for key in order
        if counts.get(key)
    ]


def messages(flow: Traffic) -> Tile:
    """The rate of the last whole minute, and the hour."""
    everything = reverse("messages")
    lines = [Line(badge("in 1 h", GREY), f"{flow.number:,}", everything)]
    if flow.failed:
        told = badge(f"failed ({flow.share})", RED)
        lines.append(Line(told, f"{flow.failed:,}", flow.failed_url))
    return Tile("Messages a minute", f"{flow.now:,}", lines, "")


def parties() -> Tile:
    """By the status that the others are told."""
    counts = _counts(Party.objects.all(), "status")
    lines = _lines(counts, ConnectionStatus, status_badge, "admin:hub_party_changelist", "status")
    total = sum(counts.values())
    connected = f"{counts.get('CONNECTED', 0):,}"
    return Tile("Parties connected", connected, lines, "Invite one.", of=f"{total:,}")


def sessions() -> Tile:
    """Those that go on."""
    running = Session.objects.filter(is_accepted=True).exclude(status=SessionStatus.COMPLETED)
    counts = _counts(running, "status")

    def draw(status: str) -> SafeString:
        return badge(status, SESSION_COLOURS[SessionStatus(status)])

    url = "admin:ocpi_sessions_session_changelist"
    lines = _lines(counts, SessionStatus, draw, url, "status")
    return Tile("Sessions active", f"{counts.get('ACTIVE', 0):,}", lines, "None goes on now.")


def steered(found: Steering, since: datetime) -> Tile:
    """Sessions with a profile in force, by what it is seen to do."""
    number = ProfileCommand.objects.filter(created_at__gte=since).count()
    effects = reverse("admin:flex_knowledge_profileeffect_changelist")
    lines = [
        Line(effect_badge(effect), f"{count:,}", f"{effects}?effect__exact={effect.value}")
        for effect, count in found.counts.items()
    ]
    if number:
        url = reverse("admin:ocpi_charging_profiles_profilecommand_changelist")
        lines.append(Line(badge("commands in 1 h", GREY), f"{number:,}", url))
    return Tile("Sessions steered now", f"{found.number:,}", lines, "No FSP asked for anything.")


def deliveries(since: datetime) -> Tile:
    """What waits, however old: objects and messages; of messages also what ended in the hour."""
    ended = Delivery.objects.exclude(state=DeliveryState.WAITING)
    counts = _counts(ended.filter(created_at__gte=since), "state")
    waiting = Delivery.objects.filter(state=DeliveryState.WAITING)
    found = waiting.aggregate(number=Count("pk"), oldest=Min("created_at"))

    def draw(state: str) -> SafeString:
        known = DeliveryState(state)
        return badge(f"{known.value} in 1 h", STATE_COLOURS[known], str(known.label))

    objects = owed.waiting()
    lines = _lines(counts, DeliveryState, draw, "admin:hub_delivery_changelist", "state")
    if refused := owed.refused():
        told = state_badge(CopyState.REFUSED, "objects ")
        lines.append(Line(told, owed.as_text(refused), reverse("owed")))
    total = found["number"] + objects
    count = owed.as_text(owed.MOST_COUNTED + 1 if objects > owed.MOST_COUNTED else total)
    oldest = min((*owed.oldest().values(), found["oldest"] or timezone.now()))
    note = format_html("The oldest came {}", ago(oldest) or "") if total else ""
    return Tile("Deliveries waiting", count, lines, "There was nothing to push.", note)


def workers() -> Tile:
    """Processes that are alive, by queue; a queue without any is red."""
    found = WorkerProcess.by_queue()
    alive = sum(one.alive for one in found)
    lines = [Line(_queue(one), str(one.alive), "") for one in found]
    return Tile("Worker processes", f"{alive:,}", [*lines, _backup()], "")


def _backup() -> Line:
    """When the last one was begun; red once it is too old."""
    last = backup.last()
    when = "none" if last.at is None else duration(timezone.now() - last.at)
    colour = RED if last.is_too_old or last.problem else GREY
    return Line(badge("last backup, ago" if last.at else "last backup", colour), when, "")


def _queue(one: Workers) -> SafeString:
    silent = "" if one.alive or one.silent is None else f", silent for {one.silent:.0f} s"
    return badge(f"{one.queue}{silent}", GREEN if one.alive else RED)
