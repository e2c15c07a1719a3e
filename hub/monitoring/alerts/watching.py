"""Looks whether rules are broken: begins alerts, and ends those that are over.

Safe to run twice and side by side: a rule's row is locked while it is looked at, and an alert that
is open is open once (docs/decisions/0044).
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from hub.db.one_by_one import each
from hub.monitoring.alerts.conditions import Finding, find, is_looked_at
from hub.monitoring.alerts.models import Alert, Event, Notice, Rule, Target

logger = logging.getLogger(__name__)
# A hub that loses its own network finds all its parties away: nobody reads 500 messages.
MOST_ALERTS: Final = 20
OTHERS: Final = "others"
KEPT: Final = timedelta(days=90)
# Nobody has looked for so long: the hub was not running.
GAP: Final = timedelta(seconds=60)


def watch() -> None:
    """Look at every rule once; one that cannot be looked at keeps no other from its turn."""
    each(Rule.objects.order_by("pk").values_list("pk", flat=True), _look, is_atomic=False)
    Alert.objects.filter(ended_at__lt=timezone.now() - KEPT).delete()


@transaction.atomic
def _look(pk: int) -> None:
    rule = Rule.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
    if rule is None:
        return  # Somebody else looks, or it is gone.
    now = timezone.now()
    if rule.looked_at is None or rule.looked_at < now - GAP:
        rule.watched_since = now
    rule.looked_at = now
    rule.save(update_fields=["watched_since", "looked_at"])
    open_now = {one.subject: one for one in rule.alerts.filter(ended_at__isnull=True)}
    found = _few(find(rule), open_now) if rule.is_on else {}
    for subject, finding in found.items():
        if (alert := open_now.get(subject)) is not None:
            alert.seen_at, alert.summary = now, finding.summary[:300]
            alert.save(update_fields=["seen_at", "summary"])
        else:
            _begin(rule, finding, now)
    for subject, alert in open_now.items():
        is_well = subject not in found and (not rule.is_on or is_looked_at(rule, subject))
        if is_well and (not rule.is_on or _is_over(rule, alert, now)):
            _end(rule, alert, now)


def _few(found: Mapping[str, Finding], open_now: Mapping[str, Alert]) -> dict[str, Finding]:
    """Those that are told already, and so many more; of the rest the number is told."""
    known = {subject: one for subject, one in found.items() if subject in open_now}
    new = [subject for subject in found if subject not in open_now]
    room = max(MOST_ALERTS - len(known), 0)
    kept = known | {subject: found[subject] for subject in new[:room]}
    if left := len(new) - len(new[:room]):
        kept[OTHERS] = Finding(OTHERS, f"{left} more of the same kind.")
    return kept


def _is_over(rule: Rule, alert: Alert, now: datetime) -> bool:
    return alert.seen_at <= now - timedelta(seconds=rule.ends_after)


def _begin(rule: Rule, finding: Finding, now: datetime) -> None:
    alert = Alert.objects.create(
        rule=rule,
        subject=finding.subject,
        summary=finding.summary[:300],
        began_at=now,
        seen_at=now,
    )
    logger.warning("alert %s began: %s", rule, alert.summary)
    _notify(alert, Event.BEGAN)


def _end(rule: Rule, alert: Alert, now: datetime) -> None:
    alert.ended_at = now
    alert.save(update_fields=["ended_at"])
    logger.warning("alert %s ended: %s", rule, alert.summary)
    # Its end says when it began.
    alert.notices.filter(told_at__isnull=True, withdrawn="").update(
        withdrawn="It was over before it could be told."
    )
    _notify(alert, Event.ENDED)


def _notify(alert: Alert, event: Event) -> None:
    targets = Target.objects.filter(is_on=True)
    if alert.rule.targets.exists():
        targets = targets.filter(rules=alert.rule)
    Notice.objects.bulk_create(
        [Notice(alert=alert, target=target, event=event) for target in targets],
        ignore_conflicts=True,
    )
