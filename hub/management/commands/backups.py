"""The backups in their place: list them, or fetch one."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub.backup import places
from hub.backup.archive import BackupError
from hub.backup.sealed import plain


class Command(BaseCommand):
    help = "List the backups in BACKUP_TO, oldest first; or --fetch NAME --into FILE."
    # The database may be what is lost.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Which one, where to."""
        parser.add_argument("--fetch", metavar="NAME", help="one of those that are listed")
        parser.add_argument("--into", type=Path, metavar="FILE", help="a new file (0600)")
        parser.add_argument(
            "--age-identity", type=Path, help="the file of the private key, to decrypt it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what is there, or where it is now."""
        if bool(options["fetch"]) != bool(options["into"]):
            raise CommandError("--fetch NAME and --into FILE belong together.")
        try:
            place = places.place()
            if not options["fetch"]:
                for kept in place.listed():
                    self.stdout.write(f"{kept.name}  {kept.size:,} bytes")
                return
            place.get(options["fetch"], options["into"])
            if options["age_identity"]:
                plain(options["into"], options["age_identity"])
        except BackupError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{options['into']}: restore it with manage.py restore.")
