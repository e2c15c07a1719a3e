"""What happened to the flexibility of a session, and why: one line each (SCALE D2.3, 11.4).

Written in the transaction of what it tells, so that it says neither more nor less than happened.
The console shows it with the session; the flex API gives it as changes behind a cursor.
"""

import json
from typing import Any

from django.db import models

from hub.db import sql


class Topic(models.TextChoices):
    """What a line is about."""

    ASSIGNMENT = "ASSIGNMENT", "who is FSP"
    COMMAND = "COMMAND", "a charging profile on its way"
    RELEASE = "RELEASE", "the session released by the hub"
    PREFERENCES = "PREFERENCES", "what the driver asks"
    BOUND = "BOUND", "what limits the session"
    EFFECT = "EFFECT", "what a profile has done"
    SITE = "SITE", "the limit of the site"


def note(session: int, topic: Topic, reason: str, **detail: Any) -> None:
    """Write a line of the session; `detail` is JSON with names that stay, for the flex API."""
    sql.run(
        "INSERT INTO flex_journalentry (session_id, topic, reason, detail, xid, written_at) "
        "VALUES (%s, %s, %s, %s::jsonb, pg_current_xact_id()::text::bigint, clock_timestamp())",
        (session, topic, reason[:400], json.dumps(detail, default=str)),
    )


def noted(row: str, *, topic: str, reason: str, detail: str) -> str:
    """A statement that does as `note` for each row that names its `session_id` (SQL)."""
    return (
        "INSERT INTO flex_journalentry (session_id, topic, reason, detail, xid, written_at) "  # noqa: S608 - names of ours
        f"SELECT {row}.session_id, {topic}, left({reason}, 400), {detail}, "
        f"pg_current_xact_id()::text::bigint, clock_timestamp() FROM {row}"
    )
