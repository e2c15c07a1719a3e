"""Backups that were begun: where each is, how large it is, or why there is none."""

from django.db import models
from django.db.models.functions import Now


class Backup(models.Model):
    """One backup: it has come to its end when it has `ended_at`, and is good without a problem.

    The row outlives the file, which retention removes.
    """

    begun_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)
    # The place and the name in it, without any secret: s3://bucket/flexhub-….zip.
    where = models.CharField(max_length=500, blank=True)
    size = models.BigIntegerField(default=0, db_default=0)  # bytes
    problem = models.TextField(blank=True, default="", db_default="")

    class Meta:
        indexes = [models.Index(fields=["-begun_at"], name="backup_by_time")]

    def __str__(self) -> str:
        return self.where or f"a backup of {self.begun_at:%Y-%m-%d %H:%M} UTC"
