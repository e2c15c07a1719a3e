"""A turn over many items, of which one that fails keeps none of the others waiting."""

import logging
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any, TypeVar

from django.db import transaction

logger = logging.getLogger(__name__)
_Item = TypeVar("_Item")


def each(
    items: Iterable[_Item], go_on: Callable[[_Item], Any], *, is_atomic: bool = True
) -> list[_Item]:
    """Do it for each in a transaction of its own; one that fails is logged, and comes again.

    Those are returned: where a turn takes so many at a time, they go behind the others. What ends
    transactions itself is not atomic.
    """
    failed = []
    for item in items:
        try:
            with transaction.atomic() if is_atomic else nullcontext():
                go_on(item)
        except Exception:
            # The boundary of one item: it must not keep all others from their turn.
            logger.exception("%s of %s failed", go_on.__qualname__, item)
            failed.append(item)
    return failed
