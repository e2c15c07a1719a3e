"""Write the whole database into one file."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub.backup import dump
from hub.backup.archive import BackupError
from hub.management.keys import place_of_key


class Command(BaseCommand):
    help = (
        "Back up the database into FILE (0600), while the hub runs. The encryption key is not in "
        "it unless --with-key: keep it elsewhere, for without it a backup cannot call any party."
    )
    # The database is looked at by pg_dump; the hub need not be well.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--with-key",
            action="store_true",
            help="put the encryption key in: anybody who has the file can then be the hub",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it, and say what is in it and what is not."""
        file = options["file"].resolve()
        try:
            manifest = dump.make(file, with_key=options["with_key"])
        except BackupError as error:
            raise CommandError(f"No backup: {error}") from None
        self.stdout.write(
            f"{file}: {manifest.rows} rows in {len(manifest.tables)} tables, "
            f"{file.stat().st_size:,} bytes."
        )
        if options["with_key"]:
            self.stdout.write("The encryption key is in it: keep it as you keep the key itself.")
        else:
            self.stdout.write(f"The encryption key is not in it; it is {place_of_key()}.")
