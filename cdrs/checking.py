"""Each CDR that was taken is computed anew, and what it bills otherwise is kept beside it."""

import logging
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import models
from django.db.models import Exists, Max, OuterRef

from cdrs.models import Cdr, CdrCheck, CheckResult
from cdrs.objects import CDR
from cdrs.recomputed import Difference, billed_pauses, differences
from hub.ocpi import heads
from hub.ocpi.datatypes import decode
from hub.ocpi.errors import OcpiError
from locations.told import location_told
from tariffs.models import Tariff as StoredTariff
from tariffs.objects import Tariff
from tariffs.pricing import Unclear

logger = logging.getLogger(__name__)
BATCH: Final = 200
# Numbers are given out before their rows are seen: so far back one may still appear.
_BEHIND: Final = 10_000


# Who knows which of a CDR's charging periods were pauses that a profile made; by their indices.
PausesOf = Callable[[Cdr, CDR], frozenset[int]]
_pauses: list[PausesOf] = []


def pauses_from(read: PausesOf) -> None:
    """Called when the apps are ready; a later call replaces an earlier one."""
    _pauses[:] = [read]


def check_new() -> int:
    """Compute those that were not yet, some at a time; how many. Safe to run twice."""
    reached = CdrCheck.objects.aggregate(newest=Max("cdr_id"))["newest"] or 0
    known = CdrCheck.objects.filter(cdr=OuterRef("pk"))
    waiting = Cdr.objects.filter(~Exists(known), pk__gt=reached - _BEHIND).order_by("pk")[:BATCH]
    zone = cache(_zone)  # Many are of one Location, which may be large.
    checks = [_checked(cdr, zone) for cdr in waiting]
    CdrCheck.objects.bulk_create(checks, ignore_conflicts=True)
    return len(checks)


def _checked(stored: Cdr, zone: Callable[[str, str, str], ZoneInfo | None]) -> CdrCheck:
    check = CdrCheck(cdr=stored)
    found: list[Difference] = []
    try:
        cdr = decode(bytes(stored.document), CDR)
        place = zone(stored.owner, stored.audience, cdr.cdr_location.id.upper())
        tariffs = _tariffs(stored, cdr)
        for read in _pauses:
            found += billed_pauses(cdr, read(stored, cdr), tariffs, place)
        found += differences(cdr, tariffs, place)
    except (OcpiError, Unclear) as error:
        # An OcpiError says what of it cannot be read.
        check.result, check.reason = CheckResult.UNCLEAR, heads.text(str(error), 255)
    except (ArithmeticError, ValueError) as error:
        # 1e300 kWh, or the 31st of February: one such CDR must not keep all others from their turn.
        reason = f"it has a value that cannot be computed with: {error}"
        check.result, check.reason = CheckResult.UNCLEAR, heads.text(reason, 255)
    else:
        check.result = CheckResult.DIFFERENT if found else CheckResult.AS_PRICED
    if found:
        check.result = CheckResult.DIFFERENT
    check.differences = [
        {
            "field": each.field,
            "billed": f"{each.billed:f}",
            "computed": f"{each.computed:.4f}",
            "elements": list(each.elements),
        }
        for each in found
    ]
    return check


def _tariffs(stored: Cdr, cdr: CDR) -> list[Tariff]:
    """Those that its CPO has told its eMSP, and has not changed since the session began."""
    if cdr.tariffs:
        return []
    names = {period.tariff_id.upper() for period in cdr.charging_periods if period.tariff_id}
    told = StoredTariff.objects.filter(
        owner=stored.owner, object_id__in=names, last_updated__lte=cdr.start_date_time
    )
    return list(_read(_for_one(told, stored.audience)))


def _read(rows: Iterable[StoredTariff]) -> Iterable[Tariff]:
    for row in rows:
        if row.document:
            yield decode(bytes(row.document), Tariff)


def _for_one(rows: "models.QuerySet[StoredTariff]", emsp: str) -> Iterable[StoredTariff]:
    """What one party alone was told goes before what everybody was."""
    found: dict[str, StoredTariff] = {}
    for row in rows.filter(audience__in=("", emsp)).order_by("audience"):
        found[row.object_id] = row
    return found.values()


def _zone(owner: str, audience: str, location_id: str) -> ZoneInfo | None:
    told = location_told(owner, location_id, audience)
    name = "" if told is None else heads.text(told.head.get("time_zone"))
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # "Europe" is a folder of them.
        return None  # Where it matters, the answer is that the time zone is not known.
