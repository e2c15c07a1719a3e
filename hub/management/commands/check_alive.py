"""Check now whether every registered platform answers (mod_hub_client_info, Still alive check)."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from hub.models import Party, Platform
from hub.parties import still_alive

AT_ONCE = 8
COLUMNS = ("party", "platform", "status", "problem")


def _check(platform_id: int) -> bool:
    """Bounded in time by the check itself; the thread's database connection goes with it."""
    try:
        return still_alive.check_platform(platform_id)
    finally:
        connection.close()


class Command(BaseCommand):
    help = "GET versions of every registered platform now. Exit code 1 when one is away."

    def add_arguments(self, parser: CommandParser) -> None:
        """The form of the answer."""
        parser.add_argument("--json", action="store_true", help="a JSON list, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, then say what is known of each party."""
        platforms = list(
            Platform.objects.filter(registered_at__isnull=False).values_list("pk", flat=True)
        )
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="check") as threads:
            is_alive = dict(zip(platforms, threads.map(_check, platforms), strict=True))
        rows = _rows(platforms)
        if options["json"]:
            self.stdout.write(json.dumps(rows))
        else:
            self._table(rows)
        away = sum(not alive for alive in is_alive.values())
        if away:
            raise CommandError(f"{away} of {len(platforms)} platforms are away.", returncode=1)

    def _table(self, rows: list[dict[str, str]]) -> None:
        if not rows:
            self.stdout.write("No party is registered.")
            return
        lines = [dict(zip(COLUMNS, COLUMNS, strict=True)), *rows]
        widths = [max(len(line[column]) for line in lines) for column in COLUMNS]
        for line in lines:
            cells = [
                line[column].ljust(width) for column, width in zip(COLUMNS, widths, strict=True)
            ]
            self.stdout.write("  ".join(cells).rstrip())


def _rows(platforms: list[int]) -> list[dict[str, str]]:
    """One row a party, with what is known of its platform."""
    parties = (
        Party.objects.filter(platform__in=platforms)
        .select_related("platform__health")
        .order_by("country_code", "party_id", "role")
    )
    return [
        {
            "party": str(party),
            "platform": party.platform.name,
            "status": party.status,
            "problem": party.platform.health.problem if hasattr(party.platform, "health") else "",
        }
        for party in parties
    ]
