"""What limits EV, EVSE and site, inferred from what was told: values with source and expiry.

SCALE D2.3, 8.4.1: OCPI carries no EV data to a flexibility provider, so bounds take their place.
Derived whenever somebody asks, never stored: they are as fresh as what they are derived from
(decision 0038). W stay W and A stay A: nobody tells the phases of an EV.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from flex import extensions
from flex.knowledge import facts, verdicts
from flex.knowledge.active import Seen
from flex.knowledge.facts import Connector, Facts, SetProfile
from flex.knowledge.metering import Metered
from flex.knowledge.profiles import Profile
from hub.ocpi import heads
from hub.ocpi.party import PartyId
from sessions.models import Session

# What was only inferred is believed so long.
HOLDS: Final = timedelta(hours=1)
_WELL_BELOW: Final = Decimal("0.88")
_STEADY: Final = Decimal("0.05")
_OVER: Final = Decimal("1.1")
_OVER_WATTS: Final = 200
_FLOWS: Final = 150  # W


class Kind(StrEnum):
    """From which side a value bounds its quantity."""

    LOWER = "lower"
    UPPER = "upper"
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class LimitBound:
    """One bound. `unit` is W, A (per phase), A_SUM (over all phases), kWh or percent.

    `phases` is what `power_type` says of the connector, of connector data alone. `message` is the
    correlation id of the message behind it, or names the object; moments are the hub's clock where
    it received, the CPO's where it metered. `valid_until` is None while nothing ends it.
    """

    quantity: str
    kind: Kind
    value: Decimal
    unit: str
    source: str
    message: str
    observed_at: datetime
    valid_until: datetime | None = None
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A contradiction between two things that were told; `key` stays while it is the same one."""

    key: str
    sentence: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known, and what contradicts itself."""

    bounds: tuple[LimitBound, ...]
    anomalies: tuple[Anomaly, ...]


def of(session: Session, known: Facts | None = None, *, viewer: PartyId | None = None) -> Bounds:
    """Of a session, as it is now; `known` are its facts, where the caller has them already.

    `viewer` gets of extension fields what it agreed on with who told them; None gets all.
    """
    known = known or facts.of(session)
    derived, told = derive(known), extensions.known(session, viewer)
    if not told:
        return derived
    found = [one for one in map(_of_extension, told) if one is not None]
    still = [one for one in found if one.valid_until is None or one.valid_until > known.now]
    contradicted = _beyond_told(known, still)
    return Bounds((*derived.bounds, *still), (*derived.anomalies, *contradicted))


def derive(known: Facts) -> Bounds:
    """Of facts; what has expired is left out. Pure."""
    found = [
        *_of_connector(known.connector),
        *_of_active(known),
        *_of_metered(known),
        *_apparent(known),
        *_of_preferences(known),
    ]
    still = [
        one for one in found if one.valid_until is None or one.valid_until > _clock(known, one)
    ]
    anomalies = {one.key: one for one in _contradictions(known)}
    return Bounds(tuple(still), tuple(anomalies.values()))


def _clock(known: Facts, bound: LimitBound) -> datetime:
    """Now, by the clock by which the bound ends."""
    return known.by_cpo(known.now) if bound.source in {"metered", "active profile"} else known.now


# --- The connector --------------------------------------------------------------------------------


def _of_connector(connector: Connector | None) -> Iterator[LimitBound]:
    if connector is None:
        return
    place = heads.text(connector.location.get("id"))
    for value, unit in ((connector.watts, "W"), (connector.amperes, "A")):
        if value is not None and value > 0:
            yield LimitBound(
                "evse_max_charging_power" if unit == "W" else "evse_max_charging_current",
                Kind.UPPER,
                value,
                unit,
                "connector",
                f"Location {place}",
                connector.received_at,
                phases=connector.phases,
            )


# --- Active profiles ------------------------------------------------------------------------------


def _of_active(known: Facts) -> Iterator[LimitBound]:
    """What EV, EVSE and site allow together: before any profile was set, and now."""
    if known.baseline is not None:
        yield _seen(known.baseline, "charging_limit", Kind.UPPER, known.baseline.profile.highest)
    latest = known.latest
    if latest is None:
        return
    moment = known.by_cpo(known.now)
    now = latest.profile.at(moment)
    if now is not None:
        yield _seen(latest, "active_limit", Kind.UPPER, now, _until(latest.profile, moment))
    if (lower := _lower_than_set(known, latest)) is not None:
        # Somebody limits more than the FSP does: the site, the EV or the EVSE.
        yield _seen(latest, "other_limit", Kind.UPPER, lower, latest.profile.start + HOLDS)
    minimum = latest.profile.minimum
    if minimum is not None and minimum >= 0:
        yield _seen(latest, "ev_min_charging_power", Kind.LOWER, minimum)


def _seen(
    seen: Seen, quantity: str, kind: Kind, value: Decimal, until: datetime | None = None
) -> LimitBound:
    return LimitBound(
        quantity,
        kind,
        value,
        seen.profile.unit,
        "active profile",
        seen.correlation_id,
        seen.observed_at,
        until,
    )


def _until(profile: Profile, moment: datetime) -> datetime | None:
    """When the limit of a moment ends."""
    for offset, _ in profile.steps:
        begin = profile.start + timedelta(seconds=offset)
        if begin > moment and (profile.end is None or begin < profile.end):
            return begin
    return profile.end


def _lower_than_set(known: Facts, latest: Seen) -> Decimal | None:
    """The active limit where it is below that of the profile which was the last one then."""
    pair = _limits_at(known, latest)
    if pair is None:
        return None
    active, wanted = pair
    is_less = active < wanted and not verdicts.is_same(active, wanted, latest.profile.unit)
    return active if is_less else None


def _limits_at(known: Facts, seen: Seen) -> tuple[Decimal, Decimal] | None:
    """What is active and what was set when an active profile was computed, in one unit."""
    one = _set_then(known, seen)
    if one is None or one.profile is None or one.profile.unit != seen.profile.unit:
        return None
    active, wanted = seen.profile.at(seen.profile.start), one.profile.at(seen.profile.start)
    return None if active is None or wanted is None else (active, wanted)


def _set_then(known: Facts, seen: Seen) -> SetProfile | None:
    asked_at = seen.asked_at or seen.observed_at
    for one in known.set:
        if one.accepted_at <= asked_at and (one.until is None or seen.observed_at < one.until):
            return one
    return None


# --- Charging periods -----------------------------------------------------------------------------


def _of_metered(known: Facts) -> Iterator[LimitBound]:
    """What has flowed at any time: the EV can take, or give, at least that."""
    if not known.metered:
        return
    if (most := _extreme(known.metered, "highest")) is not None and most[0] > 0:
        yield _metered(known, "ev_max_charging_power", Kind.LOWER, most[0], "W", most[1])
    if (least := _extreme(known.metered, "lowest")) is not None and least[0] < 0:
        yield _metered(known, "ev_max_discharging_power", Kind.LOWER, -least[0], "W", least[1])
    currents = [(one.volumes.get("MAX_CURRENT"), one) for one in known.metered]
    summed = [(value, one) for value, one in currents if value is not None and value > 0]
    if summed:
        value, one = max(summed, key=lambda pair: pair[0])
        yield _metered(known, "ev_max_charging_current", Kind.LOWER, value, "A_SUM", one)
    flowing = [
        (one.volumes["MIN_POWER"] * 1000, one)
        for one in known.metered
        if one.volumes.get("MIN_POWER", Decimal(0)) * 1000 > _FLOWS
    ]
    if flowing:
        value, one = min(flowing, key=lambda pair: pair[0])
        yield _metered(known, "ev_min_charging_power", Kind.UPPER, value, "W", one)
    for one in reversed(known.metered):
        charge = one.volumes.get("STATE_OF_CHARGE")
        if charge is not None and 0 <= charge <= 100:
            end = (one.end or one.begin) + HOLDS
            yield _metered(known, "ev_present_soc", Kind.ESTIMATE, charge, "percent", one, end)
            break


def _extreme(metered: tuple[Metered, ...], side: str) -> tuple[Decimal, Metered] | None:
    told = [(one.highest_power if side == "highest" else one.lowest_power, one) for one in metered]
    found = [(value, one) for value, one in told if value is not None]
    if not found:
        return None
    pick = max if side == "highest" else min
    return pick(found, key=lambda pair: pair[0])


def _metered(
    known: Facts,
    quantity: str,
    kind: Kind,
    value: Decimal,
    unit: str,
    one: Metered,
    until: datetime | None = None,
) -> LimitBound:
    session = heads.text(known.document.get("id"))
    return LimitBound(
        quantity, kind, value, unit, "metered", f"Session {session}", one.end or one.begin, until
    )


def _apparent(known: Facts) -> Iterator[LimitBound]:
    """Steady power well below the active limit: the EV seems to take no more, for now."""
    latest = known.latest
    steady = [one for one in known.metered if one.end is not None and one.power is not None][-2:]
    if latest is None or len(steady) < 2:
        return
    found = [_beside(one, latest.profile) for one in steady]
    values = [value for value, limit in found if value is not None and limit is not None]
    limits = [limit for value, limit in found if value is not None and limit is not None]
    if len(values) < 2 or min(values) <= 0 or max(values) - min(values) > max(values) * _STEADY:
        return
    if max(values) < min(limits) * _WELL_BELOW:
        unit = "W" if latest.profile.unit == "W" else "A"
        last = steady[-1]
        yield _metered(
            known,
            "ev_max_charging_power",
            Kind.ESTIMATE,
            max(values),
            unit,
            last,
            (last.end or last.begin) + HOLDS,
        )


def _beside(one: Metered, profile: Profile) -> tuple[Decimal | None, Decimal | None]:
    """What flowed in a period, in the unit of the profile, and its one limit there.

    Of A the mean current, which is the sum over the phases or that of one: below the limit it is
    below it in either reading.
    """
    limits = {limit.value for limit in profile.limits(one.begin, one.end or one.begin)}
    value = one.power if profile.unit == "W" else one.volumes.get("CURRENT")
    return value, limits.pop() if len(limits) == 1 else None


# --- The driver -----------------------------------------------------------------------------------


def _of_preferences(known: Facts) -> Iterator[LimitBound]:
    asked = known.preferences
    if asked is not None and asked.energy_need is not None:
        yield LimitBound(
            "ev_target_energy_request",
            Kind.ESTIMATE,
            asked.energy_need,
            "kWh",
            "preferences",
            asked.correlation_id,
            asked.received_at,
        )


# --- Extension fields -----------------------------------------------------------------------------


def _of_extension(told: extensions.Known) -> LimitBound | None:
    """What EV or site told in a field of its own; what changes while it charges grows old."""
    field, value = told.value.field, told.value.number
    if not field.bound or value is None:
        return None
    is_of_now = field.bound == Kind.ESTIMATE
    return LimitBound(
        field.data_object,
        Kind(field.bound),
        value,
        field.unit,
        told.source,
        told.message,
        told.observed_at,
        told.observed_at + HOLDS if is_of_now else None,
    )


_FLOWS_BY: Final = {
    "ev_max_charging_power": (1, "highest"),
    "ev_max_discharging_power": (-1, "lowest"),
}


def _beyond_told(known: Facts, told: Sequence[LimitBound]) -> Iterator[Anomaly]:
    """More has flowed than the EV is said to take, or to give."""
    for one in told:
        sign, side = _FLOWS_BY.get(one.quantity, (0, ""))
        most = _extreme(known.metered, side) if sign else None
        if most is not None and sign * most[0] > one.value * _OVER + _OVER_WATTS:
            yield Anomaly(
                f"beyond-told:{one.quantity}",
                f"{sign * most[0] / 1000:.1f} kW flowed, where the {one.source} says "
                f"{one.quantity} {one.value / 1000:.1f} kW.",
                most[1].end or most[1].begin,
            )


# --- Contradictions -------------------------------------------------------------------------------


def _contradictions(known: Facts) -> Iterator[Anomaly]:
    """Two things that were told and cannot both be true: shown, and nothing is made of them."""
    for seen in known.seen[-20:]:
        pair = _limits_at(known, seen)
        if (
            pair is not None
            and pair[0] > pair[1]
            and not verdicts.is_same(*pair, seen.profile.unit)
        ):
            active, wanted = (f"{value.normalize():f} {seen.profile.unit}" for value in pair)
            one = _set_then(known, seen)
            yield Anomaly(
                f"active-above-set:{one.command if one else 0}",
                f"The active profile allows {active} where {wanted} was set and accepted.",
                seen.observed_at,
            )
        rating = _rating(known.connector, seen.profile.unit)
        if rating is not None and seen.profile.highest > rating * _OVER:
            told = f"{seen.profile.highest.normalize():f} {seen.profile.unit}"
            yield Anomaly(
                "active-above-connector",
                f"The active profile allows {told}; the connector is for "
                f"{rating.normalize():f} {seen.profile.unit} at most.",
                seen.observed_at,
            )
    yield from _of_power(known)


def _of_power(known: Facts) -> Iterator[Anomaly]:
    watts = _rating(known.connector, "W")
    for one in known.metered:
        most, moment = one.highest_power, one.end or one.begin
        if most is None:
            continue
        if watts is not None and most > watts * _OVER:
            yield Anomaly(
                "power-above-connector",
                f"{most / 1000:.1f} kW flowed; the connector is for {watts / 1000:.1f} kW at most.",
                moment,
            )
        least = one.volumes.get("MIN_POWER")
        if least is not None and "MAX_POWER" in one.volumes and least * 1000 > most:
            yield Anomaly(
                f"least-above-most:{one.begin:%H%M%S}",
                "A charging period tells a MIN_POWER above its MAX_POWER.",
                moment,
            )
    last = known.metered[-1] if known.metered else None
    latest = known.latest
    if last is None or latest is None or latest.profile.unit != "W" or last.end is None:
        return
    power, limit = _beside(last, latest.profile)
    is_since = last.begin >= latest.profile.start + verdicts.SETTLES
    if not is_since or power is None or limit is None or limit < 0:
        return
    if power > limit * _OVER + _OVER_WATTS:
        yield Anomaly(
            f"power-above-active:{latest.correlation_id}"[:80],
            f"{power / 1000:.1f} kW flow where the active profile allows {limit / 1000:.1f} kW.",
            last.end,
        )


def _rating(connector: Connector | None, unit: str) -> Decimal | None:
    value = None if connector is None else connector.watts if unit == "W" else connector.amperes
    return value if value is not None and value > 0 else None
