"""PUT the current state to a party that was away (transport_and_format, Offline behaviour)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of
from hub.models import Platform, Replay
from hub.ocpi.datatypes import ConnectionStatus
from hub.routing import directory


class Command(AuditedCommand):
    help = "PUT the Locations, Tariffs and Tokens that a party may see to it, as they are now."

    def add_arguments(self, parser: CommandParser) -> None:
        add_party(parser)
        parser.add_argument(
            "--on-return",
            choices=["yes", "no"],
            help="do so whenever its platform is back after being OFFLINE; nothing is sent now",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Begin it, or set the switch; the workers do the rest."""
        identity = party_of(options["country_code"], options["party_id"])
        entry = directory.load().parties.get(identity)
        if entry is None:
            raise CommandError(f"{identity} is not a party of this hub.")
        if options["on_return"] is not None:
            is_on = options["on_return"] == "yes"
            Platform.objects.filter(pk=entry.platform.id).update(is_replayed_to=is_on)
            self.stdout.write(
                f"{entry.platform.name} {'gets' if is_on else 'does not get'} "
                "the current state when it is back after being OFFLINE."
            )
            return
        if entry.status != ConnectionStatus.CONNECTED:
            raise CommandError(
                f"{identity} is {entry.status.value}; only CONNECTED parties can take it."
            )
        Replay.begin(entry.platform.id, identity)
        self.stdout.write(
            f"The current state is on its way to {identity}; the log says when it is done."
        )
