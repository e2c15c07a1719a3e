"""Take a suspension back (mod_hub_client_info: ConnectionStatus)."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub import directory, onboarding
from hub.management.parties import add_party, party_of
from hub.models import Party


class Command(BaseCommand):
    help = "Resume a suspended party."

    def add_arguments(self, parser: CommandParser) -> None:
        """Who."""
        add_party(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Resume, and wait for the web processes to know."""
        identity = party_of(options["country_code"], options["party_id"])
        parties = Party.objects.filter(
            country_code__iexact=identity.country_code, party_id__iexact=identity.party_id
        )
        if not parties.exists():
            raise CommandError(f"{identity} is no party of this hub.")
        if not onboarding.resume(identity):
            raise CommandError(f"{identity} is not suspended.")
        status = parties.values_list("status", flat=True)[0]
        if directory.wait_until_confirmed():
            self.stdout.write(f"{identity} is {status}; every web process knows it.")
        else:
            self.stdout.write(
                f"{identity} is {status}, but not every web process has confirmed it within "
                f"{directory.CONFIRMATION_WAIT:g} s."
            )
