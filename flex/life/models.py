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
    # NOT_SUPPORTED is "by the EVSE"; empty for all of the CPO's.
    evse_uid = models.CharField(max_length=255, blank=True)
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
                fields=["country_code", "party_id", "evse_uid", "method"], name="not_taken_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.country_code}-{self.party_id} {self.method}: {self.why}"


class Spacing(models.Model):
    """Seconds that a CPO wants between two commands, learned from TOO_OFTEN (spacing.py)."""

    class Of(models.TextChoices):
        """Between which commands."""

        CHANGE = "CHANGE", "PUT and DELETE"
        GET = "GET", "GET"

    class Within(models.TextChoices):
        """Counted within one session, or over all that the hub sends this CPO."""

        SESSION = "SESSION", "one session"
        CPO = "CPO", "all sessions"

    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    of = models.CharField(max_length=6, choices=Of)
    within = models.CharField(max_length=7, choices=Within)
    seconds = models.FloatField()
    refusals = models.PositiveIntegerField(default=1)
    refused_at = models.DateTimeField("last TOO_OFTEN")
    # Accepted commands up to then are counted in.
    looked_at = models.DateTimeField()

    class Meta:
        verbose_name = "spacing of commands"
        verbose_name_plural = "spacings of commands"
        constraints = [
            models.UniqueConstraint(
                fields=["country_code", "party_id", "of", "within"], name="one_spacing_of_a_kind"
            )
        ]

    def __str__(self) -> str:
        return f"{self.country_code}-{self.party_id}: {self.seconds:.1f} s between {self.of}"


class SteeredSession(models.Model):
    """What the hub looks after of a session that is or was steered (watching.py)."""

    session = models.OneToOneField(
        Session, on_delete=models.CASCADE, primary_key=True, related_name="steered"
    )
    # When it is to be looked at again; None: when something happens.
    due_at = models.DateTimeField(null=True, blank=True)
    # The newest change of a party's that was counted in.
    seen_command = models.BigIntegerField(default=0)
    # For which departure or preferences the hub has released it; once each.
    released_for = models.CharField(max_length=60, blank=True)
    # Since when its FSP owes an answer to what has happened.
    silent_since = models.DateTimeField(null=True, blank=True)
    silent_why = models.CharField(max_length=200, blank=True)
    # The CPO has said that it does not know it, and what the hub had heard of it last by then.
    unknown_since = models.DateTimeField(null=True, blank=True)
    heard_before = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "steered session"
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(due_at__isnull=False), name="steered_due"
            ),
            models.Index(
                fields=["silent_since"],
                condition=models.Q(silent_since__isnull=False),
                name="steered_silent",
            ),
        ]

    def __str__(self) -> str:
        return f"session {self.pk}"


class LookedUntil(models.Model):
    """Up to when the commands of parties were looked at, for what reads them in their order."""

    what = models.CharField(max_length=20, primary_key=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.what} until {self.until}"
