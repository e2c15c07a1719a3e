"""Versions of the directory, what changed with each, and which process has read which."""

from django.db import models


class DirectoryVersion(models.Model):
    """One row, raised when a transaction commits that has changed what the directory holds."""

    version = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return str(self.version)


class DirectoryChange(models.Model):
    """What a version of the directory has changed; the triggers write it, for an hour.

    `key` is the id of a platform (also for its endpoints and parties), an agreement or a recording.
    """

    pk = models.CompositePrimaryKey("version", "kind", "key")
    version = models.BigIntegerField()
    kind = models.CharField(max_length=9)
    key = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.version}: {self.kind} {self.key}"


class DirectoryReader(models.Model):
    """A web process and the directory version that it routes by."""

    worker = models.CharField(max_length=64, primary_key=True)
    version = models.BigIntegerField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.worker} at {self.version}"
