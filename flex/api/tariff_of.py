"""Which Tariff a session is charged by, as far as the hub has been told (mod_tariffs)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hub.ocpi import heads
from hub.ocpi.datatypes import decode
from hub.ocpi.errors import OcpiError
from hub.ocpi.party import PartyId
from locations.told import connector_in, location_told
from sessions.models import Session
from tariffs.models import Tariff as StoredTariff
from tariffs.objects import Tariff, TariffType


class _Periods(msgspec.Struct):
    charging_periods: Any = None
    connector_id: Any = None


_read_periods: Final = heads.reader(_Periods)
# The type of a Tariff that a driver's profile type asks for (mod_tariffs: TariffType).
_TYPES: Final = {name.removeprefix("PROFILE_"): name for name in TariffType}


@dataclass(frozen=True, slots=True)
class Place:
    """What the session's Location says: its time zone, and the Connector."""

    zone: tzinfo | None
    connector: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Applying:
    """The Tariff of a session; None, and `why` nobody can say which it is."""

    tariff: Tariff | None
    why: str = ""


def place_of(session: Session) -> Place:
    """Of the Location as it was told the session's eMSP, or everybody."""
    told = location_told(str(session.owner), session.location_id, str(session.emsp))
    if told is None:
        return Place(None, {})
    connector_id = heads.text(_read_periods(bytes(session.document)).connector_id)
    connector = connector_in(told.evse(session.evse_uid), connector_id)
    return Place(_zone(heads.text(told.head.get("time_zone"))), connector or {})


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None  # "Europe" is a folder of them.


def _dicts(value: Any) -> Iterable[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def applying(session: Session, place: Place, profile_type: str, now: datetime) -> Applying:
    """That of the last charging period; else the one of the Connector that the driver's type asks.

    Of several that fit, nothing says which it is.
    """
    named = _named_in_periods(session)
    if named:
        found = _stored(session, [named])
        return _only(found, f"Tariff {named}, which its charging periods name, is not known here")
    ids = place.connector.get("tariff_ids")
    names = [heads.text(one) for one in ids] if isinstance(ids, list) else []
    found = [one for one in _stored(session, names) if _holds(one, now)]
    wanted = [one for one in found if one.type == _TYPES.get(profile_type)]
    regular = [one for one in found if one.type in {None, TariffType.REGULAR}]
    if not names:
        return Applying(None, "neither its charging periods nor its Connector name a Tariff")
    return _only(wanted or regular or found, "the Tariffs of its Connector are not known here")


def _only(found: list[Tariff], missing: str) -> Applying:
    if len(found) == 1:
        return Applying(found[0])
    if not found:
        return Applying(None, missing)
    names = ", ".join(sorted(one.id for one in found))
    return Applying(None, f"nothing says which of its Connector's Tariffs applies: {names}")


def _named_in_periods(session: Session) -> str:
    """The Tariff of the latest charging period that names one."""
    periods = list(_dicts(_read_periods(bytes(session.document)).charging_periods))
    periods.sort(key=lambda one: heads.text(one.get("start_date_time")))
    named = [heads.text(one.get("tariff_id")) for one in periods]
    return next((name for name in reversed(named) if name), "")


def _stored(session: Session, names: list[str]) -> list[Tariff]:
    """What the eMSP alone was told goes before what everybody was."""
    emsp: PartyId = session.emsp
    rows = StoredTariff.objects.filter(
        owner=str(session.owner),
        object_id__in=[name.upper() for name in names],
        audience__in=("", str(emsp)),
    ).order_by("audience")
    by_id = {row.object_id: bytes(row.document) for row in rows}
    return [tariff for document in by_id.values() if (tariff := _read(document)) is not None]


def _read(document: bytes) -> Tariff | None:
    """None for one that has ended for this eMSP, or that cannot be read."""
    if not document:
        return None
    try:
        return decode(document, Tariff)
    except OcpiError:
        return None


def _holds(tariff: Tariff, now: datetime) -> bool:
    begins, ends = tariff.start_date_time, tariff.end_date_time
    return (begins is None or _utc(begins) <= now) and (ends is None or now < _utc(ends))


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo("UTC"))
