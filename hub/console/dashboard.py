"""The console's first page: who is connected, what flows, what failed and why."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from charging_profiles.models import CommandState, ProfileCommand
from hub.console import deliveries, profile_commands
from hub.console.owed import state_badge
from hub.console.sessions_page import STATUS_COLOURS as SESSION_COLOURS
from hub.console.statuses import status_badge
from hub.console.tables import ago, badge
from hub.models import Delivery, DeliveryState, Party, WorkerProcess
from hub.models.stale_copies import CopyState
from hub.ocpi.datatypes import ConnectionStatus
from hub.outbox import owed
from sessions.models import Session
from sessions.objects import SessionStatus

RECENTLY = timedelta(hours=1)
FAILURES = 12


@dataclass(frozen=True)
class Line:
    """One number and where it leads."""

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


@dataclass(frozen=True)
class Failure:
    """Something that did not get through."""

    at: datetime
    badge: SafeString
    what: str
    why: str
    url: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Called by unfold (DASHBOARD_CALLBACK); the page asks again by itself."""
    now = timezone.now()
    since = now - RECENTLY
    context |= {
        "title": "Overview",
        "tiles": [_parties(), _sessions(), _commands(since), _deliveries(since)],
        "failures": _failures(since),
        "workers": WorkerProcess.by_queue(),
        "now": now,
    }
    return context


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


def _parties() -> Tile:
    counts = _counts(Party.objects.all(), "status")
    lines = _lines(counts, ConnectionStatus, status_badge, "admin:hub_party_changelist", "status")
    total = sum(counts.values())
    connected = str(counts.get("CONNECTED", 0))
    return Tile("Parties connected", connected, lines, _none(total, "Invite one."))


def _none(total: int, text: str) -> str:
    return "" if total else text


def _sessions() -> Tile:
    running = Session.objects.filter(is_accepted=True).exclude(status=SessionStatus.COMPLETED)
    counts = _counts(running, "status")

    def draw(status: str) -> SafeString:
        return badge(status, SESSION_COLOURS[SessionStatus(status)])

    url = "admin:ocpi_sessions_session_changelist"
    lines = _lines(counts, SessionStatus, draw, url, "status")
    return Tile("Sessions active", str(counts.get("ACTIVE", 0)), lines, "None goes on now.")


def _commands(since: datetime) -> Tile:
    counts = _counts(ProfileCommand.objects.filter(created_at__gte=since), "state")

    def draw(state: str) -> SafeString:
        known = CommandState(state)
        text = known.value.replace("_", " ")
        return badge(text, profile_commands.STATE_COLOURS[known], str(known.label))

    url = "admin:ocpi_charging_profiles_profilecommand_changelist"
    lines = _lines(counts, CommandState, draw, url, "state")
    title = "Profile commands in the last hour"
    return Tile(title, str(sum(counts.values())), lines, "No FSP asked for anything.")


def _deliveries(since: datetime) -> Tile:
    """What waits, however old: objects and messages; of messages also what ended in the hour."""
    ended = Delivery.objects.exclude(state=DeliveryState.WAITING)
    counts = _counts(ended.filter(created_at__gte=since), "state")
    waiting = Delivery.objects.filter(state=DeliveryState.WAITING)
    found = waiting.aggregate(number=Count("pk"), oldest=Min("created_at"))
    counts["WAITING"] = found["number"]

    def draw(state: str) -> SafeString:
        known = DeliveryState(state)
        return badge(known.value, deliveries.STATE_COLOURS[known], str(known.label))

    lines = _lines(counts, DeliveryState, draw, "admin:hub_delivery_changelist", "state")
    objects = {CopyState.WAITING: owed.waiting(), CopyState.REFUSED: owed.refused()}
    lines += [
        Line(state_badge(state, "objects "), owed.as_text(number), reverse("owed"))
        for state, number in objects.items()
        if number
    ]
    oldest = min((*owed.oldest().values(), found["oldest"] or timezone.now()))
    total = sum(counts.values()) + objects[CopyState.WAITING]
    is_more = objects[CopyState.WAITING] > owed.MOST_COUNTED
    return Tile(
        "Deliveries in the last hour",
        owed.as_text(owed.MOST_COUNTED + 1) if is_more else f"{total:,}",
        lines,
        "There was nothing to push.",
        _came(oldest) if found["number"] or objects[CopyState.WAITING] else "",
    )


def _came(moment: datetime) -> SafeString:
    return format_html("The oldest came {}", ago(moment) or "")


def _failures(since: datetime) -> list[Failure]:
    """The newest of both kinds."""
    commands = ProfileCommand.objects.filter(
        state__in=profile_commands.FAILED, created_at__gte=since
    ).order_by("-created_at")[:FAILURES]
    pushes = (
        Delivery.objects.filter(state__in=deliveries.FAILED, created_at__gte=since)
        .select_related("receiver")
        .order_by("-created_at")[:FAILURES]
    )
    found = [
        Failure(
            command.created_at,
            profile_commands.state_badge(command),
            f"{command.method} profile of session {command.session_id_sent}, "
            f"{command.fsp} to {command.cpo}",
            profile_commands.why(command),
            reverse("admin:ocpi_charging_profiles_profilecommand_change", args=[command.pk]),
        )
        for command in commands
    ] + [
        Failure(
            push.created_at,
            deliveries.state_badge(push),
            f"{push.method} {push.module} to {push.receiver.name}",
            push.outcome,
            reverse("admin:hub_delivery_change", args=[push.pk]),
        )
        for push in pushes
    ]
    return sorted(found, key=lambda failure: failure.at, reverse=True)[:FAILURES]
