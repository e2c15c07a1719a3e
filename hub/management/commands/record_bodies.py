"""Keep the bodies of a party's messages in the record, masked, for a limited time."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of
from hub.models import Party
from hub.record.models import BodyRecording

MOST_MINUTES = 24 * 60


class Command(AuditedCommand):
    help = "Record the bodies of a party's messages too, masked, until the time is over."

    def add_arguments(self, parser: CommandParser) -> None:
        """Who, and for how long."""
        add_party(parser)
        parser.add_argument("--minutes", type=int, default=30, help="30 unless given; at most 1440")
        parser.add_argument("--off", action="store_true", help="end it now")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the row; web processes know it within a moment (hub/routing/directory.py)."""
        identity = party_of(options["country_code"], options["party_id"])
        named = {"country_code__iexact": identity[0], "party_id__iexact": identity[1]}
        if options["off"]:
            ended, _ = BodyRecording.objects.filter(**named).delete()
            state = "are not recorded any more" if ended else "were not recorded"
            self.stdout.write(f"Bodies of {identity}'s messages {state}.")
            return
        minutes = options["minutes"]
        if not 0 < minutes <= MOST_MINUTES:
            raise CommandError(f"--minutes {minutes} is not from 1 to {MOST_MINUTES}.")
        if not Party.objects.filter(**named).exists():
            raise CommandError(f"{identity} is not a party of this hub.")
        until = timezone.now() + timedelta(minutes=minutes)
        BodyRecording.objects.update_or_create(
            country_code=identity.country_code,
            party_id=identity.party_id,
            defaults={"until": until},
        )
        self.stdout.write(f"Bodies of {identity}'s messages are recorded until {until:%H:%M} UTC.")
