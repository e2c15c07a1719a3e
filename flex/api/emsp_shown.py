"""A session as its driver's app shows it: plan, progress, cost and saving (SCALE D2.3, 8.4)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from cdrs.recomputed import used_in
from flex.api import costs, tariff_of
from flex.api.objects import Cost, EmspSession, Prices, Progress, Saving
from flex.api.prices import beyond
from flex.api.shown import (
    Shower,
    active_profile,
    effect_of,
    explained_assignment,
    latest_preferences,
    pushed,
    shown_preferences,
)
from flex.api.wishes import wishes_of
from flex.full_rate import of_connector
from flex.knowledge import facts
from flex.models import FspAssignment, PreferenceCopy
from hub.ocpi import heads, lenient
from hub.ocpi.datatypes import decode, utc
from hub.ocpi.errors import OcpiError
from sessions.models import Session
from sessions.objects import Session as SessionObject
from tariffs.objects import Tariff
from tariffs.pricing import Period, Unclear

_HOW: Final = (
    "The price of the energy by quarter of an hour, without VAT: as it was charged, and as if it "
    "had been charged at {watts:.10g} W from the beginning of the session on."
)


class _Head(msgspec.Struct):
    connector_id: Any = None
    start_date_time: Any = None
    total_cost: Any = None
    currency: Any = None


_read: Final = heads.reader(_Head)


def cost_and_saving(session: Session, now: datetime) -> tuple[Cost, Saving]:
    """What it has cost until now, and what steering has saved."""
    head, counted = (
        _read(bytes(session.document)),
        _counted(session, latest_preferences(session), now),
    )
    return _cost(head, counted), _saving(session, head, counted)


def emsp_session(session: Session, shower: Shower) -> EmspSession:
    """One session, with everything that its driver may know."""
    head, latest = _read(bytes(session.document)), latest_preferences(session)
    current = FspAssignment.current(session)
    counted = _counted(session, latest, shower.now)
    told = facts.of(session)
    return EmspSession(
        country_code=session.owner.country_code,
        party_id=session.owner.party_id,
        session_id=session.session_id,
        status=session.status,
        location_id=session.location_id or None,
        evse_uid=session.evse_uid or None,
        connector_id=heads.text(head.connector_id) or None,
        start_date_time=lenient.moment(head.start_date_time),
        last_updated=session.last_updated,
        assignment=None if current is None else explained_assignment(session, current),
        preferences=None if latest is None else shown_preferences(latest, session),
        wishes=wishes_of(session),
        plan=pushed(session),
        active=active_profile(told),
        effect=effect_of(session, told),
        progress=_progress(session, latest),
        prices=Prices() if session.is_over else shower.prices(session, latest),
        cost=_cost(head, counted),
        saving=_saving(session, head, counted),
    )


def _progress(session: Session, latest: PreferenceCopy | None) -> Progress:
    kwh, need = session.kwh, latest.energy_need if latest else None
    return Progress(
        kwh=kwh,
        energy_need=need,
        percent=min(int(kwh * 100 / need), 100) if kwh is not None and need else None,
        departure_time=latest.departure_time if latest else None,
        status=session.status,
    )


# --- Money ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Counted:
    """What the cost is computed of; `why` it cannot be."""

    tariff: Tariff | None
    periods: list[Period]
    place: tariff_of.Place
    why: str = ""


def _counted(session: Session, latest: PreferenceCopy | None, now: datetime) -> _Counted:
    place = tariff_of.place_of(session)
    applying = tariff_of.applying(session, place, latest.profile_type if latest else "", now)
    if applying.tariff is None:
        return _Counted(None, [], place, applying.why)
    try:
        periods = _periods(session, applying.tariff)
    except OcpiError as error:
        return _Counted(None, [], place, error.message)
    except (ArithmeticError, ValueError) as error:
        return _Counted(None, [], place, beyond(error))
    why = "" if periods else "the CPO has told no charging period yet"
    return _Counted(applying.tariff, periods, place, why)


def _periods(session: Session, tariff: Tariff) -> list[Period]:
    """The charging periods; one that names no Tariff is taken to be under the one that applies."""
    document = decode(bytes(session.document), SessionObject)
    told = sorted(document.charging_periods or [], key=lambda one: utc(one.start_date_time))
    end = utc(document.end_date_time or document.last_updated)
    ends = [utc(one.start_date_time) for one in told[1:]] + [end]
    found = []
    for one, until in zip(told, ends, strict=False):
        start = utc(one.start_date_time)
        period = msgspec.structs.replace(
            one, start_date_time=start, tariff_id=one.tariff_id or tariff.id
        )
        found.append(used_in(period, max(until, start)))
    return found


def _cost(head: _Head, counted: _Counted) -> Cost:
    told = head.total_cost if isinstance(head.total_cost, dict) else {}
    cost = Cost(
        currency=heads.text(head.currency, 3) or None,
        told_by_cpo=lenient.number(told.get("excl_vat")),
        unclear=counted.why or None,
    )
    if counted.tariff is not None and counted.periods:
        try:
            cost.by_tariff = costs.so_far(counted.tariff, counted.periods, counted.place.zone)
        except Unclear as error:
            cost.unclear = str(error)
        except (ArithmeticError, ValueError) as error:
            cost.unclear = beyond(error)
    return cost


def _saving(session: Session, head: _Head, counted: _Counted) -> Saving:
    if counted.tariff is None or not counted.periods:
        return Saving(why=counted.why)
    try:
        watts = of_connector(session).in_unit("W") or _highest(counted.periods)
        if not watts:
            return Saving(why="the full rate of the connector is not known in W")
        found = costs.saved(counted.tariff, counted.periods, counted.place.zone, watts)
    except Unclear as error:
        return Saving(why=str(error))
    except (ArithmeticError, ValueError) as error:
        return Saving(why=beyond(error))
    return Saving(
        currency=heads.text(head.currency, 3) or None,
        amount=found.uncontrolled - found.controlled,
        uncontrolled=found.uncontrolled,
        controlled=found.controlled,
        how=_HOW.format(watts=watts),
    )


def _highest(periods: list[Period]) -> Decimal | None:
    """The highest mean power of a period, in W, where the connector's is not told."""
    found = [p.energy / p.charging * 1000 for p in periods if p.energy > 0 and p.charging > 0]
    return max(found, default=None)
