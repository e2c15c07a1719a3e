"""Say who is FSP of one session, as the console does (SCALE D2.3, 8.4)."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from flex.choice import Speaker
from flex.models import FspAssignment
from flex.set_fsp import KINDS, CannotSet, set_fsp, take_back
from hub.management.audited import AuditedCommand
from hub.management.parties import named_party
from sessions.models import Session


class Command(AuditedCommand):
    help = (
        "Set the flexibility provider of a session that is not over: the operator's word, which "
        "counts more than those of its eMSP and CPO, except where the CPO excludes the party."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("cpo", type=named_party, metavar="NL-CPO", help="the CPO")
        parser.add_argument("session_id", metavar="SESSION_ID", help="as the CPO calls it")
        parser.add_argument(
            "who",
            nargs="?",
            metavar="NL-SCS",
            help=f"a party, or one of {', '.join(KINDS)}",
        )
        parser.add_argument(
            "--take-back", action="store_true", help="end the operator's word on this session"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Set it, and say who is FSP now; exit code 1 and why where that cannot be."""
        cpo, session_id, who = options["cpo"], options["session_id"], options["who"]
        if bool(who) == options["take_back"]:
            raise CommandError("Name who is to be FSP, or --take-back.")
        session = Session.find(cpo, session_id)
        if session is None:
            raise CommandError(f"{cpo} has no session {session_id!r} here.")
        try:
            if who:
                current = set_fsp(session, who, said_by=Speaker.OPERATOR)
            else:
                current = take_back(session, said_by=Speaker.OPERATOR)
        except CannotSet as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{cpo} {session.session_id}: {_told(current)}")


def _told(current: FspAssignment | None) -> str:
    if current is None:
        return "nobody is FSP; the first profile that the CPO accepts makes one."
    return f"the FSP is {current.label}, epoch {current.epoch} ({current.reason})."
