"""End a FlexAgreement (SCALE D2.3, 11.1)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.management.audited import AuditedCommand
from hub.management.flexibility import active_like, add_scope, agreement_of


class Command(AuditedCommand):
    help = (
        "End what grant_mandate has granted. Sessions that have this FSP get the next in the order."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The same options as those of grant_mandate."""
        add_scope(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """End it; the row stays, for the record."""
        wanted = agreement_of(options)
        existing = active_like(wanted)
        if existing is None or existing.fsp != wanted.fsp:
            raise CommandError(f"There is no active agreement: {wanted}.")
        existing.ends()
        self.stdout.write(f"Revoked: {existing}. Its sessions get the next FSP within seconds.")
