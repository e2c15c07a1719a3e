"""Take the second factors of an account away, for who has lost them; on the machine alone."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from hub.console.access import factors
from hub.management.audited import AuditedCommand


class Command(AuditedCommand):
    help = (
        "Take the second factors of an account of the console away: one-time codes, security keys, "
        "recovery codes. Its password opens it then, and it can set up new ones."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose."""
        parser.add_argument("username", help="name of the account")

    def handle(self, *args: Any, **options: Any) -> None:
        """Take them away; the audit trail tells it."""
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no account {options['username']!r}.")
        if not factors.reset(user):
            raise CommandError(f"{user} has no second factor: nothing was changed.")
        self.stdout.write(f"{user} has no second factor any more.")
