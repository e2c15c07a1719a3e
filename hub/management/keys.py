"""Where the encryption key is (hub/settings.py), and how it is replaced."""

import os
import secrets
from collections.abc import Iterator
from typing import Final

from django.apps import apps
from django.conf import settings
from django.db import models, transaction

from hub.backup.archive import BackupError
from hub.db import secret_box
from stack import folder

# A batch is one transaction: a run that is killed goes on where it was.
BATCH: Final = 200
FORMER: Final = "former.keys"


def fits(key: str, fingerprint: str) -> bool:
    """Whether a backup's tokens are under this key."""
    return secret_box.fingerprint(key) == fingerprint


def encrypted_columns() -> Iterator[tuple[type[models.Model], str]]:
    """Every column that holds ciphertext: binary, and named …_encrypted."""
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, models.BinaryField) and field.name.endswith("_encrypted"):
                yield model, field.name


def under_former_keys() -> int:
    """How many values the key of now alone does not open."""
    found = 0
    for model, column in encrypted_columns():
        rows = model.objects.values_list("pk", column)  # type: ignore[attr-defined]
        found += len(_old(rows))
    return found


def renew(model: type[models.Model], column: str) -> int:
    """Encrypt the values of a column anew that are under a former key; how many they were."""
    rows, renewed = model.objects.order_by("pk"), 0  # type: ignore[attr-defined]
    old = _old(rows.values_list("pk", column))
    for begin in range(0, len(old), BATCH):
        with transaction.atomic():
            batch = rows.filter(pk__in=old[begin : begin + BATCH]).select_for_update()
            # As they are now that they are locked: a party may have registered anew meanwhile.
            for pk, value in batch.values_list("pk", column):
                if value and not secret_box.opens(settings.ENCRYPTION_KEY, bytes(value)):
                    rows.filter(pk=pk).update(**{column: secret_box.renewed(bytes(value))})
                    renewed += 1
    return renewed


def _old(rows: "models.QuerySet[models.Model, tuple[int, bytes]]") -> list[int]:
    return [
        pk
        for pk, value in rows.iterator(chunk_size=2000)
        if value and not secret_box.opens(settings.ENCRYPTION_KEY, bytes(value))
    ]


def new_key() -> str:
    """Replace the generated key; the former one is still read. Where they are, in words."""
    place_of_key(must_be_file=True)
    file, former = settings.FLEXHUB_DATA / "secret.key", settings.FLEXHUB_DATA / FORMER
    known = former.read_text().split() if former.is_file() else []
    present = file.read_text().strip()
    # Before the new one: whoever is killed in between has both.
    folder.write(former, "".join(f"{key}\n" for key in dict.fromkeys([present, *known])))
    folder.write(file, secrets.token_urlsafe(48))
    return f"in {file}, and the former one in {former}"


def forget_former() -> bool:
    """Remove the former keys' file; whether there was one."""
    former = settings.FLEXHUB_DATA / FORMER
    is_there: bool = former.is_file()
    former.unlink(missing_ok=True)
    return is_there


def place_of_key(*, must_be_file: bool = False) -> str:
    """Where the key is, in words; BackupError if it is not in the generated file but should be."""
    for name in ("ENCRYPTION_KEY", "SECRET_KEY"):
        for variable in (f"{name}_FILE", name):
            if variable in os.environ:
                if must_be_file:
                    raise BackupError(
                        f"the key comes from {variable}, which this command cannot change: set it "
                        "to what `unzip -p FILE encryption.key` prints, and restore without "
                        "--with-key."
                    )
                return f"what the environment's {variable} says"
    return f"in {settings.FLEXHUB_DATA / 'secret.key'}"


def put_key(key: str) -> str:
    """Into FLEXHUB_DATA, keeping the former one beside it; where, in words."""
    file = settings.FLEXHUB_DATA / "secret.key"
    if file.exists() and file.read_text().strip() != key:
        former = file.with_name("secret.key.before-restore")
        former.unlink(missing_ok=True)
        file.rename(former)
    folder.write(file, key)
    return f"in {file} now"
