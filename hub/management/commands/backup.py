"""Write the whole database into one file."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub.backup import by_the_clock, dump
from hub.backup.archive import BackupError
from hub.management.keys import place_of_key


class Command(BaseCommand):
    help = (
        "Back up the database into FILE (0600), while the hub runs; without FILE to where "
        "BACKUP_TO says, as by the clock. The encryption key is not in it unless --with-key: keep "
        "it elsewhere, for without it a backup cannot call any party."
    )
    # The database is looked at by pg_dump; the hub need not be well.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?")
        parser.add_argument(
            "--with-key",
            action="store_true",
            help="put the encryption key in: anybody who has the file can then be the hub",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it, and say what is in it and what is not."""
        try:
            if options["file"] is None:
                self._to_its_place(with_key=options["with_key"])
                return
            file = options["file"].resolve()
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

    def _to_its_place(self, *, with_key: bool) -> None:
        if with_key:
            raise BackupError("The key goes into a FILE of yours alone, not to BACKUP_TO.")
        made = by_the_clock.make()
        self.stdout.write(f"{made.where}: {made.size:,} bytes.")
        self.stdout.write(f"The encryption key is not in it; it is {place_of_key()}.")
