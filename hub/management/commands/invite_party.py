"""Invite a party: CREDENTIALS_TOKEN_A and where to use it (credentials, Registration)."""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of
from hub.ocpi import headers
from hub.ocpi.datatypes import Role
from hub.ocpi.v2_2_1 import VERSION
from hub.parties import onboarding

ROLES = [role.value for role in Role if role is not Role.HUB]


def _role(text: str) -> str:
    return text.upper()


class Command(AuditedCommand):
    help = (
        "Invite a party. Prints its CREDENTIALS_TOKEN_A, which is shown only now, and the "
        "versions URL. Run again for a party that has not come, it gets a new token."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Who is invited, and as what."""
        add_party(parser)
        parser.add_argument(
            "--role",
            action="append",
            required=True,
            type=_role,
            choices=ROLES,
            dest="roles",
            help="may be given more than once",
        )
        parser.add_argument("--name", default="", help="of the company")
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what to hand over, and how the party can try it."""
        identity = party_of(options["country_code"], options["party_id"])
        name = options["name"].strip()
        if len(name) > 100:
            raise CommandError("--name is longer than 100 characters.")
        roles = [Role(role) for role in dict.fromkeys(options["roles"])]
        try:
            invitation = onboarding.invite(identity, roles, name)
        except onboarding.CannotInvite as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            told = {"token": invitation.token, "versions_url": invitation.versions_url}
            self.stdout.write(json.dumps(told))
            return
        authorization = headers.authorization(invitation.token)
        self.stdout.write(
            f"{identity} is invited as {', '.join(roles)}.\n\n"
            f"  CREDENTIALS_TOKEN_A  {invitation.token}\n"
            f"  versions URL         {invitation.versions_url}\n\n"
            "The token is shown only now. Hand both to the party in a secure way; it registers "
            "itself\nby POSTing its credentials. To try the token, Base64-encoded as OCPI "
            f"{VERSION} asks:\n\n"
            f"  curl -H 'Authorization: {authorization}' {invitation.versions_url}\n"
        )
