"""What a platform spells otherwise than the text, how often, and since when."""

from django.db import models

from hub.models import Platform


class DeviationCount(models.Model):
    """One rule that a platform breaks at one path."""

    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="deviations")
    rule = models.CharField(max_length=40)
    path = models.CharField(max_length=200)
    number = models.BigIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)
    example = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["platform", "rule", "path"], name="deviation_once")
        ]

    def __str__(self) -> str:
        return f"{self.rule} at {self.path}"
