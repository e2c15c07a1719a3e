"""The still-alive check: GET versions after five quiet minutes (mod_hub_client_info)."""

import logging
from datetime import UTC, datetime, timedelta

from celery import shared_task
from django.conf import settings
from django.db import connection
from django.utils import timezone

from hub import outbound, outbox, party_status, token_forms
from hub.directory import PlatformEntry, holder
from hub.models import Platform, PlatformHealth
from hub.ocpi import envelope, headers
from hub.ocpi.datatypes import ConnectionStatus
from hub.ocpi.errors import HubError
from hub.record.calls import noted
from hub.record.note import Kind

logger = logging.getLogger(__name__)
SECONDS = 10.0
# One that is away is asked again after this part of the time that it has been quiet, and at least
# this often: those that never come back must not take all the time of the workers. A push to it
# finds out sooner.
AGAIN_AFTER = 0.1
AGAIN_AT_LEAST = timedelta(hours=1)


def write_heard(heard: dict[int, float]) -> None:
    """Write down when platforms were last heard; the gateway collects this for a few seconds."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO hub_platformhealth (platform_id, last_heard_at, problem) "
            "SELECT id, %s, '' FROM hub_platform WHERE id = %s "
            "ON CONFLICT (platform_id) DO UPDATE SET last_heard_at = "
            "greatest(hub_platformhealth.last_heard_at, excluded.last_heard_at)",
            [
                (datetime.fromtimestamp(when, UTC), platform)
                for platform, when in sorted(heard.items())
            ],
        )


def queue_check(platform_id: int) -> None:
    """Have one platform checked now, by a worker."""
    outbox.wake("hub.still_alive.check_platform", platform_id)


@shared_task
def check_quiet_platforms() -> None:
    """Queue a check of every registered platform that has been quiet for too long."""
    now = timezone.now()
    quiet_since = now - timedelta(seconds=settings.STILL_ALIVE_AFTER)
    quiet = PlatformHealth.objects.filter(last_heard_at__lt=quiet_since)
    for platform_id, heard_at, failed_at in (
        Platform.objects.filter(registered_at__isnull=False)
        .filter(parties__status__in=[ConnectionStatus.CONNECTED, ConnectionStatus.OFFLINE])
        .filter(health__in=quiet)
        .values_list("pk", "health__last_heard_at", "health__checked_at")
        .distinct()
    ):
        pause = min(AGAIN_AFTER * (now - heard_at), AGAIN_AT_LEAST)
        if failed_at is None or now - failed_at >= pause:
            queue_check(platform_id)


@shared_task
def check_platform(platform_id: int) -> bool:
    """GET the platform's versions; returns whether it is alive. Changes the status accordingly."""
    platform = holder.current().platforms.get(platform_id)
    if platform is None or not platform.is_registered:
        return False
    problem = _problem(platform)
    if problem:
        party_status.is_away(platform_id, problem)
        return False
    party_status.is_back(platform_id)
    return True


def _problem(platform: PlatformEntry) -> str:
    """Why the platform counts as away; "" when it answers.

    Any OCPI answer shows that it is there; one that refuses the hub's token is of no use to it.
    """

    def ask(authorization: str) -> outbound.Response:
        sent = {
            "Authorization": authorization,
            headers.REQUEST_ID: headers.new_id(),
            headers.CORRELATION_ID: headers.new_id(),
        }
        with noted(Kind.STILL_ALIVE, "GET", sent, platform, module="versions") as call:
            return call.answered(outbound.call("GET", platform.versions_url, sent, seconds=SECONDS))

    try:
        response = ask(platform.authorization)
        if response.status in token_forms.REFUSALS:
            response = token_forms.sent_again_now(platform, response, ask)
    except HubError as error:
        return error.message
    if response.status == 200 and envelope.read_answer(response.body).status_code is not None:
        return ""
    return f"GET versions was answered with HTTP {response.status}"
