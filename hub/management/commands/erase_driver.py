"""Erase what the hub keeps of one driver (house rule: a driver's uid is in no log)."""

import getpass
import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.keeping.erasure import Driver, Erased, Eraser
from hub.management.audited import AuditedCommand
from hub.management.parties import named_party
from hub.ocpi.datatypes import TokenType

OUT_OF_REACH = """\
Out of reach: what CPOs, eMSPs and others keep (ask them), backups (they go as they are replaced;
erase again after restoring one), and reservations and callback URLs, which name no driver.
A CPO or eMSP that sends the driver's objects again brings them back: erase again then."""


class Command(AuditedCommand):
    help = (
        "Erase what the hub keeps of the driver with this token: Tokens, Sessions with preferences "
        "and profile commands, deliveries, agreements. CDRs are kept under a pseudonym, amounts "
        "untouched, unless --delete-cdrs. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose data, and how far."""
        parser.add_argument("--token-uid", required=True, metavar="UID")
        parser.add_argument(
            "--type", default="", type=str.upper, choices=[t.value for t in TokenType],
            help="of the token; by default any",
        )  # fmt: skip
        parser.add_argument(
            "--emsp", required=True, type=named_party, metavar="DE-MSP", help="whose token it is"
        )
        parser.add_argument(
            "--contract-id", action="append", default=[], metavar="ID",
            help="erase also what names this contract, with any token; may be given more than once",
        )  # fmt: skip
        parser.add_argument(
            "--delete-cdrs", action="store_true", help="delete CDRs instead of pseudonyms in them"
        )
        parser.add_argument(
            "--with-running", action="store_true", help="sessions that have not ended too"
        )
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Count, ask, erase, tell."""
        driver = Driver(
            emsp=options["emsp"],
            token_uid=_id(options["token_uid"]),
            token_type=options["type"],
            contract_ids=frozenset(map(_id, options["contract_id"])),
        )
        choices = {name: options[name] for name in ("delete_cdrs", "with_running")}
        is_dry = options["dry_run"]
        if not (is_dry or options["yes"]):
            if options["json"]:
                raise CommandError("--json asks nothing: add --yes or --dry-run.")
            self._tell(Eraser(driver, dry=True, **choices).run(by=""), "found", options)
            if input("Erase this for good? Type yes: ").strip() != "yes":
                raise CommandError("Nothing is erased.")
        outcome = Eraser(driver, dry=is_dry, **choices).run(by=_who())
        if options["json"]:
            told = {"dry_run": is_dry, "erased": outcome.erased, "left": outcome.left}
            self.stdout.write(json.dumps(told))
            return
        self._tell(outcome, "found" if is_dry else "erased", options)
        self.stdout.write(OUT_OF_REACH)

    def _tell(self, outcome: Erased, word: str, options: dict[str, Any]) -> None:
        """Write one line for each kind."""
        for kind, count in outcome.erased.items():
            done = word
            if kind == "CDRs" and word == "erased" and not options["delete_cdrs"]:
                done = "kept under a pseudonym"
            self.stdout.write(f"{kind:<24}{count:>8} {done}")
        for kind, count in outcome.left.items():
            self.stdout.write(f"{kind:<24}{count:>8} left: run this again when they have ended")


def _id(text: str) -> str:
    if not 0 < len(text.strip()) <= 36:
        raise CommandError("An id has 1 to 36 characters.")
    return text.strip()


def _who() -> str:
    """The account at the command line, for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
