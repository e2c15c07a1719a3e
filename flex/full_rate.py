"""The full rate of a session: what its EVSE gives when no flexibility provider holds it back.

mod_locations, Connector. W stay W and A stay A: nobody knows how many phases a car uses.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from flex.sites.sharing import Shares
from hub.ocpi import heads, lenient
from locations.told import connector_in, location_told
from sessions.models import Session


@dataclass(frozen=True, slots=True)
class FullRate:
    """In W and in A per phase, each where it is known; `source` says whence."""

    watts: Decimal | None = None
    amperes: Decimal | None = None
    source: str = ""
    # Of a site's limit: without a profile the session would take more.
    is_share: bool = False

    def in_unit(self, unit: str) -> Decimal | None:
        """Its value in W or A; None where it is not known in that unit."""
        return {"W": self.watts, "A": self.amperes}.get(unit)

    @property
    def best(self) -> tuple[str, Decimal] | None:
        """A unit in which it is known, and its value there."""
        for unit in ("A", "W"):
            if (value := self.in_unit(unit)) is not None:
                return unit, value
        return None


class _At(msgspec.Struct):
    connector_id: Any = None


_read_session: Final = heads.reader(_At)


def full_rate(session: Session, now: datetime) -> FullRate:
    """The full rate of a session at a moment: of its connector, as its Location says.

    Where a site's limit is in force it is the session's share of that: 0, or at least its minimum.
    """
    return FullRates(now).of(session)


class FullRates:
    """Those of many sessions at one moment: each site that they share is worked out once."""

    def __init__(self, now: datetime) -> None:
        self._shares = Shares(now, of_connector)

    def of(self, session: Session) -> FullRate:
        """As `full_rate`."""
        full, share = of_connector(session), self._shares.of(session)
        if not share:
            return full
        # In the units of the limits alone: of W in all no A of each phase are made.
        watts, amperes = (_lower(full.in_unit(unit), share.get(unit)) for unit in ("W", "A"))
        source = f"the share of a site's limit; {full.source}"
        return FullRate(watts, amperes, source, is_share=True)


def _lower(full: Decimal | None, share: Decimal | None) -> Decimal | None:
    return share if share is None or full is None else min(full, share)


def of_connector(session: Session) -> FullRate:
    """What the connector gives, by itself."""
    connector = _connector(session)
    if connector is None:
        return FullRate()
    return FullRate(
        _positive(connector.get("max_electric_power")),
        _positive(connector.get("max_amperage")),
        f"connector {connector.get('id')} of location {session.location_id}",
    )


def _positive(value: Any) -> Decimal | None:
    found = lenient.number(value)
    return found if found is not None and found > 0 else None


def _connector(session: Session) -> dict[str, Any] | None:
    """The connector that the Session names; the EVSE's only one where it names none of them."""
    location = location_told(str(session.owner), session.location_id, str(session.emsp))
    if location is None:
        return None
    name = heads.text(_read_session(bytes(session.document)).connector_id)
    return connector_in(location.evse(session.evse_uid), name)
