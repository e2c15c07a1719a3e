"""JournalEntry: what happened to a session's flexibility (SCALE D2.3, 11.4)."""

from django.db import models

from flex.journal import Topic
from sessions.models import Session


class JournalEntry(models.Model):
    """One line of what happened to a session's flexibility, and why (journal.py writes it)."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="journal")
    topic = models.CharField(max_length=11, choices=Topic)
    reason = models.CharField(max_length=400)
    detail = models.JSONField(default=dict)
    # Of the transaction that wrote it: a reader behind a cursor skips none that commits later.
    xid = models.BigIntegerField()
    written_at = models.DateTimeField()

    class Meta:
        verbose_name = "line of the journal"
        verbose_name_plural = "journal"
        indexes = [
            models.Index(fields=["session", "-id"], name="journal_of_session"),
            models.Index(fields=["xid", "id"], name="journal_cursor"),
            models.Index(fields=["written_at"], name="journal_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.topic}: {self.reason}"
