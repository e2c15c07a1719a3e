"""What became of backups: the last one, and whether it is too old; for alerts and the console."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from hub.models import Backup

# One that should come each day may take a while, and fail once, before anybody is told.
TOLERATED: Final = 2.0  # times BACKUP_EVERY


@dataclass(frozen=True, slots=True)
class Last:
    """The last good backup, and what went wrong since.

    `at` (UTC) is when it was begun: as of then the database is in it. None: there is none.
    `is_expected` says that BACKUP_TO is set; without it nobody need have made one here, and nothing
    is too old. `too_old_at` is from when on the last one is too old.
    """

    at: datetime | None
    where: str
    size: int
    problem: str
    is_expected: bool
    too_old_at: datetime | None

    @property
    def is_too_old(self) -> bool:
        """Whether somebody has to be told."""
        return self.too_old_at is not None and timezone.now() >= self.too_old_at


def last() -> Last:
    """One or two small queries; whatever made the backup, command or clock."""
    good = Backup.objects.filter(ended_at__isnull=False, problem="").order_by("-begun_at").first()
    since = Backup.objects.exclude(problem="").filter(ended_at__isnull=False)
    if good is not None:
        since = since.filter(begun_at__gt=good.begun_at)
    bad = since.order_by("-begun_at").first()
    return Last(
        at=good.begun_at if good else None,
        where=good.where if good else "",
        size=good.size if good else 0,
        problem=bad.problem if bad else "",
        is_expected=bool(settings.BACKUP_TO),
        too_old_at=_too_old_at(good),
    )


def _too_old_at(good: Backup | None) -> datetime | None:
    if not settings.BACKUP_TO:
        return None
    if good is not None:
        return good.begun_at + timedelta(seconds=TOLERATED * settings.BACKUP_EVERY)
    # A new hub gets the same time, from the first attempt on; one that never tried is late now.
    first = Backup.objects.order_by("begun_at").first()
    begun = first.begun_at if first else timezone.now() - timedelta(seconds=1)
    return begun + timedelta(seconds=TOLERATED * settings.BACKUP_EVERY if first else 0)
