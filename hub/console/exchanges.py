"""The exchanges of a Session or reservation that its own URL does not name, for the search."""

from typing import Final

from charging_profiles.models import ProfileCommand
from commands.models import Reservation
from flex.models import PreferenceCopy
from hub.models import ForwardedUrl
from sessions.models import Session

# The latest so many of each.
_MOST: Final = 200


def about(object_id: str) -> tuple[str, ...]:
    """Correlation ids: of its commands and preferences, or of the commands that reserved it."""
    found: set[str] = set()
    named = Session.objects.filter(session_id__iexact=object_id)
    sessions = list(named.values_list("pk", flat=True)[:_MOST])
    if sessions:
        for rows, latest in (
            (ProfileCommand.objects.all(), "-created_at"),
            (PreferenceCopy.objects.all(), "-received_at"),
        ):
            ids = rows.filter(session__in=sessions).order_by(latest)
            found.update(ids.values_list("correlation_id", flat=True)[:_MOST])
    keys: set[str] = set()
    for one in Reservation.objects.filter(reservation_id=object_id)[:_MOST]:
        keys.update([one.key, *one.former_keys, *one.cancel_keys])
    if keys:
        urls = ForwardedUrl.objects.filter(key__in=keys)
        found.update(urls.values_list("correlation_id", flat=True))
    return tuple(sorted(found - {""}))
