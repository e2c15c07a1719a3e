"""The active profiles of a session that the hub has seen, whoever asked (mod_charging_profiles).

The results of GETs, which stand with their commands, and what the CPO has sent by itself. Rows are
read, nothing is copied: `latest` is the truth of the moment at which it is asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from charging_profiles.models import ProfileCommand, ProfileUpdate
from flex.knowledge.profiles import Profile
from hub.db import sql
from sessions.models import Session

# So many of each kind are looked at; the latest first.
_MOST: Final = 200
# A PUT that has left, and may have had an effect: these have none.
_WITHOUT_EFFECT: Final = "('REFUSED', 'SUPERSEDED', 'RESULT_REJECTED', 'RESULT_UNKNOWN')"


@dataclass(frozen=True, slots=True)
class Seen:
    """An active profile, and how the hub came to know it.

    `source` is "GET" (somebody has asked) or "PUT" (the CPO has told it by itself), `by` the party
    that asked or was told.
    """

    profile: Profile
    source: str
    by: str
    correlation_id: str
    observed_at: datetime
    # Of a GET when it was asked; before that it may have been computed, but not long before.
    asked_at: datetime | None = None


def seen(session: Session) -> list[Seen]:
    """Those that the hub knows, the latest last."""
    found = [*_asked(session), *_told(session)]
    return sorted(found, key=lambda one: one.observed_at)


def latest(session: Session) -> Seen | None:
    """What was told last; None where nobody has asked or was told."""
    found = seen(session)
    return found[-1] if found else None


def baseline(session: Session) -> Seen | None:
    """The last one before any profile was set: what EV, EVSE and site allow by themselves."""
    first = first_set_at(session)
    return before(seen(session), first)


def before(found: list[Seen], moment: datetime | None) -> Seen | None:
    """The last one that was seen before a moment; None: of all."""
    earlier = [one for one in found if moment is None or one.observed_at < moment]
    return earlier[-1] if earlier else None


def first_set_at(session: Session) -> datetime | None:
    """When the first profile left that may have had an effect; None: none was set."""
    [(moment,)] = sql.run(_FIRST_SET, {"session": session.pk})
    return moment if isinstance(moment, datetime) else None


_FIRST_SET: Final = f"""
    SELECT min(created_at) FROM {ProfileCommand._meta.db_table}
    WHERE session_id = %(session)s AND method = 'PUT' AND state NOT IN {_WITHOUT_EFFECT}
      AND (sent_at IS NOT NULL OR answered_at IS NOT NULL)
"""  # noqa: S608 - names of ours


def _asked(session: Session) -> Iterator[Seen]:
    """Out of the results of GETs."""
    commands = ProfileCommand.objects.filter(
        session=session, method="GET", result="ACCEPTED", result_at__isnull=False
    ).order_by("-created_at")[:_MOST]
    for command in commands:
        if command.result_at is not None:
            profile = Profile.read(bytes(command.result_body), command.result_at)
            if profile is not None:
                yield Seen(
                    profile,
                    "GET",
                    str(command.fsp),
                    command.correlation_id,
                    command.result_at,
                    command.created_at,
                )


def _told(session: Session) -> Iterator[Seen]:
    """Out of the CPO's own updates."""
    updates = ProfileUpdate.objects.filter(session=session).order_by("-received_at")[:_MOST]
    for update in updates:
        profile = Profile.read(bytes(update.document), update.received_at)
        if profile is not None:
            yield Seen(profile, "PUT", update.told_to, update.correlation_id, update.received_at)
