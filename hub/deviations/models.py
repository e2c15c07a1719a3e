"""What a platform spells otherwise than the text, and what is left out for one that wants it so."""

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


class LeftOut(models.Model):
    """How often a platform was not told of one owner's objects, since they deviate.

    `owner` ("NL-CPO") as in the store; `pushes` that did not go to it, and `lists` that it read
    without one or more of them.
    """

    receiver = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="left_out")
    owner = models.CharField(max_length=6)
    module = models.CharField(max_length=9)
    pushes = models.BigIntegerField(default=0)
    lists = models.BigIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["receiver", "owner", "module"], name="left_out_once")
        ]

    def __str__(self) -> str:
        return f"{self.module} of {self.owner}"


class Holding(models.Model):
    """An object that deviates, and that a platform has taken all the same: it goes on getting it.

    Written for those that leave out what deviates; owner and id are in upper case, as in the store.
    """

    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="+")
    module = models.CharField(max_length=9)
    owner = models.CharField(max_length=6)
    object_id = models.CharField(max_length=39)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["module", "owner", "object_id", "platform"], name="holding_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.module} {self.owner} {self.object_id}"
