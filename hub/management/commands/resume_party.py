"""Take a suspension back (mod_hub_client_info: ConnectionStatus)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of
from hub.models.parties import rows_of
from hub.parties import onboarding
from hub.routing import directory


class Command(AuditedCommand):
    help = "Resume a suspended party."

    def add_arguments(self, parser: CommandParser) -> None:
        add_party(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Resume, and wait for the web processes to know."""
        identity = party_of(options["country_code"], options["party_id"])
        if not rows_of(identity).exists():
            raise CommandError(f"{identity} is not a party of this hub.")
        if not onboarding.resume(identity):
            raise CommandError(f"{identity} is not suspended.")
        status = onboarding.status_of(identity)
        if directory.wait_until_confirmed():
            self.stdout.write(f"{identity} is {status}; every web process knows it.")
        else:
            self.stdout.write(
                f"{identity} is {status}, but not every web process has confirmed it within "
                f"{directory.CONFIRMATION_WAIT:g} s."
            )
