"""Bring a backup back."""

from datetime import UTC
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub.backup.archive import BackupError, opened
from hub.backup.restoration import Restored, Wish, restore
from hub.backup.sealed import readable
from hub.management.keys import fits, place_of_key, put_key


class Command(BaseCommand):
    help = (
        "Restore a backup into a new database, compare it with its manifest, and put it in the "
        "place of the hub's. Until then the former database is not touched."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """From where, and what may be replaced."""
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--replace", action="store_true", help="although the database has tables"
        )
        parser.add_argument(
            "--with-key", action="store_true", help="take the encryption key out of the backup"
        )
        parser.add_argument(
            "--ignore-key", action="store_true", help="although the key is not the backup's"
        )
        parser.add_argument(
            "--age-identity", type=Path, help="the private key of a backup that is encrypted"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore, and say what to do next."""
        try:
            with readable(options["file"].resolve(), options["age_identity"]) as file:
                key = self._key(file, with_key=options["with_key"])
                wish = Wish(options["replace"], None if options["ignore_key"] else key)
                restored = restore(file, wish, self.stdout.write)
                if options["with_key"]:
                    self.stdout.write(f"The backup's encryption key is {put_key(key)}.")
        except BackupError as error:
            raise CommandError(f"Not restored: {error}") from None
        self._tell(restored)

    def _key(self, file: Path, *, with_key: bool) -> str:
        with opened(file) as archive:
            key, fingerprint = archive.key, archive.manifest.key_fingerprint
        if not with_key:
            known = [settings.ENCRYPTION_KEY, *settings.FORMER_ENCRYPTION_KEYS]
            # A former key reads it as well; then rotate_keys has to be run again.
            return next((one for one in known if fits(one, fingerprint)), known[0])
        if key is None:
            raise BackupError("the backup does not hold the encryption key.")
        place_of_key(must_be_file=True)
        return key

    def _tell(self, restored: Restored) -> None:
        manifest = restored.manifest
        made = manifest.made_at.astimezone(UTC)
        self.stdout.write(
            f"Restored: the hub as of {made:%Y-%m-%d %H:%M:%S} UTC, {manifest.rows} rows."
        )
        if restored.needs_migration:
            self.stdout.write("It is of an older release: run manage.py migrate now.")
        if restored.former:
            self.stdout.write(
                f"The former database is kept as {restored.former}; drop it when nobody needs it."
            )
        if not fits(settings.ENCRYPTION_KEY, manifest.key_fingerprint):
            self.stdout.write("Its tokens are under a former key: run manage.py rotate_keys.")
        self.stdout.write(
            "Restart the hub's processes: those that run have lost their connections and read the "
            "directory anew. Then run manage.py check_alive, and erase again whom you had erased."
        )
