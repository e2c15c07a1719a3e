"""The hub's own commands to a session, each until it is taken (mod_charging_profiles, Receiver).

A ProfileCommand is one request; a HubCommand is what the hub wants, however often it has to ask
(docs/decisions/0037).
"""

from datetime import timedelta
from typing import Final

from django.db import models

from charging_profiles.models import ProfileCommand
from hub.db import leases
from hub.ocpi.party import PartyId
from sessions.models import Session


class Wish(models.TextChoices):
    """What the hub wants of a session's CPO."""

    ASK = "ASK", "to know the active profile"
    RELEASE = "RELEASE", "the session at its full rate"


class Step(models.TextChoices):
    """From DUE to one of the two ends."""

    DUE = "DUE", "to be sent"
    AT_CPO = "AT_CPO", "at the CPO"
    VERIFYING = "VERIFYING", "taken, being verified"
    DONE = "DONE", "done"
    FAILED = "FAILED", "given up"


OPEN: Final = (Step.DUE, Step.AT_CPO, Step.VERIFYING)


class HubCommand(models.Model):
    """One wish of the hub's own; the turn of each second takes it from step to step."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="hub_commands")
    wish = models.CharField(max_length=7, choices=Wish)
    why = models.CharField(max_length=300)
    # In whose name, and the epoch of the session's assignments when it was wanted.
    fsp_country_code = models.CharField(max_length=2)
    fsp_party_id = models.CharField(max_length=3)
    epoch = models.PositiveIntegerField(default=0)
    step = models.CharField(max_length=9, choices=Step, default=Step.DUE)
    # Of a GET: when the CPO must have been asked at the earliest.
    since = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    # The request that serves it now, also that of a party where a GET of its own was on its way.
    command = models.ForeignKey(
        ProfileCommand, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # Of a release: the means that this CPO did not take, and the GET that verifies what it took.
    refused_means = models.CharField(max_length=20, blank=True)
    verified_by = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    outcome = models.CharField(max_length=300, blank=True)
    # The operator has been told that it does not go as it should.
    is_told = models.BooleanField(default=False)
    asked_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "command of the hub's own"
        verbose_name_plural = "commands of the hub's own"
        constraints = [
            # A newer wish changes the one that waits.
            models.UniqueConstraint(
                fields=["session", "wish"],
                condition=models.Q(step=Step.DUE),
                name="one_hub_command_waits",
            ),
            models.UniqueConstraint(
                fields=["session"],
                condition=models.Q(wish=Wish.RELEASE, step__in=OPEN),
                name="one_release_at_a_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(step__in=OPEN), name="hub_command_open"
            ),
            models.Index(fields=["asked_at"], name="hub_command_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.wish}: {self.step}"

    @property
    def fsp(self) -> PartyId:
        """In whose name it is sent."""
        return PartyId(self.fsp_country_code.upper(), self.fsp_party_id.upper())

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self.step in OPEN

    def end(self, step: Step, outcome: str) -> None:
        """It has come to an end, and how."""
        self.step, self.outcome, self.ended_at = step, outcome[:300], leases.now()
        self.save(update_fields=["step", "outcome", "ended_at", "is_told", "attempts"])

    def again(self, seconds: float) -> None:
        """It is sent once more, after so many seconds."""
        self.step, self.due_at = Step.DUE, leases.now() + timedelta(seconds=seconds)
        self.save()

    def sent(self, command: ProfileCommand) -> None:
        """It has become a request, or one of another serves it."""
        self.step, self.command, self.attempts = Step.AT_CPO, command, self.attempts + 1
        self.save()


class WhyNot(models.TextChoices):
    """How a CPO was seen not to take a method."""

    NOT_SUPPORTED = "NOT_SUPPORTED", "it says so"
    IGNORED = "IGNORED", "it accepts, and the profile stays in force"


class NotTaken(models.Model):
    """A method of the ChargingProfiles Receiver that a CPO does not take."""

    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    method = models.CharField(max_length=6)
    why = models.CharField(max_length=13, choices=WhyNot)
    first_at = models.DateTimeField("first seen")
    last_at = models.DateTimeField("last seen")
    times = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name = "method that a CPO does not take"
        verbose_name_plural = "methods that CPOs do not take"
        constraints = [
            models.UniqueConstraint(
                fields=["country_code", "party_id", "method"], name="not_taken_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.country_code}-{self.party_id} {self.method}: {self.why}"
