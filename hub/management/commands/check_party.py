"""Check a connected party against the text: a finding for each rule (hub/conformance)."""

import json
from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser

from hub.conformance import check as conformance
from hub.conformance.met_in_practice import Noted
from hub.conformance.text import report
from hub.management.audited import AuditedCommand
from hub.management.parties import add_party, party_of


class Command(AuditedCommand):
    help = (
        "Call a connected party as the text has it, and say for each rule whether it holds. It "
        "only reads, and asks for what does not exist. What the hub has noted of what the party "
        "sends is shown beside it. Exit code 1 when a rule has failed; with "
        "-v 2 what was sent is shown for rules that hold, too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Whom, and how far to go."""
        add_party(parser)
        parser.add_argument(
            "--push",
            action="store_true",
            help="push marked test objects too, and ask a charge point for its active profile",
        )
        parser.add_argument(
            "--seconds",
            type=float,
            default=10.0,
            help="wait for each answer, 10 by default",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, keep it, and print it."""
        party = party_of(options["country_code"], options["party_id"])
        try:
            check = conformance.prepare(party, push=options["push"])
        except conformance.CannotCheck as error:
            raise CommandError(str(error)) from error
        self.has_acted = True
        conformance.run(check, seconds=options["seconds"])
        noted = Noted.of(check.platform_id)
        if options["json"]:
            told = {
                "party": str(party),
                "checked_at": check.created_at.isoformat(),
                "passed": check.passed,
                "failed": check.failed,
                "not_tried": check.not_tried,
                "findings": msgspec.to_builtins(check.findings),
                **noted.told(),
            }
            self.stdout.write(json.dumps(told))
        else:
            self.stdout.write(report(check, noted, is_full=options["verbosity"] > 1), ending="")
        if check.failed:
            verb = "rule has" if check.failed == 1 else "rules have"
            raise CommandError(f"{check.failed} {verb} failed.", returncode=1)
