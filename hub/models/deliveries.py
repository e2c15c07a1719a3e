"""Messages that the hub owes to parties (transport_and_format, Offline behaviour)."""

from django.db import models
from django.utils import timezone

from hub.models.platforms import Platform
from hub.models.versions import came_in


class DeliveryState(models.TextChoices):
    """Where a push that the hub owes stands."""

    WAITING = "WAITING", "waiting"
    DELIVERED = "DELIVERED", "delivered"
    REFUSED = "REFUSED", "refused by the receiver"
    FAILED = "FAILED", "given up: receiver offline"
    DROPPED = "DROPPED", "dropped: there is nobody to send it to"


# Until somebody has them sent again (hub/deliveries/resend.py).
GIVEN_UP = (DeliveryState.REFUSED, DeliveryState.FAILED, DeliveryState.DROPPED)


class Delivery(models.Model):
    """A message that the hub owes to a party, written in the transaction of its cause.

    Ordered by `id` among those of one receiver with the same `ordering_key`. Its foreign key is not
    checked by the database: each check would lock, and so write to, the row of the receiver
    (docs/decisions/0008). What is owed of a state is a `StaleCopy`.
    """

    receiver = models.ForeignKey(
        Platform,
        on_delete=models.CASCADE,
        related_name="deliveries",
        db_constraint=False,
        db_index=False,
    )
    ordering_key = models.CharField(max_length=160)
    module = models.CharField(max_length=64)
    method = models.CharField(max_length=6)
    # An endpoint of the receiver and what follows it, or the absolute URL of a callback.
    interface_role = models.CharField(max_length=8, blank=True)
    path = models.CharField(max_length=2048)
    body = models.BinaryField(default=b"")
    ocpi_version = came_in()
    from_country_code = models.CharField(max_length=2, blank=True)
    from_party_id = models.CharField(max_length=3, blank=True)
    to_country_code = models.CharField(max_length=2, blank=True)
    to_party_id = models.CharField(max_length=3, blank=True)
    correlation_id = models.CharField(max_length=255)
    # Of a Session: the eMSP ("NL-MSP") that did not answer it (docs/decisions/0032).
    unanswered_by = models.CharField(max_length=6, blank=True, default="", db_default="")
    state = models.CharField(max_length=9, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    outcome = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    # The body is there: what was given up can be sent again for as long.
    is_kept = models.BooleanField("its body is kept", default=True, db_default=True)
    resent_at = models.DateTimeField("sent again", null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        # A waiting row is in the first alone, an ended one in the second alone.
        indexes = [
            models.Index(
                fields=["receiver", "module", "id"],
                name="delivery_waiting",
                condition=models.Q(state="WAITING"),
            ),
            models.Index(
                fields=["created_at"], name="delivery_ended", condition=~models.Q(state="WAITING")
            ),
            models.Index(
                fields=["receiver", "module", "id"],
                name="delivery_given_up",
                condition=models.Q(is_kept=True, state__in=GIVEN_UP),
            ),
            models.Index(fields=["ordering_key", "id"], name="delivery_by_key"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.module} to {self.receiver_id}: {self.state}"
