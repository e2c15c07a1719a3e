"""A session's share of its site: what the full rate is where a limit is in force (SCALE D2.3, 8.4).

Each session that goes on at the site has a share, whoever steers it: 0, or at least its minimum.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from flex.models import PreferenceCopy
from flex.sites import keeping
from flex.sites.limits import Claim, shares
from flex.sites.models import Site
from sessions.models import Session
from sessions.objects import SessionStatus

# Below 6 A no EV charges (IEC 61851). In W, of as many phases as there can be at 230 V: a share
# that is too small for a car would be none.
LEAST: Final = {"A": Decimal(6), "W": Decimal(6 * 230 * 3)}


class Rate(Protocol):
    """What the connector of a session gives, in each unit in which that is known."""

    def in_unit(self, unit: str) -> Decimal | None:
        """In W, or in A of each phase."""
        ...


def share(
    session: Session, now: datetime, most_of: Callable[[Session], Rate]
) -> Mapping[str, Decimal]:
    """Its share by unit, of the narrowest site; empty where no limit is in force.

    `most_of` says what the connector of a session gives.
    """
    found: dict[str, Decimal] = {}
    for site in Site.around(session):
        for limits in keeping.limits_of(site):
            limit = limits.at(now)
            if limit is not None:
                mine = _share(session, site, limits.unit, limit, most_of)
                found[limits.unit] = min(mine, found.get(limits.unit, mine))
    return found


def _share(
    session: Session, site: Site, unit: str, limit: Decimal, most_of: Callable[[Session], Rate]
) -> Decimal:
    living = [one for one in keeping.live_at(site) if one.status != SessionStatus.RESERVATION]
    if session.pk not in {one.pk for one in living}:
        living.append(session)
    served = _served(living)
    claims = []
    for one in living:
        most = most_of(one).in_unit(unit)
        least = LEAST[unit] if most is None else min(LEAST[unit], most)
        claims.append(Claim(least, most, served.get(one.pk, Decimal(0)), one.pk))
    by_session = dict(zip([one.pk for one in living], shares(limit, claims), strict=True))
    return by_session[session.pk]


def _served(sessions: list[Session]) -> dict[int, Decimal]:
    """The part of its need that each has; one whose need nobody has told has none of it."""
    latest = (
        PreferenceCopy.objects.filter(session__in=sessions)
        .order_by("session", "-received_at", "-pk")
        .distinct("session")
    )
    needs = {row.session_id: row.energy_need for row in latest}
    found = {}
    for session in sessions:
        need, kwh = needs.get(session.pk), session.kwh
        if need and kwh and need > 0:
            found[session.pk] = min(kwh / need, Decimal(1))
    return found
