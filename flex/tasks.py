"""By the clock: what follows what has happened to the flexibility of sessions."""

import logging
from typing import Final

from celery import shared_task

from flex import changed, hub_commands
from flex.api import preparing
from flex.life import following, means, spacing, watching
from flex.sites import watch
from flex.switching import turn
from flex.switching import watch as failures

logger = logging.getLogger(__name__)
_PARTS: Final = (
    following.follow_all,
    watching.take,
    failures.take,
    turn.take,
    hub_commands.advance,
    spacing.forget_what_was_not_needed,
    means.unlearn,
)


@shared_task(name="flex.advance")
def advance() -> None:
    """One turn of each part of the layer that has something due. Safe to run twice.

    One that fails keeps none of the others from its turn; then the task fails with what it said.
    """
    failed = []
    for part in _PARTS:
        try:
            part()
        except Exception as error:
            logger.exception("%s.%s failed", part.__module__, part.__name__)
            failed.append(error)
    if failed:
        raise failed[0]


@shared_task(name="flex.watch_sites")
def watch_sites() -> None:
    """Look whether what is in force keeps the limits of sites. Safe to run twice."""
    watch.watch()


@shared_task(name="flex.reconsider_changed")
def reconsider_changed() -> None:
    """Choose again for the sessions that a changed word is about. Safe to run twice."""
    changed.reconsider_changed()


@shared_task(name="flex.look_for_prepared")
def look_for_prepared() -> None:
    """Preferences that were given before their session: find it, and have them sent."""
    preparing.advance()


@shared_task(name="preferences.send_prepared")
def send_prepared(pk: int) -> None:
    """Send one to its CPO. Safe to run twice: only one that was claimed is sent."""
    preparing.send(pk)
