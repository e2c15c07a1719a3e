"""What operators have done: passwords to be replaced, and erasures."""

from django.db import models
from django.utils import timezone


class OneTimePassword(models.Model):
    """Marks an operator whose password was printed or handed over and must be replaced."""

    user = models.OneToOneField(
        "auth.User", on_delete=models.CASCADE, primary_key=True, related_name="one_time_password"
    )
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"one-time password of {self.user_id}"


class Erasure(models.Model):
    """That the data of one driver were erased: who did it, when, what; never whose they were."""

    erased_at = models.DateTimeField(default=timezone.now, db_index=True)
    erased_by = models.CharField(max_length=150)
    emsp = models.CharField("eMSP", max_length=6)
    # Keyed with the hub's secret: shows that a token was meant to whoever has that token.
    token_hash = models.CharField(max_length=64)
    are_cdrs_deleted = models.BooleanField("CDRs deleted")
    counts = models.JSONField(default=dict)
    left = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"a driver of {self.emsp}, {self.erased_at:%Y-%m-%d}"
