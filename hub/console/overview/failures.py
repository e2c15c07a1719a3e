"""What failed in the last hour, and why: what is the same is told once, with its number."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.safestring import SafeString

from charging_profiles.models import ProfileCommand
from hub.console import deliveries, profile_commands
from hub.console.tables import RED, badge
from hub.db import sql
from hub.models import Delivery

MOST: Final = 12
# The newest ones tell what goes wrong: no more are read, however many there are.
_LOOKED_AT: Final = 2_000
_REFUSED: Final = f"""
    SELECT method, module, sender, receiver, http_status, ocpi_code, count(*), max(at),
           (array_agg(problem ORDER BY at DESC))[1],
           (array_agg(correlation_id ORDER BY at DESC))[1]
    FROM (
        SELECT method, module, sender, receiver, http_status, ocpi_code, at, problem,
               correlation_id
        FROM hub_message
        WHERE is_failed AND at >= %s AND direction = 'IN' AND kind <> 'stranger'
        ORDER BY at DESC, id DESC LIMIT {_LOOKED_AT}
    ) AS newest
    GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 8 DESC LIMIT {MOST}
"""  # noqa: S608 - numbers of ours


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that did not get through, `number` times; `at` is the last time."""

    at: datetime
    badge: SafeString
    number: int
    what: str
    why: str
    url: str
    # One exchange as a ladder.
    last_url: str = ""


def refused(since: datetime) -> list[Failure]:
    """Messages that came in and were refused, here or by their receiver."""
    return [_refused(*row) for row in sql.run(_REFUSED, [since])]


def _refused(
    method: str,
    module: str,
    sender: str,
    receiver: str,
    status: int | None,
    code: int | None,
    number: int,
    at: datetime,
    problem: str,
    correlation_id: str,
) -> Failure:
    outcome = f"HTTP {status}" if code is None else f"OCPI {code}"
    parts = [f"{method} {module}".strip(), f"from {sender}" if sender else ""]
    parts.append(f"to {receiver}" if receiver else "")
    asked = {"failed": "1", "party": sender, "module": module, "code": code or ""}
    found = {name: value for name, value in asked.items() if value}
    ladder = f"{reverse('exchange')}?{urlencode({'correlation_id': correlation_id})}"
    return Failure(
        at,
        badge(outcome, RED, f"HTTP {status}"),
        number,
        " ".join(filter(None, parts)),
        problem,
        f"{reverse('messages')}?{urlencode(found)}",
        ladder if correlation_id else "",
    )


def commands(since: datetime) -> list[Failure]:
    """Profile commands that came to a bad end."""
    found = ProfileCommand.objects.filter(
        state__in=profile_commands.FAILED, created_at__gte=since
    ).order_by("-created_at")[:MOST]
    return [
        Failure(
            command.created_at,
            profile_commands.state_badge(command),
            1,
            f"{command.method} profile of session {command.session_id_sent}, "
            f"{command.fsp} to {command.cpo}",
            profile_commands.why(command),
            reverse("admin:ocpi_charging_profiles_profilecommand_change", args=[command.pk]),
        )
        for command in found
    ]


def pushes(since: datetime) -> list[Failure]:
    """Messages that the hub owed, and that their receiver did not take."""
    found = (
        Delivery.objects.filter(state__in=deliveries.FAILED, created_at__gte=since)
        .select_related("receiver")
        .order_by("-created_at")[:MOST]
    )
    return [
        Failure(
            push.created_at,
            deliveries.state_badge(push),
            1,
            f"{push.method} {push.module} to {push.receiver.name}",
            push.outcome,
            reverse("admin:hub_delivery_change", args=[push.pk]),
        )
        for push in found
    ]


def newest(*kinds: list[Failure]) -> list[Failure]:
    """The newest of all kinds."""
    found = [one for kind in kinds for one in kind]
    return sorted(found, key=lambda failure: failure.at, reverse=True)[:MOST]
