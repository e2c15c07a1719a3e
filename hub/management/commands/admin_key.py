"""Make a key of the admin API, shown once; or end one (hub/console/api/keys.py)."""

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from hub.console.access import audit
from hub.console.access.models import AdminKey
from hub.console.access.roles import Role
from hub.console.api import keys
from hub.management.audited import AuditedCommand
from hub.management.parties import named_party


class Command(AuditedCommand):
    help = "Make a key of the admin API, which is shown only now; or --revoke one, or --list them."

    def add_arguments(self, parser: CommandParser) -> None:
        """For what, for how long."""
        parser.add_argument(
            "role", nargs="?", type=str.upper, choices=Role.values, help="what it may"
        )
        parser.add_argument(
            "--party",
            action="append",
            default=[],
            dest="parties",
            type=named_party,
            metavar="NL-ABC",
            help="of the role PARTY: whose rows it sees; may be given more than once",
        )
        parser.add_argument("--name", default="", help="a note, by which people know it")
        parser.add_argument("--days", type=int, default=365, help="how long it lives; 365")
        parser.add_argument("--list", action="store_true", help="show the keys")
        parser.add_argument("--revoke", metavar="PREFIX", help="end a key")
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        """One of the three."""
        if sum(map(bool, (options["role"], options["list"], options["revoke"]))) != 1:
            raise CommandError("Name a role, or --list, or --revoke PREFIX.")
        if options["list"]:
            for key in AdminKey.objects.order_by("created_at"):
                state = "revoked" if key.revoked_at else "expired" if key.is_over else "valid"
                self.stdout.write(f"{key.prefix}  {key.role:<8}  {state:<7}  {key.name}")
        elif options["revoke"]:
            self._revoke(options["revoke"])
        else:
            self._make(options)

    def _revoke(self, prefix: str) -> None:
        key = AdminKey.objects.filter(prefix=prefix.removeprefix("fxa_")).first()
        if key is None or not keys.revoke(key):
            raise CommandError(f"There is no key {prefix!r} that is not revoked.")
        self.stdout.write(f"Key {key.prefix} is revoked.")

    def _make(self, options: dict[str, Any]) -> None:
        role, parties = Role(options["role"]), sorted(map(str, options["parties"]))
        if (role is Role.PARTY) != bool(parties):
            raise CommandError("--party belongs to the role PARTY, which needs one.")
        if not 1 <= options["days"] <= 3650:
            raise CommandError("--days is from 1 to 3650.")
        made = keys.make(
            role,
            name=options["name"],
            made_by=audit.at_the_command_line(),
            parties=parties,
            expires_at=timezone.now() + timedelta(days=options["days"]),
        )
        if options["json"]:
            self.stdout.write(json.dumps({"prefix": made.key.prefix, "key": made.secret}))
            return
        self.stdout.write(f"{made.secret}\nIt is shown only now. Its role: {role.label}.")
