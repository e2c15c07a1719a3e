"""Turns of handshakes: the newest handshake of a platform counts (credentials).

A party repeats a POST or PUT whose answer it did not see, so somebody waits for the newest
one; an older one that still hangs in its call back can change nothing any more. The hub's own
handshake with a platform is not overtaken: the platform has been told a new token already.
"""

from datetime import timedelta
from secrets import token_urlsafe
from typing import Any

from django.db import connection, models
from django.utils import timezone


class HandshakeTurn(models.Model):
    """The handshake of a platform that counts; a process that died leaves its row behind."""

    platform = models.OneToOneField(
        "hub.Platform", on_delete=models.CASCADE, primary_key=True, related_name="turn"
    )
    key = models.CharField(max_length=16)
    is_of_hub = models.BooleanField()
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"handshake of {self.platform_id}"


class TurnTaken(Exception):
    """The hub is in a handshake of its own with this platform."""


_BEGIN = """
    INSERT INTO hub_handshaketurn AS kept (platform_id, key, is_of_hub, until)
    VALUES (%(platform)s, %(key)s, %(is_of_hub)s, %(until)s)
    ON CONFLICT (platform_id) DO UPDATE
    SET key = excluded.key, is_of_hub = excluded.is_of_hub, until = excluded.until
    WHERE NOT (kept.is_of_hub AND kept.until > %(now)s)
"""


def begin(platform_id: int, seconds: float, *, is_of_hub: bool = False) -> str:
    """Begin a handshake that may take `seconds`; returns the key that ends it.

    An earlier one of the platform's has lost its turn. TurnTaken while one that the hub began goes
    on.
    """
    key, now = token_urlsafe(12), timezone.now()
    values: dict[str, Any] = {
        "platform": platform_id,
        "key": key,
        "is_of_hub": is_of_hub,
        "now": now,
        "until": now + timedelta(seconds=seconds),
    }
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, values)
        if not cursor.rowcount:
            raise TurnTaken
    return key


def end(platform_id: int, key: str) -> bool:
    """Give the turn back; False when it had been lost to a newer handshake."""
    ended, _ = HandshakeTurn.objects.filter(platform=platform_id, key=key).delete()
    return bool(ended)


def is_going_on(platform_id: int) -> bool:
    """Whether there is a handshake with this platform, begun by either side."""
    return HandshakeTurn.objects.filter(platform=platform_id, until__gt=timezone.now()).exists()


def is_of_hub(platform_id: int) -> bool:
    """Whether the hub is in a handshake of its own with this platform."""
    return HandshakeTurn.objects.filter(
        platform=platform_id, is_of_hub=True, until__gt=timezone.now()
    ).exists()
