"""A session's share of its site: what the full rate is where a limit is in force (SCALE D2.3, 8.4).

Each session that goes on at the site has a share, whoever steers it: 0, or at least its minimum.
"""

from collections.abc import Callable, Iterator, Mapping
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


class Shares:
    """The shares of sessions at a moment; each site is worked out once, where somebody asks.

    `most_of` says what the connector of a session gives.
    """

    def __init__(self, now: datetime, most_of: Callable[[Session], Rate]) -> None:
        self._now, self._most_of = now, most_of
        self._around: dict[tuple[str, ...], list[Site]] = {}
        self._at: dict[int, _Shared] = {}

    def of(self, session: Session) -> Mapping[str, Decimal]:
        """Its share by unit, of the narrowest site; empty where no limit is in force."""
        found: dict[str, Decimal] = {}
        for site in self._sites(session):
            if site.pk not in self._at:
                self._at[site.pk] = _Shared(site, self._now, self._most_of)
            for unit, mine in self._at[site.pk].of(session):
                found[unit] = min(mine, found.get(unit, mine))
        return found

    def _sites(self, session: Session) -> list[Site]:
        place = str(session.owner), session.location_id.upper(), session.evse_uid.upper()
        if place not in self._around:
            self._around[place] = Site.around(session)
        return self._around[place]


class _Shared:
    """The limits of a site that are in force, and what each session there has of them."""

    def __init__(self, site: Site, now: datetime, most_of: Callable[[Session], Rate]) -> None:
        self._most_of = most_of
        at = {limits.unit: limits.at(now) for limits in keeping.limits_of(site)}
        self._limits = {unit: limit for unit, limit in at.items() if limit is not None}
        living = keeping.live_at(site) if self._limits else []
        claims = self._claims([one for one in living if one.status != SessionStatus.RESERVATION])
        self._claimed = claims
        self._rates = {unit: self._shared(unit, claims[unit]) for unit in self._limits}

    def of(self, session: Session) -> Iterator[tuple[str, Decimal]]:
        """By unit; one that does not go on there has what it would have if it did."""
        own = None
        for unit, rates in self._rates.items():
            if session.pk not in rates:
                own = own or self._claims([session])
                rates = self._shared(unit, self._claimed[unit] + own[unit])
            yield unit, rates[session.pk]

    def _shared(self, unit: str, claims: list[Claim]) -> dict[int, Decimal]:
        found = shares(self._limits[unit], claims)
        return {one.order: rate for one, rate in zip(claims, found, strict=True)}

    def _claims(self, sessions: list[Session]) -> dict[str, list[Claim]]:
        """In each unit in which there is a limit."""
        claims: dict[str, list[Claim]] = {unit: [] for unit in self._limits}
        served = _served(sessions) if claims and sessions else {}
        for one in sessions if claims else ():
            rate = self._most_of(one)
            for unit, of_unit in claims.items():
                most = rate.in_unit(unit)
                least = LEAST[unit] if most is None else min(LEAST[unit], most)
                of_unit.append(Claim(least, most, served.get(one.pk, Decimal(0)), one.pk))
        return claims


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
