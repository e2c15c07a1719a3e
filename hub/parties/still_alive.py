"""The still-alive check: GET versions after five quiet minutes (mod_hub_client_info).

When a platform is to be checked stands in its PlatformHealth: at once where somebody asks, and
while checks fail again after one second, two, four, up to sixty. A job takes those that are due and
has them carried (hub/parties/alive_checks.py); what it takes and does not end is due again.
"""

from collections.abc import Mapping

from celery import shared_task
from django.conf import settings

from hub.db import sql
from hub.parties.alive_checks import checker
from hub.workers.wake import wake

_HEARD = """
    INSERT INTO hub_platformhealth AS kept (platform_id, last_heard_at, problem)
    SELECT platform.id, statement_timestamp() - make_interval(secs => heard.ago), ''
    FROM unnest(%(platforms)s::bigint[], %(ago)s::float8[]) AS heard (platform, ago)
    JOIN hub_platform AS platform ON platform.id = heard.platform
    ORDER BY platform.id
    ON CONFLICT (platform_id) DO UPDATE SET last_heard_at = excluded.last_heard_at
    WHERE kept.last_heard_at < excluded.last_heard_at
"""
_ASK = """
    UPDATE hub_platformhealth SET next_check_at = statement_timestamp()
    WHERE platform_id = %(platform)s
      AND (next_check_at IS NULL OR next_check_at > statement_timestamp())
"""
# One that failed and was taken by a process that died since has no next check: it is due.
_TAKE = """
    WITH due AS (
        SELECT health.platform_id FROM hub_platformhealth AS health
        JOIN hub_platform AS platform ON platform.id = health.platform_id
        WHERE platform.registered_at IS NOT NULL
          AND (taken_until IS NULL OR taken_until <= statement_timestamp())
          AND CASE WHEN next_check_at IS NOT NULL THEN next_check_at <= statement_timestamp()
                   ELSE problem <> ''
                        OR last_heard_at < statement_timestamp() - make_interval(secs => %(quiet)s)
              END
          AND EXISTS (SELECT FROM hub_party WHERE platform_id = platform.id
                      AND status IN ('CONNECTED', 'OFFLINE'))
        ORDER BY next_check_at NULLS LAST, last_heard_at
        LIMIT %(rows)s
        FOR UPDATE OF health SKIP LOCKED
    )
    UPDATE hub_platformhealth AS health
    SET taken_until = statement_timestamp() + make_interval(secs => %(seconds)s),
        next_check_at = NULL
    FROM due WHERE health.platform_id = due.platform_id
    RETURNING health.platform_id
"""
# Longer than any check takes.
_TAKEN = 30.0  # seconds


def write_heard(heard: Mapping[int, float]) -> None:
    """Write down how many seconds ago platforms were heard; web processes collect it."""
    sql.run(_HEARD, {"platforms": list(heard), "ago": list(heard.values())})


def queue_check(platform_id: int) -> None:
    """Have one platform checked now, by a worker."""
    sql.run(_ASK, {"platform": platform_id})
    wake("parties.check_quiet_platforms")


@shared_task(name="parties.check_quiet_platforms")
def check_quiet_platforms() -> None:
    """Begin the checks of platforms that are due, or have been quiet for too long.

    As many as there is room for; the next look is a second later.
    """
    due = {"rows": checker.room, "seconds": _TAKEN, "quiet": settings.STILL_ALIVE_AFTER}
    for (platform_id,) in sql.run(_TAKE, due):
        checker.check(platform_id)


@shared_task(name="parties.check_platform")
def check_platform(platform_id: int) -> bool:
    """GET the platform's versions; returns whether it is alive. Changes the status accordingly."""
    is_alive: bool = checker.check(platform_id).result()
    return is_alive
