"""How long what the hub stores is kept: one rule for each kind, each with its setting of days."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from django.apps import apps
from django.conf import settings
from django.db import models, transaction
from django.db.models.expressions import RawSQL
from django.utils import timezone

from cdrs.models import Cdr
from charging_profiles.models import CommandState, ProfileCommand, ProfileUpdate
from commands.models import Reservation
from flex.api.models import ApiKey, KeyKind, Prepared
from flex.life.models import HubCommand
from flex.models import FlexAgreement, JournalEntry, PreferenceCopy
from flex.switching.models import FspSwitch
from hub.deviations.models import DeviationCount, LeftOut
from hub.models import (
    Deletion,
    Delivery,
    DeliveryState,
    ForwardedUrl,
    ForwardedUrlKind,
    StaleCopy,
)
from hub.models.stale_copies import CopyState
from sessions.handed_on import HandedOn
from sessions.models import Session
from sessions.objects import OVER
from tokens.models import Token

logger = logging.getLogger(__name__)
# Few enough that no lock of a batch is felt; the next run goes on where this one had to stop. Of
# each kind a run an hour keeps up with 1000 rows that come in a second.
BATCH: Final = 500
BATCHES_A_RUN: Final = 8000
# A session whose CPO went silent is kept this much longer: it may still be going on.
SILENT: Final = timedelta(days=30)
# And a day, for clocks that differ.
_A_YEAR: Final = timedelta(days=366)
_UNFINISHED: Final = (CommandState.WAITING, CommandState.SENDING, CommandState.ACCEPTED)

Rows = models.QuerySet[Any]


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One kind of rows, and which of them are past their time when it began at `limit`."""

    kind: str
    setting: str
    past: Callable[[datetime], Rows]
    # What a query cannot say for sure: a row that it does not confirm stays.
    confirms: Callable[[Any], bool] | None = None


def _sessions(limit: datetime) -> Rows:
    """Sessions with preferences and assignments. Only `created_at` is indexed: it never changes."""
    old = Session.objects.filter(created_at__lt=limit, received_at__lt=limit)
    return old.filter(models.Q(status__in=OVER) | models.Q(received_at__lt=limit - SILENT))


def _handed_on(limit: datetime) -> Rows:
    return HandedOn.objects.filter(told_at__lt=limit)


def _cdrs(limit: datetime) -> Rows:
    return Cdr.objects.filter(received_at__lt=limit)


def _cdr_locations(limit: datetime) -> Rows:
    """The hub's URLs of CDRs at their eMSPs, which were given out when the CDR was accepted."""
    return ForwardedUrl.objects.filter(kind=ForwardedUrlKind.LOCATION, created_at__lt=limit)


def _tokens(limit: datetime) -> Rows:
    """A Token that is valid stays however old it is: its card is in somebody's pocket.

    One with an escape in it may spell the name of the field in another way.
    """
    said = RawSQL(
        "position('\\x5c'::bytea IN document) > 0 OR encode(document, 'escape') ~ %s",
        [r'"valid"\s*:\s*false'],
    )
    return Token.objects.annotate(is_out=said).filter(
        last_updated__lt=limit, received_at__lt=limit, is_out=True
    )


class _Validity(msgspec.Struct):
    valid: bool


def _is_invalid(token: Token) -> bool:
    try:
        return not msgspec.json.decode(bytes(token.document), type=_Validity).valid
    except msgspec.DecodeError:
        return False


def _profile_commands(limit: datetime) -> Rows:
    return ProfileCommand.objects.filter(created_at__lt=limit).exclude(state__in=_UNFINISHED)


def _hub_commands(limit: datetime) -> Rows:
    return HubCommand.objects.filter(asked_at__lt=limit, ended_at__isnull=False)


def _profile_updates(limit: datetime) -> Rows:
    return ProfileUpdate.objects.filter(received_at__lt=limit)


def _reservations(limit: datetime) -> Rows:
    return Reservation.objects.filter(expiry_date__lt=limit)


def _preferences(limit: datetime) -> Rows:
    return PreferenceCopy.objects.filter(received_at__lt=limit)


def _prepared(limit: datetime) -> Rows:
    return Prepared.objects.filter(created_at__lt=limit, ended_at__isnull=False)


def _driver_keys(limit: datetime) -> Rows:
    """They name a token, and open nothing any more."""
    return ApiKey.objects.filter(kind=KeyKind.DRIVER, expires_at__lt=limit)


def _journal(limit: datetime) -> Rows:
    """Lines of sessions that may still be there; it says what drivers asked, too."""
    return JournalEntry.objects.filter(written_at__lt=limit)


def _agreements(limit: datetime) -> Rows:
    """Those for a token that have ended or run out: they name a driver."""
    ended = models.Q(is_active=False, changed_at__lt=limit) | models.Q(valid_until__lt=limit)
    return FlexAgreement.objects.filter(ended).exclude(token_uid="")


def _deliveries(limit: datetime) -> Rows:
    return Delivery.objects.filter(created_at__lt=limit).exclude(state=DeliveryState.WAITING)


def _refused(limit: datetime) -> Rows:
    """Marks that their receiver refused, and that have not changed since."""
    return StaleCopy.objects.filter(state=CopyState.REFUSED, first_at__lt=limit)


def _deviations(limit: datetime) -> Rows:
    """Deviations by when they were last met: one that goes on stays, however long ago it began."""
    return DeviationCount.objects.filter(last_at__lt=limit)


def _left_out(limit: datetime) -> Rows:
    return LeftOut.objects.filter(last_at__lt=limit)


def _deletions(limit: datetime) -> Rows:
    return Deletion.objects.filter(deleted_at__lt=limit)


def _switches(limit: datetime) -> Rows:
    return FspSwitch.objects.filter(since__lt=limit, ended_at__isnull=False)


def _audit(limit: datetime) -> Rows:
    """The database refuses to delete what is younger than a year, whatever the setting says."""
    # The console stands above this room.
    trail: Rows = apps.get_model("access.AuditEntry")._default_manager.all()
    return trail.filter(at__lt=min(limit, timezone.now() - _A_YEAR))


RULES: Final = (
    RetentionRule("preferences", "PREFERENCES_KEPT_DAYS", _preferences),
    RetentionRule("prepared preferences", "PREFERENCES_KEPT_DAYS", _prepared),
    RetentionRule("keys of drivers", "PREFERENCES_KEPT_DAYS", _driver_keys),
    RetentionRule("lines of the journal", "PREFERENCES_KEPT_DAYS", _journal),
    RetentionRule("agreements for tokens", "TOKENS_KEPT_DAYS", _agreements),
    RetentionRule("profile commands", "PROFILE_COMMANDS_KEPT_DAYS", _profile_commands),
    RetentionRule("switches of FSP", "PROFILE_COMMANDS_KEPT_DAYS", _switches),
    RetentionRule("commands of the hub's own", "PROFILE_COMMANDS_KEPT_DAYS", _hub_commands),
    RetentionRule("updates of active profiles", "PROFILE_COMMANDS_KEPT_DAYS", _profile_updates),
    RetentionRule("sessions", "SESSIONS_KEPT_DAYS", _sessions),
    RetentionRule("sessions handed on", "SESSIONS_KEPT_DAYS", _handed_on),
    RetentionRule("CDRs", "CDRS_KEPT_DAYS", _cdrs),
    RetentionRule("Locations of CDRs", "CDRS_KEPT_DAYS", _cdr_locations),
    RetentionRule("invalid tokens", "TOKENS_KEPT_DAYS", _tokens, _is_invalid),
    RetentionRule("reservations", "RESERVATIONS_KEPT_DAYS", _reservations),
    RetentionRule("deliveries", "DELIVERIES_KEPT_DAYS", _deliveries),
    RetentionRule("refused objects", "DELIVERIES_KEPT_DAYS", _refused),
    RetentionRule("deletions", "DELETIONS_KEPT_DAYS", _deletions),
    RetentionRule("deviations", "DEVIATIONS_KEPT_DAYS", _deviations),
    RetentionRule("counts of what was left out", "DEVIATIONS_KEPT_DAYS", _left_out),
    RetentionRule("entries of the audit trail", "AUDIT_KEPT_DAYS", _audit),
)


def forget(
    rules: Iterable[RetentionRule] = RULES, *, size: int = BATCH, most: int = BATCHES_A_RUN
) -> dict[str, int]:
    """Delete what is past its time; how many rows of each kind. 0 days: nothing is deleted."""
    forgotten = {}
    for rule in rules:
        days = getattr(settings, rule.setting)
        if days:
            rows = rule.past(timezone.now() - timedelta(days=days))
            forgotten[rule.kind] = sum(_batches(rule, rows, size, most))
    if any(forgotten.values()):
        counts = ", ".join(f"{count} {kind}" for kind, count in forgotten.items() if count)
        logger.info("past their time and deleted: %s", counts)
    return forgotten


def _batches(rule: RetentionRule, rows: Rows, size: int, most: int) -> Iterator[int]:
    """Delete batches, each in a transaction; rows that are being changed are left for later."""
    if rule.confirms is None:
        rows = rows.only("pk")
    last: Any = None
    for _ in range(most):
        with transaction.atomic():
            batch = list(
                (rows if last is None else rows.filter(pk__gt=last))
                .order_by("pk")
                .select_for_update(skip_locked=True, of=("self",))[:size]
            )
            gone = [row.pk for row in batch if rule.confirms is None or rule.confirms(row)]
            rows.model._default_manager.filter(pk__in=gone).delete()
        yield len(gone)
        if len(batch) < size:
            return
        last = batch[-1].pk
    logger.info("more %s are past their time: the next run goes on", rule.kind)
