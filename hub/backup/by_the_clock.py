"""Backups by the clock: one when it is due, into its place, and the old ones out of it.

A turn of the queue `upkeep` looks each minute. One that fails is told, written down, and tried
again after an hour.
"""

import logging
import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from hub.backup import dump, places, sealed
from hub.backup.archive import BackupError
from hub.models import Backup

logger = logging.getLogger(__name__)
TRY_AGAIN: Final = timedelta(hours=1)
# Whatever their age: a hub whose clock or timer is wrong for long must not lose its last ones.
ALWAYS_KEPT: Final = 3
# Rows tell more than files do, and are small.
_UNFINISHED: Final = "it has not come to its end"
_LEFT_AFTER: Final = 86_400.0  # seconds
_ROWS_KEPT: Final = timedelta(days=400)


@shared_task(name="backup.make_due")
def make_due() -> None:
    """Make a backup when it is time for one."""
    if settings.BACKUP_TO and is_due():
        try:
            make()
        except BackupError as error:
            logger.error("no backup: %s", error)


def is_due() -> bool:
    """Whether the last good one is old enough, and no attempt is recent."""
    now, every = timezone.now(), timedelta(seconds=settings.BACKUP_EVERY)
    good = Backup.objects.filter(ended_at__isnull=False, problem="", begun_at__gt=now - every)
    # Also one that was killed has begun, and has no end.
    recent = Backup.objects.filter(begun_at__gt=now - min(TRY_AGAIN, every))
    return not good.exists() and not recent.exists()


def make() -> Backup:
    """Make one now, and then remove what is past its time; BackupError when there is none."""
    begun_at = timezone.now()
    # Bad until it is known to be good, whatever ends it.
    noted = Backup.objects.create(begun_at=begun_at, problem=_UNFINISHED)
    try:
        place, name = places.place(), places.name_of(begun_at)
        noted.where = f"{place.title}/{name}"
        noted.size = _put(place, name)
        noted.problem = ""
    except BackupError as error:
        noted.problem = str(error)
        raise
    finally:
        noted.ended_at = timezone.now()
        noted.save()
    logger.info("backup: %s", noted)
    forget_old(place)
    return noted


def _put(place: places.Place, name: str) -> int:
    """First whole on a disk of ours: a part that a store does not take is sent again from there."""
    spool = Path(settings.FLEXHUB_DATA)
    try:
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear(spool)
        with tempfile.TemporaryDirectory(prefix="backup-", dir=spool) as folder:
            file = Path(folder, name)
            dump.make(file)
            if settings.BACKUP_AGE_RECIPIENT:
                file = sealed.seal(file, settings.BACKUP_AGE_RECIPIENT)
            size = file.stat().st_size
            place.put(file, name)
            return size
    except OSError as error:
        raise BackupError(f"{error.filename or spool}: {error.strerror or error}") from None


def _clear(spool: Path) -> None:
    """What a killed process has left, and nobody writes any more."""
    for left in spool.glob("backup-*"):
        if left.is_dir() and time.time() - left.stat().st_mtime > _LEFT_AFTER:
            shutil.rmtree(left)


def forget_old(place: places.Place) -> list[str]:
    """Remove what is older than BACKUPS_KEPT_DAYS, except the last three; their names."""
    Backup.objects.filter(begun_at__lt=timezone.now() - _ROWS_KEPT).delete()
    if not settings.BACKUPS_KEPT_DAYS:
        return []
    oldest = timezone.now() - timedelta(days=settings.BACKUPS_KEPT_DAYS)
    past = []
    for kept in place.listed()[:-ALWAYS_KEPT]:
        moment = places.time_of(kept.name)
        if moment is not None and moment < oldest:
            place.remove(kept.name)
            past.append(kept.name)
    if past:
        logger.info("%s backups are past their time and removed from %s", len(past), place.title)
    return past
