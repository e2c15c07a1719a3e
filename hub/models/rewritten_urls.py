"""URLs of parties that others call through the hub (mod_commands, transport_and_format)."""

from datetime import datetime, timedelta
from secrets import token_urlsafe

from django.db import models
from django.utils import timezone

from hub.models.platforms import Platform
from hub.ocpi.party import PartyId


class ForwardedUrlKind(models.TextChoices):
    """Which of the URLs that the hub must rewrite this stands for."""

    RESPONSE_URL = "RESPONSE_URL", "response_url of a command"
    PAGE = "PAGE", "next page of a list"
    LOCATION = "LOCATION", "Location of a CDR"


def _new_key() -> str:
    return token_urlsafe(24)


class ForwardedUrl(models.Model):
    """A URL of one party that another party must call through the hub.

    The key is unguessable and works for the caller's platform alone, more than once
    (mod_commands: a reservation that the CPO cancels is told on the same `response_url`).
    """

    key = models.CharField(max_length=32, primary_key=True, default=_new_key)
    kind = models.CharField(max_length=12, choices=ForwardedUrlKind)
    module = models.CharField(max_length=64)
    target = models.CharField(max_length=2048)
    caller = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="+")
    caller_country_code = models.CharField(max_length=2)
    caller_party_id = models.CharField(max_length=3)
    owner_country_code = models.CharField(max_length=2)
    owner_party_id = models.CharField(max_length=3)
    # Of the message that named the URL: what comes on it is part of that exchange.
    correlation_id = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    valid_until = models.DateTimeField(null=True, blank=True, db_index=True)
    # The last word that was POSTed to it, where it is a command's.
    result = models.CharField(max_length=40, blank=True, default="", db_default="")
    # "DE-MSP": the party whose message it was given out for, which may have so many.
    sender = models.CharField(max_length=6, blank=True, default="", db_default="")
    # Of a CDR's Location: which CDR, in upper case.
    object_id = models.CharField(max_length=39, blank=True, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(kind="LOCATION"),
                name="forwarded_url_locations",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key[:6]}…"

    @property
    def caller_identity(self) -> PartyId:
        """Who was told this URL."""
        return PartyId(self.caller_country_code, self.caller_party_id)

    @property
    def owner_identity(self) -> PartyId:
        """Whose URL it stands for."""
        return PartyId(self.owner_country_code, self.owner_party_id)


def callback_valid_until(days: int) -> datetime:
    """When a rewritten callback URL ends."""
    return timezone.now() + timedelta(days=days)
