"""End a registration whose token was lost, without a call to the party (credentials)."""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of
from hub.models.parties import rows_of
from hub.parties import registration


class Command(AuditedCommand):
    help = (
        "End the registration of a party's platform here alone: for one that has lost its token, "
        "or cannot be called. Its token is dead at once; invite_party gives it a new one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_party(parser)
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        """End it, and say how the party comes back."""
        identity = party_of(options["country_code"], options["party_id"])
        party = rows_of(identity).select_related("platform").first()
        if party is None:
            raise CommandError(f"{identity} is not a party of this hub.")
        try:
            registration.end_here(party.platform)
        except registration.CannotConnect as error:
            raise CommandError(str(error)) from error
        parties = registration.parties_of(party.platform, has_left=True)
        if options["json"]:
            told = {"platform": party.platform.name, "is_registered": False, "parties": parties}
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(
            f"The registration of {party.platform.name} has ended ({', '.join(parties)}): its "
            f"token is dead, and it was not told.\nTo let it in again: manage.py invite_party "
            f"{identity.country_code} {identity.party_id} --role ROLE"
        )
