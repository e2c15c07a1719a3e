"""Cut a party off; the others are told SUSPENDED (mod_hub_client_info: ConnectionStatus)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of
from hub.parties import onboarding
from hub.routing import directory


class Command(AuditedCommand):
    help = "Suspend a party: it gets nothing and can send nothing until it is resumed."

    def add_arguments(self, parser: CommandParser) -> None:
        add_party(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Suspend, and wait for the web processes to know."""
        identity = party_of(options["country_code"], options["party_id"])
        if not onboarding.suspend(identity):
            raise CommandError(f"{identity} is not a party of this hub.")
        if directory.wait_until_confirmed():
            self.stdout.write(f"{identity} is SUSPENDED; every web process refuses it now.")
        else:
            self.stdout.write(
                f"{identity} is SUSPENDED, but not every web process has confirmed it within "
                f"{directory.CONFIRMATION_WAIT:g} s."
            )
