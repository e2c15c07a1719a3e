"""Let a platform tell Locations and Tariffs of others (terminology: NAP)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of
from hub.models import Platform
from hub.routing import directory


class Command(AuditedCommand):
    help = (
        "Mark the platform of a party as aggregator or national access point: it may push "
        "Locations and Tariffs of others, and its lists keep each owner's ids. What an owner "
        "tells itself goes before it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose platform, and whether it is one."""
        add_party(parser)
        parser.add_argument("is_one", choices=["yes", "no"])

    def handle(self, *args: Any, **options: Any) -> None:
        """Set the mark; every web process routes by it when this returns."""
        identity = party_of(options["country_code"], options["party_id"])
        entry = directory.load().parties.get(identity)
        if entry is None:
            raise CommandError(f"{identity} is not a party of this hub.")
        is_one = options["is_one"] == "yes"
        Platform.objects.filter(pk=entry.platform.id).update(is_aggregator=is_one)
        directory.wait_until_confirmed()
        self.stdout.write(
            f"{entry.platform.name} {'may' if is_one else 'may not'} tell Locations and Tariffs "
            "of others."
        )
