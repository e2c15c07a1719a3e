"""Let a smart charging service provider act as FSP: an active FlexAgreement (SCALE D2.3, 11.1)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from hub.db.leases import lock_name
from hub.management.audited import AuditedCommand
from hub.management.flexibility import active_like, add_scope, agreement_of
from hub.models import Party
from hub.ocpi.party import PartyId


class Command(AuditedCommand):
    help = (
        "Let an SCSP set charging profiles for the sessions of a CPO, of an eMSP's drivers, or of "
        "both together. Granting what is granted changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_scope(parser)

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Create the agreement unless it is there."""
        agreement = agreement_of(options)
        lock_name("flexibility agreements")
        for identity in filter(None, (options["scsp"], options["cpo"], options["emsp"])):
            self._note_stranger(identity)
        existing = active_like(agreement)
        if existing is None:
            agreement.save()
            self.stdout.write(f"Granted: {agreement}.")
        elif existing.fsp == agreement.fsp:
            self.stdout.write(f"Granted already: {existing}.")
        else:
            raise CommandError(
                f"There is another FSP for this ({existing}): revoke_mandate ends its agreement."
            )

    def _note_stranger(self, identity: PartyId) -> None:
        """A mandate may come before its party, but it may as well be a slip of the pen."""
        is_known = Party.objects.filter(
            country_code__iexact=identity.country_code, party_id__iexact=identity.party_id
        ).exists()
        if not is_known:
            self.stderr.write(f"Note: {identity} is not a party of this hub yet.")
