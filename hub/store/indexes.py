"""The indexes that each table of stored objects has, whichever module's it is."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models


def of_stored(name: str) -> list[models.Index]:
    """What lists, replays and the objects for one party alone are found by; `name` begins each."""
    return [
        models.Index(fields=["last_updated"], name=f"{name}_by_last_updated"),
        # What came since a time (hub/sync/replay.py).
        BrinIndex(
            fields=["received_at"],
            name=f"{name}_by_arrival",
            autosummarize=True,
            pages_per_range=8,
        ),
        models.Index(
            fields=["audience"], condition=~models.Q(audience=""), name=f"{name}_variants"
        ),
        models.Index(
            fields=["told_by"], condition=~models.Q(told_by=""), name=f"{name}_told_by_others"
        ),
        # Counts and offsets of long lists without a look at the documents.
        models.Index(
            fields=["id"], include=["owner", "audience", "last_updated"], name=f"{name}_list"
        ),
    ]
