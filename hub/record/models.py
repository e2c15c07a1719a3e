"""The record's tables: messages by day, what is counted, whose bodies are kept for a while."""

from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from hub.ocpi.party import PartyId


class Message(models.Model):
    """One message: a request and its answer. Partitioned by day (migration 0001, partitions.py).

    In the database `at` and `id` together are the primary key: a partitioned table has no other.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    direction = models.CharField(max_length=3)
    kind = models.CharField(max_length=12)
    method = models.CharField(max_length=16)
    module = models.CharField(max_length=64)
    interface_role = models.CharField(max_length=8)
    path = models.CharField(max_length=300)
    request_id = models.CharField(max_length=255)
    correlation_id = models.CharField(max_length=255)
    related_id = models.CharField(max_length=255)
    sender = models.CharField(max_length=6)
    receiver = models.CharField(max_length=6)
    platform_id = models.BigIntegerField(null=True)
    http_status = models.IntegerField(null=True)
    ocpi_code = models.IntegerField(null=True)
    is_failed = models.BooleanField()
    milliseconds = models.FloatField()
    request_bytes = models.IntegerField()
    answer_bytes = models.IntegerField()
    problem = models.CharField(max_length=300)
    request_body = models.TextField()
    answer_body = models.TextField()
    # For strangers only: their address, and how many such requests one row stands for.
    address = models.CharField(max_length=49, db_default="")
    times = models.IntegerField(db_default=1)
    # The object that its URL names, in upper case (objects.py); of Tokens none.
    object_id = models.CharField(max_length=64, db_default="")

    class Meta:
        db_table = "hub_message"
        indexes = [
            models.Index(fields=["sender", "at", "id"], name="message_by_sender"),
            models.Index(fields=["receiver", "at", "id"], name="message_by_receiver"),
            models.Index(fields=["module", "at", "id"], name="message_by_module"),
            models.Index(
                fields=["ocpi_code", "at", "id"],
                name="message_failed_by_code",
                condition=models.Q(is_failed=True),
            ),
            models.Index(
                fields=["at", "id"], name="message_failed", condition=models.Q(is_failed=True)
            ),
            models.Index(fields=["correlation_id"], name="message_by_correlation"),
            models.Index(
                fields=["related_id"],
                name="message_by_related",
                condition=~models.Q(related_id=""),
            ),
            models.Index(
                fields=["at", "address"],
                name="message_by_address",
                condition=~models.Q(address=""),
            ),
            models.Index(
                fields=["object_id", "at", "id"],
                name="message_by_object",
                condition=~models.Q(object_id=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.module} from {self.sender} to {self.receiver}"


class DrainedBatch(models.Model):
    """A batch that is in the table already, though Valkey may still have it."""

    batch_id = models.CharField(max_length=16, primary_key=True)

    def __str__(self) -> str:
        return self.batch_id


class Tally(models.Model):
    """How often something happened since the hub began: what /metrics tells.

    `labels` are joined by "|"; `seconds` is their sum where a time was taken.
    """

    name = models.CharField(max_length=40)
    labels = models.CharField(max_length=200)
    number = models.BigIntegerField()
    seconds = models.FloatField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="tally_once")]

    def __str__(self) -> str:
        return f"{self.name} {self.labels}: {self.number}"


class Minute(models.Model):
    """How many messages began in one minute, how many of them failed, how long they took together.

    Of each module (`platform_id` 0), and of each platform (`module` ""): with IN what it has sent,
    with OUT what it was sent. Strangers are not in it.
    """

    at = models.DateTimeField()
    platform_id = models.BigIntegerField()
    direction = models.CharField(max_length=3)
    module = models.CharField(max_length=20)
    number = models.BigIntegerField()
    failed = models.BigIntegerField()
    seconds = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["at", "platform_id", "direction", "module"], name="minute_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.at:%H:%M} {self.direction} {self.module or self.platform_id}: {self.number}"


class BodyRecording(models.Model):
    """The bodies of a party's messages are kept until then, masked."""

    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    until = models.DateTimeField(help_text="At most a day ahead; then it ends by itself.")
    begun_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Upper("country_code"),
                Upper("party_id"),
                name="body_recording_once_per_party",
            )
        ]

    def __str__(self) -> str:
        return f"{self.party} until {self.until:%Y-%m-%d %H:%M}"

    @property
    def party(self) -> PartyId:
        """The comparable form."""
        return PartyId(self.country_code.upper(), self.party_id.upper())
