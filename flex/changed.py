"""Sessions are looked at again when a word begins, ends, or runs out (SCALE D2.3, 8.4).

The rows say when they are due; so nothing is missed by a process that dies, nor by a choice that
was begun before the word was written: it is looked at once more a little later.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from flex.assignment import reconsider_all
from flex.models import FlexAgreement, FlexExclusion
from flex.models.agreements import SCOPE
from hub.db import leases, sql
from hub.db.one_by_one import each
from sessions.models import Session

# Longer than any transaction that has chosen without the word.
AGAIN: Final = 15.0  # seconds
_BATCH: Final = 100
_NEXT: Final = """
    UPDATE {table} SET due_at = (
        SELECT min(moment) FROM unnest(ARRAY[changed_at + %(again)s * interval '1 second' {more}])
        AS moment WHERE moment > %(now)s::timestamptz
    ) WHERE id = %(id)s AND due_at = %(due_at)s
"""


def reconsider_changed() -> int:
    """Look at what is due; how many sessions have another FSP now. Safe to run twice."""
    now = leases.now()
    return _look(FlexAgreement, _agreement, now) + _look(FlexExclusion, _exclusion, now)


def _look(words: Any, look: Callable[[Any, datetime], int], now: datetime) -> int:
    """Those of one kind that are due; one that fails comes again, behind all others."""
    numbers: list[int] = []
    due = words.objects.filter(due_at__lte=now).order_by("due_at")[:_BATCH]
    failed = each(due, lambda word: numbers.append(look(word, now)), is_atomic=False)
    for word in failed:
        later = now + timedelta(seconds=AGAIN)
        words.objects.filter(pk=word.pk, due_at=word.due_at).update(due_at=later)
    return sum(numbers)


def _agreement(agreement: FlexAgreement, now: datetime) -> int:
    number = reconsider_all(sessions_of(agreement), because(agreement, now))
    _goes_on(agreement, now, ", valid_from, CASE WHEN is_active THEN valid_until END")
    return number


def _exclusion(exclusion: FlexExclusion, now: datetime) -> int:
    at = f" at location {exclusion.location_id}" if exclusion.location_id else ""
    ends = "" if exclusion.is_active else " not any more"
    number = reconsider_all(
        _of_cpo(exclusion), f"{exclusion.cpo} excludes {exclusion.who}{at}{ends}"
    )
    _goes_on(exclusion, now, "")
    return number


def sessions_of(agreement: FlexAgreement) -> Any:
    """Those that an agreement is about."""
    if agreement.session_id is not None:
        return Session.objects.filter(pk=agreement.session_id)
    said = {f"{column}__iexact": getattr(agreement, name) for name, column in SCOPE.items()}
    return Session.objects.filter(**{name: value for name, value in said.items() if value})


def because(agreement: FlexAgreement, now: Any) -> str:
    """Why an agreement is looked at."""
    if not agreement.is_active:
        return f"agreement {agreement.pk} has ended"
    if agreement.valid_until is not None and agreement.valid_until <= now:
        return f"agreement {agreement.pk} has run out"
    return f"agreement {agreement.pk} counts now"


def _of_cpo(exclusion: FlexExclusion) -> Any:
    cpo = exclusion.cpo
    found = Session.objects.filter(
        country_code__iexact=cpo.country_code, party_id__iexact=cpo.party_id
    )
    place = exclusion.location_id
    return found.filter(location_id__iexact=place) if place else found


def _goes_on(row: FlexAgreement | FlexExclusion, now: Any, more: str) -> None:
    statement = _NEXT.format(table=row._meta.db_table, more=more)
    sql.run(statement, {"again": AGAIN, "now": now, "id": row.pk, "due_at": row.due_at})
