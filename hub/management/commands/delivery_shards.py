"""Into how many shards the receivers of deliveries are divided (docs/operations.md, Deliveries)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.models import Sharding
from hub.workers.wake import nudge

MOST = 256


class Command(AuditedCommand):
    help = "Say, or change, into how many shards receivers are divided; while everything runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("shards", type=int, nargs="?", help=f"1 to {MOST}")

    def handle(self, *args: Any, **options: Any) -> None:
        """Drains of the former number end first, a moment later those of the new one begin."""
        wanted = options["shards"]
        if wanted is not None:
            if not 1 <= wanted <= MOST:
                raise CommandError(f"{wanted} is not a number from 1 to {MOST}.")
            Sharding.change(wanted)
            nudge("deliveries")
        self.stdout.write(f"{Sharding.number()} shards")

    def acts(self, options: dict[str, Any]) -> bool:
        """Without a number it only says how many there are."""
        return options["shards"] is not None
