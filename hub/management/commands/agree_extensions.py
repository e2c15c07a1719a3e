"""Two parties agree on extension fields, or do so no more (SCALE D2.3, 8.4.1.2; decision 0043)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from flex.extensions import agreement_ended
from hub.db.leases import lock_name
from hub.management.audited import AuditedCommand
from hub.management.parties import named_party
from hub.models import Agreement
from hub.ocpi.extensions import AGREED_AS


class Command(AuditedCommand):
    help = (
        "Let extension fields, which tell what OCPI has no field for, pass between two parties. "
        "Without it they are taken out of what one sends and the other gets."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("one", type=named_party, metavar="NL-CPO", help="a party")
        parser.add_argument("other", type=named_party, metavar="NL-SCS", help="and another one")
        parser.add_argument("--end", action="store_true", help="end the agreement")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Make it or end it; doing so twice changes nothing."""
        first, second = sorted((options["one"], options["other"]))
        if first == second:
            raise CommandError("An agreement is between two parties.")
        lock_name("agreements on extension fields")
        rows = Agreement.objects.filter(module=AGREED_AS)
        found = [one for one in rows if set(one.pair) == {first, second}]
        if options["end"]:
            for one in found:
                one.delete()
            agreement_ended((first, second))
            said = "agree on extension fields no more" if found else "had no such agreement"
        else:
            row = found[0] if found else Agreement(module=AGREED_AS)
            row.country_code_a, row.party_id_a = first
            row.country_code_b, row.party_id_b = second
            row.is_open = True
            row.save()
            said = "agree on extension fields"
        self.stdout.write(f"{first} and {second} {said}.")
