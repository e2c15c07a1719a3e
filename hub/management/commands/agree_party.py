"""Agree to a party that came without an invitation (docs/decisions/0020)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of
from hub.ocpi.datatypes import Role
from hub.parties import onboarding
from hub.routing import directory


class Command(AuditedCommand):
    help = "Agree to a party that came uninvited: it takes part from now on."

    def add_arguments(self, parser: CommandParser) -> None:
        add_party(parser)
        parser.add_argument(
            "--role",
            type=str.upper,
            choices=[role.value for role in Role if role is not Role.HUB],
            default="",
            help="in this role only; by default in all roles that its platform has named",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Agree, and wait for the web processes to know."""
        identity = party_of(options["country_code"], options["party_id"])
        if not onboarding.agree(identity, options["role"]):
            raise CommandError(f"{identity} does not wait for an agreement.")
        is_known = directory.wait_until_confirmed()
        status = onboarding.status_of(identity)
        self.stdout.write(
            f"{identity} is {status}; every web process knows it."
            if is_known
            else f"{identity} is {status}, but not every web process has confirmed it within "
            f"{directory.CONFIRMATION_WAIT:g} s."
        )
