"""The order in which rows are read that came, or changed, since a time (GET List; Replay)."""

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models
from django.utils import timezone

# Little has changed in this time, however much there is.
LATELY: Final = timedelta(days=7)


def by_row(
    rows: "models.QuerySet[Any]", since: datetime | None, *, is_begun: bool
) -> "models.QuerySet[Any]":
    """The rows in the order of their numbers; `since` is the time of the filter, if any.

    The first of what has changed lately are found by the time, and sorted: the database would
    rather walk through all rows by their numbers, for it expects to meet some soon, where they are
    the last. Whoever has begun goes on from there.
    """
    if since is not None and not is_begun and timezone.now() - since < LATELY:
        return rows.order_by(models.F("id") + 0)
    return rows.order_by("id")
