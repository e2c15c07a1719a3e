"""A new encryption key: what former keys have encrypted is encrypted with the key of now."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.backup.archive import BackupError
from hub.db.secret_box import WrongKey
from hub.management import keys
from hub.management.audited import AuditedCommand


class Command(AuditedCommand):
    help = (
        "Encrypt anew with ENCRYPTION_KEY what is under a key of FORMER_ENCRYPTION_KEYS, in "
        "batches; it may be stopped and repeated. Restart all processes with both keys before. "
        "--new replaces the key that was generated into FLEXHUB_DATA."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What is to be done; without any, re-encryption."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--new", action="store_true", help="generate another key, for a restart")
        what.add_argument("--check", action="store_true", help="only count what is to be done")
        what.add_argument(
            "--forget", action="store_true", help="remove the generated former keys when unused"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """One step of a rotation, and what the next one is."""
        try:
            if options["new"]:
                self.stdout.write(f"The new key is {keys.new_key()}.")
                self.stdout.write("Restart the hub; then run manage.py rotate_keys.")
            elif options["check"] or options["forget"]:
                self._look(forget=options["forget"])
            else:
                self._renew()
        except (BackupError, WrongKey) as error:
            raise CommandError(f"Not done: {error}") from None

    def _renew(self) -> None:
        for model, column in keys.encrypted_columns():
            number = keys.renew(model, column)
            self.stdout.write(f"{model._meta.db_table}.{column}: {number} encrypted anew.")
        self._look(forget=False)

    def _look(self, *, forget: bool) -> None:
        if old := keys.under_former_keys():
            said = f"{old} values are under a former key: run manage.py rotate_keys."
            if forget:
                raise CommandError(said)
            self.stdout.write(said)
        elif forget:
            done = "removed" if keys.forget_former() else "not in FLEXHUB_DATA"
            self.stdout.write(f"Former keys: {done}. Restart the hub; keep the new key safe.")
        else:
            self.stdout.write("Nothing is under a former key: they can be taken away.")
