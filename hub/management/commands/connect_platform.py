"""Register with another platform by its CREDENTIALS_TOKEN_A; renew and end that (credentials)."""

import json
import os
from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.deviations import noting
from hub.management.audited import AuditedCommand
from hub.management.parties import named_party
from hub.models import Platform
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import registration

_FROM_ENVIRONMENT = "CREDENTIALS_TOKEN_A"


class Command(AuditedCommand):
    help = (
        "The hub registers itself with another platform, which has given out a token for that. The "
        "hub has to be running: the other platform calls it during the handshake."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """With whom, and what is to be done."""
        parser.add_argument("--versions-url", required=True, help="of the other platform")
        parser.add_argument(
            "--token",
            default=os.environ.get(_FROM_ENVIRONMENT, ""),
            help="what the other platform gave out, as --token=… when it begins with a dash; else "
            f"${_FROM_ENVIRONMENT}, unseen by others",
        )
        parser.add_argument("--name", default="", help="of the company; by default its own")
        parser.add_argument(
            "--invited",
            type=named_party,
            metavar="NL-ABC",
            help="a party that was invited: it comes by this way instead",
        )
        parser.add_argument(
            "--party",
            action="append",
            default=[],
            metavar="NL-ABC:CPO",
            help="a party that you expect, and its role; may be given more than once. Others that "
            "it names wait for your agreement, or are taken in one of these roles",
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--update", action="store_true", help="renew the credentials (PUT)")
        what.add_argument("--end", action="store_true", help="end the registration (DELETE)")
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say what became of it."""
        url = options["versions_url"]
        try:
            if options["end"]:
                platform = _registered(url)
                said = registration.end(platform)
                self._tell(
                    options, platform, f"The registration with {platform} has ended: {said}."
                )
                return
            if options["update"]:
                platform = registration.update(_registered(url))
                message = f"The credentials of {platform} are renewed."
            else:
                if not options["token"]:
                    raise CommandError(f"--token (or ${_FROM_ENVIRONMENT}) is needed.")
                name = options["name"].strip()
                if len(name) > 100:
                    raise CommandError("--name is longer than 100 characters.")
                invited = _invited(options["invited"]) if options["invited"] else None
                platform = registration.connect(
                    url, options["token"].strip(), name, invited, _expected(options["party"])
                )
                message = f"The hub is registered with {platform}."
        except registration.CannotConnect as error:
            raise CommandError(str(error)) from error
        noting.flush()
        self._tell(options, platform, message)

    def _tell(self, options: dict[str, Any], platform: Platform, message: str) -> None:
        parties = registration.parties_of(platform)
        modules = sorted(f"{e.identifier} {e.role}" for e in platform.endpoints.all())
        if options["json"]:
            told = {
                "platform": platform.name,
                "is_registered": Platform.objects.get(pk=platform.pk).is_registered,
                "parties": parties,
                "modules": modules,
            }
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(message)
        for title, lines in (("parties", parties), ("modules", modules)):
            if lines:
                self.stdout.write(f"  {title}  {', '.join(lines)}")


def _expected(words: list[str]) -> dict[PartyId, list[Role]]:
    try:
        return registration.expected(words)
    except ValueError as error:
        raise CommandError(f"--party: {error}.") from error


def _invited(party: PartyId) -> Platform:
    platform = Platform.objects.filter(
        parties__country_code__iexact=party.country_code,
        parties__party_id__iexact=party.party_id,
        registered_at__isnull=True,
    ).first()
    if platform is None:
        raise CommandError(f"{party} is not invited, or registered already.")
    return platform


def _registered(versions_url: str) -> Platform:
    platform = Platform.objects.filter(
        versions_url=versions_url, registered_at__isnull=False
    ).first()
    if platform is None:
        raise CommandError(f"The hub is registered with nobody at {versions_url}.")
    return platform
