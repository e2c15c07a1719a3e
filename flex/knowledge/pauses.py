"""Which charging periods of a CDR were pauses that a profile made (mod_cdrs: CdrDimensionType).

PARKING_TIME is the time in which the vehicle is not requesting power (erratum of 2026-05): a pause
that a charging profile made is none. Said only where it is beyond doubt: nothing flowed while the
profile allowed nothing, and later, when it did, the car charged again, so that it had asked.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from cdrs.models import Cdr
from cdrs.objects import CDR, CdrDimensionType, ChargingPeriod
from flex.knowledge import facts
from flex.knowledge.facts import Facts, SetProfile
from hub.ocpi.party import PartyId
from sessions.models import Session

# A period that the CPO begins or ends a little beside the limits of the profile.
_COVERED: Final = 0.9
_NOTHING: Final = Decimal("0.02")  # kWh
_AHEAD: Final = timedelta(days=31)


def held_by_profile(stored: Cdr, cdr: CDR) -> frozenset[int]:
    """The indices of those periods; none where the hub does not know the session."""
    if not cdr.session_id or not any(_parking(period) for period in cdr.charging_periods):
        return frozenset()
    found = Session.objects.owned(PartyId.parse(stored.owner), cdr.session_id)
    session = found.filter(
        emsp_country_code__iexact=stored.audience[:2], emsp_party_id__iexact=stored.audience[3:]
    ).first()
    if session is None:
        return frozenset()
    return frozenset(held(facts.of(session), cdr.charging_periods, cdr.end_date_time))


def held(known: Facts, periods: Sequence[ChargingPeriod], until: datetime) -> Iterator[int]:
    """The same of facts. Pure."""
    begins = [period.start_date_time for period in periods]
    for index, period in enumerate(periods):
        begin = period.start_date_time
        end = min((each for each in begins if each > begin), default=until)
        if not _parking(period) or _energy(period) > _NOTHING or end <= begin:
            continue
        if _share_of_pause(known, begin, end) >= _COVERED and any(
            _energy(later) > _NOTHING and not _is_pause_at(known, later.start_date_time)
            for later in periods
            if later.start_date_time >= end
        ):
            yield index


def _share_of_pause(known: Facts, begin: datetime, end: datetime) -> float:
    """The part of a time in which an accepted profile allowed less than the car can take."""
    seconds = 0.0
    for one, since, until in _holding(known):
        if one.profile is not None:
            for limit in one.profile.limits(max(begin, since), min(end, until)):
                if limit.end is not None and limit.value < _least(known, one):
                    seconds += (limit.end - limit.begin).total_seconds()
    return seconds / (end - begin).total_seconds()


def _is_pause_at(known: Facts, moment: datetime) -> bool:
    return _share_of_pause(known, moment, moment + timedelta(seconds=1)) > 0


def _holding(known: Facts) -> Iterator[tuple[SetProfile, datetime, datetime]]:
    """Each accepted profile with its time, by the CPO's clock."""
    for one in known.set:
        until = known.now + _AHEAD if one.until is None else one.until
        yield one, known.by_cpo(one.accepted_at), known.by_cpo(until)


def _least(known: Facts, one: SetProfile) -> Decimal:
    """The least above 0 at which the EV charges, as far as it was told in the profile's unit."""
    told = [
        seen.profile.minimum
        for seen in known.seen
        if one.profile is not None
        and seen.profile.unit == one.profile.unit
        and seen.profile.minimum is not None
    ]
    return max(min(told, default=Decimal(0)), Decimal("0.1"))


def _volume(period: ChargingPeriod, kind: CdrDimensionType) -> Decimal:
    return sum((one.volume for one in period.dimensions if one.type is kind), Decimal(0))


def _parking(period: ChargingPeriod) -> bool:
    return _volume(period, CdrDimensionType.PARKING_TIME) > 0


def _energy(period: ChargingPeriod) -> Decimal:
    return _volume(period, CdrDimensionType.ENERGY)
