"""The state that the hub owes its receivers (transport_and_format, Broadcast Push)."""

from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from hub.ocpi import masking
from hub.ocpi.modules import SECRET_IDS

# Between the names of a part; stands in no id.
PART_OF: Final = "\x1f"


class CopyState(models.TextChoices):
    """Whether a part is still to be told."""

    WAITING = "WAITING", "waiting"
    TAKEN = "TAKEN", "told by its owner itself; told once more after a call that is open"
    REFUSED = "REFUSED", "refused by the receiver, until it changes again"


class StaleCopy(models.Model):
    """What a receiver holds of a part of an object may be older than what the hub has.

    One row for each receiver and part, however often that changes: `raised` counts the changes, and
    what is told clears only the number that was read before it. The object itself is read when its
    turn comes. `part` is empty for the whole object, else an EVSE's uid, or that and a Connector's
    id; names are in upper case. Of parties (hubclientinfo) there is a row only where a receiver has
    refused one, or is to be told of it once more (hub/models/party_news.py). Its key is not checked
    by the database, as that of `Delivery`.
    """

    receiver = models.ForeignKey(
        "hub.Platform",
        on_delete=models.CASCADE,
        related_name="stale_copies",
        db_constraint=False,
        db_index=False,
    )
    # The party of the receiver ("NL-MSP"); empty for a module that knows none (hubclientinfo).
    party = models.CharField(max_length=6, blank=True)
    module = models.CharField(max_length=16)
    owner = models.CharField(max_length=6)
    object_id = models.CharField(max_length=39)
    # The TokenType of a Token.
    variant = models.CharField(max_length=12, blank=True)
    part = models.CharField(max_length=80, blank=True)
    # The names of the newest change as its sender wrote them, percent-encoded; empty: as the object
    # itself has them.
    spelling = models.CharField(max_length=600, blank=True)
    # The sender's PATCH, while it is the only change since what the receiver holds.
    patch = models.BinaryField(null=True)
    is_deleted = models.BooleanField(default=False)
    # 0 goes before 1: Tokens, and what became of an EVSE.
    priority = models.PositiveSmallIntegerField(default=1)
    raised = models.BigIntegerField(default=1)
    correlation_id = models.CharField(max_length=255)
    # Those of earlier changes, which this one stands for.
    merged = ArrayField(models.CharField(max_length=255), default=list)
    first_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=7, choices=CopyState, default=CopyState.WAITING)
    outcome = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "stale copies"
        constraints = [
            models.UniqueConstraint(
                fields=["receiver", "party", "module", "owner", "object_id", "variant", "part"],
                name="stale_copy_once",
            )
        ]
        indexes = [
            models.Index(
                fields=["receiver", "module", "priority", "id"],
                name="stale_copy_waiting",
                condition=models.Q(state__in=["WAITING", "TAKEN"]),
            ),
            models.Index(
                fields=["receiver", "module", "first_at"],
                name="stale_copy_refused",
                condition=models.Q(state="REFUSED"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.module} {self.owner} {self.shown_id} at {self.receiver_id}"

    @property
    def shown_id(self) -> str:
        """The object's id as people may see it: a Token's uid is a secret."""
        return masking.hint(self.object_id) if self.module in SECRET_IDS else self.object_id

    @property
    def shown_part(self) -> str:
        """`EVSE`, or `EVSE/Connector`; empty for the whole object."""
        return self.part.replace(PART_OF, "/")


class ToldLately(models.Model):
    """Which objects were told to whom at a time: what is pushed to one party beside that asks.

    Written by the statement that ends their marks (hub/deliveries/rows.py), kept for some minutes.
    """

    at = models.DateTimeField(db_index=True)
    # Numbers that receiver and object together come to (hub/outbox/outbox.py).
    copies = ArrayField(models.BigIntegerField())

    def __str__(self) -> str:
        return f"{len(self.copies)} at {self.at}"
