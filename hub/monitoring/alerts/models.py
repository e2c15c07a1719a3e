"""Rules of alerts, targets that are told, alerts that were found, and each message of them."""

from datetime import datetime, time
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.db import models
from django.utils import timezone

from hub.db import secret_box
from hub.db.leases import Leased


def host_alone(url: str) -> str:
    """https://shift.example:8443/…: without path, query, user and password, which may be a key."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "…"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}/…"


class Kind(models.TextChoices):
    """What a rule looks at; the label says what its limit means."""

    OFFLINE = "OFFLINE", "a party is OFFLINE for longer than (minutes)"
    ERRORS = "ERRORS", "share of messages that fail, within 10 minutes (percent)"
    BACKLOG = "BACKLOG", "something waits for a receiver for longer than (minutes)"
    HANDSHAKE = "HANDSHAKE", "a handshake failed within the last (minutes)"
    CERTIFICATE = "CERTIFICATE", "the certificate of a party ends within (days)"
    WORKERS = "WORKERS", "no worker of a queue, or a turn by the clock is overdue, for (seconds)"
    DISK = "DISK", "a disk of the hub's is used beyond (percent)"
    BACKUP = "BACKUP", "the last backup is older than (hours; 0: than BACKUP_EVERY allows)"
    EFFECT = "EFFECT", "effect not known, share of a CPO's accepted profiles in a day (percent)"


class Severity(models.TextChoices):
    """A critical alert is told in quiet hours, too."""

    WARNING = "WARNING", "warning"
    CRITICAL = "CRITICAL", "critical"


class Channel(models.TextChoices):
    """How a target is told."""

    WEBHOOK = "WEBHOOK", "webhook (JSON, signed)"
    SLACK = "SLACK", "Slack, or what takes the same"
    EMAIL = "EMAIL", "e-mail"


class Event(models.TextChoices):
    """What a message tells."""

    BEGAN = "BEGAN", "began"
    ENDED = "ENDED", "ended"


class Target(Leased):
    """Who is told, how, and when not. Address and secret are kept encrypted: a URL may be a key."""

    name = models.CharField(max_length=60, unique=True)
    channel = models.CharField(max_length=7, choices=Channel, default=Channel.WEBHOOK)
    address_encrypted = models.BinaryField(default=b"", editable=False)
    secret_encrypted = models.BinaryField(default=b"", editable=False)
    is_on = models.BooleanField("on", default=True)
    quiet_from = models.TimeField(
        null=True, blank=True, help_text="From then on only critical alerts are told; empty: never."
    )
    quiet_until = models.TimeField(null=True, blank=True, help_text="What waited is told then.")
    time_zone = models.CharField(
        max_length=40, default="UTC", help_text="Of the quiet hours, such as Europe/Amsterdam."
    )
    # --- What became of it
    failures = models.PositiveSmallIntegerField(default=0, editable=False)
    not_before = models.DateTimeField(null=True, blank=True, editable=False)
    problem = models.CharField(max_length=300, blank=True, default="", editable=False)
    told_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """A URL, or an e-mail address."""
        return secret_box.decrypt(bytes(self.address_encrypted))

    @address.setter
    def address(self, value: str) -> None:
        self.address_encrypted = secret_box.encrypt(value)

    @property
    def secret(self) -> str:
        """What messages to a webhook are signed with; empty for others."""
        return secret_box.decrypt(bytes(self.secret_encrypted))

    @secret.setter
    def secret(self, value: str) -> None:
        self.secret_encrypted = secret_box.encrypt(value)

    @property
    def shown_address(self) -> str:
        """Without what could be a key: the host of a URL."""
        return self.address if self.channel == Channel.EMAIL else host_alone(self.address)

    def is_quiet(self, now: datetime) -> bool:
        """Whether its quiet hours are now; they may pass midnight."""
        if self.quiet_from is None or self.quiet_until is None:
            return False
        at: time = now.astimezone(ZoneInfo(self.time_zone)).time()
        if self.quiet_from <= self.quiet_until:
            return self.quiet_from <= at < self.quiet_until
        return at >= self.quiet_from or at < self.quiet_until


class Rule(models.Model):
    """What is worth telling somebody."""

    name = models.CharField(max_length=60, unique=True)
    kind = models.CharField(max_length=11, choices=Kind)
    limit = models.FloatField(help_text="In the unit that the kind names.")
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    party = models.CharField(
        max_length=6, blank=True, default="", help_text="Only this one, such as NL-ABC; empty: all."
    )
    ends_after = models.PositiveIntegerField(
        default=60,
        help_text="Seconds for which all has to be well before it is over: what comes and goes is "
        "one alert.",
    )
    is_on = models.BooleanField("on", default=True)
    # Since when it has been looked at without a gap: the hub was running for so long.
    watched_since = models.DateTimeField(null=True, blank=True, editable=False)
    looked_at = models.DateTimeField(null=True, blank=True, editable=False)
    targets = models.ManyToManyField(
        Target, blank=True, related_name="rules", help_text="Who is told; nobody chosen: everybody."
    )

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """One thing that a rule has found, from when to when. `subject` says of what."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="alerts")
    subject = models.CharField(max_length=120)
    summary = models.CharField(max_length=300)
    began_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "subject"],
                condition=models.Q(ended_at__isnull=True),
                name="alert_open_once",
            )
        ]
        indexes = [models.Index(fields=["-began_at"], name="alert_by_time")]

    def __str__(self) -> str:
        return self.summary

    @property
    def is_over(self) -> bool:
        """Whether all has been well again for long enough."""
        return self.ended_at is not None


class Notice(models.Model):
    """One message to one target: the beginning of an alert, or its end; each at most once."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="notices")
    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="notices")
    event = models.CharField(max_length=5, choices=Event)
    made_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    told_at = models.DateTimeField(null=True, blank=True)
    # It was over before it could be told, or its target could not be told for days.
    withdrawn = models.CharField(max_length=120, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["alert", "target", "event"], name="notice_once")
        ]
        indexes = [
            models.Index(
                fields=["target", "id"],
                name="notice_to_tell",
                condition=models.Q(told_at__isnull=True, withdrawn=""),
            )
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.target_id}"


class Certificate(models.Model):
    """What the TLS certificate of a platform's host said last: who it is for, until when."""

    platform = models.ForeignKey("hub.Platform", on_delete=models.CASCADE, related_name="+")
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField()
    ends_at = models.DateTimeField(null=True, blank=True)
    looked_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["platform", "host", "port"], name="certificate_once")
        ]

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
