"""The order of locks of the hub's own commands, and one item that fails beside all others.

Session (shared, so that it stays), then the name of its commands, then rows of this room. Whoever
has the Session's row already takes the name after it, too.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.db import transaction

from hub.db import leases, sql

logger = logging.getLogger(__name__)
_Item = TypeVar("_Item")


def lock(session: int) -> None:
    """Nobody else changes the hub's own commands of a session until the transaction ends."""
    sql.run("SELECT FROM ocpi_sessions_session WHERE id = %s FOR KEY SHARE", (session,))
    leases.lock_name(f"hub command {session}")


def each(items: Iterable[_Item], go_on: Callable[[_Item], Any]) -> list[_Item]:
    """Do it for each in a transaction of its own; one that fails is logged, and comes again.

    Those are returned: where a turn takes so many at a time, they go behind the others.
    """
    failed = []
    for item in items:
        try:
            with transaction.atomic():
                go_on(item)
        except Exception:
            # The boundary of one item: it must not keep all others from their turn.
            logger.exception("%s of %s failed", go_on.__qualname__, item)
            failed.append(item)
    return failed
