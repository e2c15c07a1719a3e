"""Whose lists the hub fetches, and how far it has read them (hub/sync/pull_tasks.py does it)."""

from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from hub.db.leases import Leased
from hub.ocpi.party import PartyId


class PullRule(models.TextChoices):
    """Whether the hub fetches what a platform's parties do not push."""

    WHEN_SILENT = "WHEN_SILENT", "when the party does not push"
    ALWAYS = "ALWAYS", "always"
    NEVER = "NEVER", "never"


class PullState(models.TextChoices):
    """The state of fetching one party's list."""

    WAITING = "WAITING", "not begun"
    RUNNING = "RUNNING", "under way"
    FINISHED = "FINISHED", "finished"
    FAILED = "FAILED", "given up until it is due again"


class PullQuerySet(models.QuerySet["Pull"]):
    """Which lists are to be fetched."""

    def due(self, now: datetime) -> Self:
        """The lists that are due, of platforms that are to be asked, without a holder."""
        silent_since = now - timedelta(days=settings.PULL_SILENT_DAYS)
        is_silent = models.Q(pushed_at__isnull=True) | models.Q(pushed_at__lt=silent_since)
        is_wanted = models.Q(platform__pull_rule=PullRule.ALWAYS) | (
            models.Q(platform__pull_rule=PullRule.WHEN_SILENT)
            & (models.Q(state=PullState.RUNNING) | is_silent)
        )
        return self.filter(
            models.Q(is_requested=True) | is_wanted,
            models.Q(lease_until__isnull=True) | models.Q(lease_until__lte=Now()),
            due_at__lte=now,
            platform__registered_at__isnull=False,
        )


class Pull(Leased):
    """One party's list of one module, and how far the hub has read it.

    A run goes through the list page by page; `next_url` is committed with each page's objects, so
    that a run goes on where it was after any death. `high_water_mark` is the latest `last_updated`
    that a whole run has seen.
    """

    platform = models.ForeignKey("hub.Platform", on_delete=models.CASCADE, related_name="pulls")
    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    module = models.CharField(max_length=16)
    state = models.CharField(max_length=8, choices=PullState, default=PullState.WAITING)
    due_at = models.DateTimeField(default=timezone.now)
    woken_at = models.DateTimeField(null=True, blank=True)
    is_requested = models.BooleanField(default=False, help_text="An operator asked for it.")
    is_full_wanted = models.BooleanField(default=False)
    # When the party last pushed an object of this module by itself (hub/store/who_pushes.py).
    pushed_at = models.DateTimeField(null=True, blank=True)
    # --- The run under way, or the last one
    begun_at = models.DateTimeField(null=True, blank=True)
    date_from = models.DateTimeField(null=True, blank=True)
    next_url = models.CharField(max_length=2048, blank=True)
    seen_until = models.DateTimeField(null=True, blank=True)
    pages = models.PositiveIntegerField(default=0)
    stored = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    bad = models.PositiveIntegerField("not valid", default=0)
    foreign = models.PositiveIntegerField("of others", default=0)
    removed = models.PositiveIntegerField(default=0)
    over_quota = models.PositiveIntegerField(default=0, db_default=0)
    failures = models.PositiveSmallIntegerField(default=0, help_text="Since the last good page.")
    last_error = models.CharField(max_length=300, blank=True)
    # --- What earlier runs found
    high_water_mark = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    full_finished_at = models.DateTimeField(null=True, blank=True)

    objects = PullQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "country_code", "party_id", "module"], name="pull_once"
            )
        ]
        indexes = [models.Index(fields=["due_at"], name="pull_by_due")]

    def __str__(self) -> str:
        return f"{self.module} of {self.identity}"

    @property
    def identity(self) -> PartyId:
        """The party whose list it is."""
        return PartyId(self.country_code, self.party_id)

    @property
    def is_first(self) -> bool:
        """Whether no run has ended yet: what the first run finds is stored, and told to nobody."""
        return self.finished_at is None

    def begin(self, now: datetime, first_url: str) -> None:
        """Start a run: of all, or of what changed since the last one. Saves nothing."""
        whole_since = now - timedelta(days=settings.PULL_FULL_DAYS)
        self.date_from = None
        if (
            self.high_water_mark is not None
            and self.full_finished_at is not None
            and self.full_finished_at > whole_since
            and not self.is_full_wanted
        ):
            self.date_from = self.high_water_mark - timedelta(seconds=settings.PULL_OVERLAP)
        self.begun_at, self.seen_until, self.next_url = now, None, first_url
        self.pages = self.stored = self.unchanged = self.bad = self.foreign = self.removed = 0
        self.over_quota = 0
        self.state = PullState.RUNNING

    def finish(self, now: datetime, due_at: datetime, problem: str) -> None:
        """The list has ended; with a problem it was not whole, and is read again from then on.

        A `last_updated` ahead of the hub's clock would hide what comes after it. Saves nothing.
        """
        if not problem:
            if self.seen_until is not None and self.begun_at is not None:
                self.high_water_mark = min(self.seen_until, self.begun_at)
            if self.date_from is None:
                self.full_finished_at = now
        if self.date_from is None:
            self.is_full_wanted = False
        self.state, self.finished_at, self.due_at = PullState.FINISHED, now, due_at
        self.next_url, self.last_error = "", problem[:300]
        self.is_requested = self.is_full_wanted and self.is_requested
        if self.is_requested:  # for a full run, which this one was not
            self.due_at = now


class Untold(models.Model):
    """Objects of pulled lists that are kept, or gone, and that others have still to be told of.

    Written with the objects, and ended with the marks that it becomes (hub/sync/tell_pulled.py):
    whatever dies between the two, nothing is lost.
    """

    module = models.CharField(max_length=16)
    correlation_id = models.CharField(max_length=255)
    # No later than the `received_at` of any of them.
    since = models.DateTimeField()
    # [[method, owner, names in the URL, TokenType or "", who told it]]
    objects_told = models.JSONField()

    class Meta:
        verbose_name_plural = "untold"

    def __str__(self) -> str:
        return f"{len(self.objects_told)} {self.module}"
