"""A session that its CPO does not know: not steered again until the CPO says something of it.

mod_charging_profiles: UNKNOWN_SESSION. The CPO may have lost it, or not have
it yet; a Session or an active profile that it sends says that it knows it (again).
"""

from charging_profiles.models import ProfileUpdate
from flex.life.models import SteeredSession
from hub.db import leases
from sessions.models import Session


def mark(session: Session) -> None:
    """The CPO has just said so."""
    SteeredSession.objects.update_or_create(
        session=session,
        defaults={"unknown_since": leases.now(), "heard_before": session.received_at},
    )


def is_unknown(session: Session) -> bool:
    """Whether the CPO has said so, and nothing of it since."""
    marked = SteeredSession.objects.filter(session=session, unknown_since__isnull=False).first()
    if marked is None or marked.heard_before is None or session.received_at > marked.heard_before:
        return False
    since = marked.unknown_since
    return not ProfileUpdate.objects.filter(session=session, received_at__gt=since).exists()
