"""Wishes of drivers for which OCPI has no field: kept, and given to the FSP (SCALE D2.3, 11.1)."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
from django.db import transaction

from flex.api.models import Wish
from flex.api.objects import Wishes
from flex.api.problems import invalid
from flex.journal import Topic, note
from flex.knowledge import coverage
from hub.db import leases
from sessions.models import Session

_PERCENT: Final = ("min_soc", "target_soc", "max_soc", "green_level")

# Of a kWh, in any currency; below 0 where a driver is paid for taking it.
_PRICES: Final = (-1_000, 1_000_000)


def checked(wishes: Wishes | None) -> dict[str, Any]:
    """As they are kept: names and numbers, without what is not wished; Problem (400)."""
    if wishes is None:
        return {}
    for name in _PERCENT:
        value = getattr(wishes, name)
        if value is not None and not 0 <= value <= 100:
            raise invalid(f"{name} is a percentage, from 0 to 100.")
    (least, most), price = _PRICES, wishes.tariff_override
    if price is not None and not least <= price <= most:
        raise invalid(f"tariff_override is a price of a kWh, from {least} to {most}.")
    socs = [one for name in _PERCENT[:3] if (one := getattr(wishes, name)) is not None]
    if socs != sorted(socs):
        raise invalid("min_soc, target_soc and max_soc must not fall in this order.")
    found: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(wishes).items():
        if value is not None and name != "told_at":
            found[name] = value if isinstance(value, bool) else float(value)
    return found


@transaction.atomic
def keep(session: Session, wishes: dict[str, Any]) -> None:
    """Keep what the app has told, in place of what it told before; the journal says so."""
    former = Wish.objects.select_for_update().filter(session=session).first()
    if wishes == (former.wishes if former else {}):
        return
    Wish.objects.update_or_create(
        session=session, defaults={"wishes": wishes, "told_at": leases.now()}
    )
    said = ", ".join(f"{name} {value}" for name, value in wishes.items()) or "nothing any more"
    note(
        session.pk,
        Topic.PREFERENCES,
        f"The driver's app wishes, beside what OCPI carries: {said}.",
        wishes=wishes,
    )


def wishes_of(session: Session) -> Wishes | None:
    """As the app told them last."""
    wish = Wish.objects.filter(session=session).first()
    return Wishes(**wish.wishes, told_at=wish.told_at) if wish is not None else None


def wishes_of_all(sessions: Collection[int]) -> dict[int, Wishes]:
    """Of many sessions, by their keys."""
    rows = Wish.objects.filter(session__in=sessions)
    return {one.session_id: Wishes(**one.wishes, told_at=one.told_at) for one in rows}


_UNITS: Final = dict.fromkeys(_PERCENT, "percent") | {"tariff_override": "currency/kWh"}


def for_coverage(session: Session) -> dict[str, coverage.Wish]:
    """As the data coverage shows them (flex/knowledge/coverage.py)."""
    wish = Wish.objects.filter(session=session).first()
    if wish is None:
        return {}
    return {
        name: coverage.Wish(_text(value), wish.told_at, _UNITS.get(name, ""))
        for name, value in wish.wishes.items()
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.10g}"
