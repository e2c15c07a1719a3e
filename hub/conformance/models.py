"""Checks that were made, and the results that parties post while one runs."""

from secrets import token_urlsafe
from typing import Self

import msgspec
from django.db import models
from django.utils import timezone

from hub.models import Platform
from hub.ocpi.party import PartyId
from party.check.findings import Finding, Outcome

KEPT = 20


class ConformanceCheck(models.Model):
    """One check of one party; waiting until a worker begins it, then running, then ended."""

    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="checks")
    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    is_pushing = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    began_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=300, blank=True)
    findings = models.JSONField(default=list, blank=True)
    passed = models.PositiveSmallIntegerField(default=0)
    failed = models.PositiveSmallIntegerField(default=0)
    not_tried = models.PositiveSmallIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(
                fields=["country_code", "party_id", "-created_at"], name="check_of_party_latest"
            )
        ]

    def __str__(self) -> str:
        return f"{self.identity} on {self.created_at:%d %b at %H:%M}"

    @property
    def identity(self) -> PartyId:
        """Who was checked."""
        return PartyId(self.country_code, self.party_id)

    @property
    def summary(self) -> str:
        """For people."""
        if self.problem:
            return self.problem
        if self.ended_at is None:
            return "is running" if self.began_at else "waits for a worker"
        return f"{self.passed} passed, {self.failed} failed, {self.not_tried} not tried"

    @property
    def all_findings(self) -> list[Finding]:
        """As they were found."""
        return msgspec.convert(self.findings, list[Finding])

    @classmethod
    def of(cls, party: PartyId) -> models.QuerySet[Self]:
        """All of one party, the latest first."""
        return cls.objects.filter(
            country_code__iexact=party.country_code, party_id__iexact=party.party_id
        ).order_by("-created_at", "-id")

    def begin(self) -> bool:
        """Claim it; False when another worker has it already."""
        now = timezone.now()
        claimed = ConformanceCheck.objects.filter(pk=self.pk, began_at__isnull=True)
        self.began_at = now
        return bool(claimed.update(began_at=now))

    def end(self, findings: list[Finding], problem: str = "") -> None:
        """Keep what was found, and forget the oldest checks of this party."""
        count = dict.fromkeys(Outcome, 0)
        for finding in findings:
            count[finding.outcome] += 1
        self.findings = msgspec.to_builtins(findings)
        self.passed, self.failed = count[Outcome.PASSED], count[Outcome.FAILED]
        self.not_tried = count[Outcome.NOT_TRIED]
        self.problem = problem[:300]
        self.ended_at = timezone.now()
        self.save()
        ended = ConformanceCheck.of(self.identity).filter(ended_at__isnull=False)
        kept = [self.pk, *ended.values_list("pk", flat=True)[:KEPT]]
        ended.exclude(pk__in=kept).delete()


def _new_key() -> str:
    return token_urlsafe(24)


class AwaitedResult(models.Model):
    """A `response_url` that a check has given out, and what was posted to it."""

    key = models.CharField(max_length=32, primary_key=True, default=_new_key)
    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    # Some drop it when they call back.
    query = models.CharField(max_length=100, blank=True)
    body = models.BinaryField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.key[:6]}…"

    @property
    def content(self) -> bytes:
        """The body; empty until one was posted."""
        return bytes(self.body or b"")
