"""Send again the messages to a party that were given up (hub/deliveries/resend.py)."""

import getpass
import json
from typing import Any

from django.core.management.base import CommandParser

from hub.deliveries import resend
from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of


class Command(AuditedCommand):
    help = (
        "Send again, in their order, the Sessions, preferences and results that a party did not "
        "get: it was OFFLINE, refused them, or was not there. Nothing is sent that is older than "
        "what it has got since."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """To whom, and of which module."""
        add_party(parser)
        parser.add_argument("--module", help="sessions or chargingprofiles; default: all")
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Put them back; the workers do the rest."""
        receiver = party_of(options["country_code"], options["party_id"])
        found = resend.kept().filter(
            to_country_code__iexact=receiver.country_code, to_party_id__iexact=receiver.party_id
        )
        if options["module"]:
            found = found.filter(module=options["module"])
        if options["dry_run"]:
            told: dict[str, Any] = {"kept": found.count()}
            text = f"{told['kept']} messages to {receiver} can be sent again."
        else:
            resent = resend.again(found.values_list("pk", flat=True), by=_who())
            told = {"resent": resent.number, "left": dict(resent.left)}
            text = f"Messages to {receiver}: {resent}."
        self.stdout.write(json.dumps(told) if options["json"] else text)


def _who() -> str:
    """The account at the command line, for the log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
