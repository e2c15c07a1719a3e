"""Leave out of a party's lists and pushes what deviates from the text (store/leaving_out.py)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of
from hub.models import Platform
from hub.routing import directory
from hub.store import leaving_out
from hub.store.kinds import kinds_left_out


class Command(AuditedCommand):
    help = (
        "Have Locations and Tariffs that deviate from the text left out of the lists and pushes "
        "of a party's platform, except those that it holds already."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_party(parser)
        parser.add_argument("--off", action="store_true", help="send and show it all again")

    def handle(self, *args: Any, **options: Any) -> None:
        """Turn it on or off, and wait for the web processes to know."""
        identity = party_of(options["country_code"], options["party_id"])
        platform = Platform.objects.filter(
            parties__country_code__iexact=identity.country_code,
            parties__party_id__iexact=identity.party_id,
        ).first()
        if platform is None:
            raise CommandError(f"{identity} is not a party of this hub.")
        is_on = not options["off"]
        confirmed = leaving_out.switch(platform, kinds_left_out(), on=is_on)
        self.stdout.write(leaving_out.explained(platform))
        if not confirmed:
            self.stdout.write(
                f"Not every web process has confirmed it within {directory.CONFIRMATION_WAIT:g} s."
            )
