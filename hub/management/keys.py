"""Where the encryption key is (hub/settings.py)."""

import os

from django.conf import settings

from hub.backup.archive import BackupError
from stack import folder


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
