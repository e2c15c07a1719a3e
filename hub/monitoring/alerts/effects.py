"""How often the effect of an accepted profile stays unknown: all that alerts ask of flex/."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from flex.knowledge.models import ProfileEffect
from flex.knowledge.verdicts import Effect


@dataclass(frozen=True, slots=True)
class Unknown:
    """Of one CPO ("NL-CPO"): profiles whose effect could be known, and those where it is not."""

    cpo: str
    all: int
    unknown: int


def unknown_by_cpo(since: datetime) -> Iterator[Unknown]:
    """Of profiles that were accepted since then."""
    counted = ProfileEffect.objects.filter(accepted_at__gte=since, is_counted=True)
    rows = (
        counted.order_by("cpo")
        .values("cpo")
        .annotate(all=Count("pk"), unknown=Count("pk", filter=Q(effect=Effect.UNKNOWN)))
    )
    for row in rows:
        yield Unknown(row["cpo"], row["all"], row["unknown"])
