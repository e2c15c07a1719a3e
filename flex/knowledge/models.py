"""What accepted profiles have done, one row each (flex/knowledge/effect.py judges)."""

from typing import Final

from django.db import models

from charging_profiles.models import ProfileCommand
from flex.knowledge.verdicts import Effect
from sessions.models import Session

LABELS: Final = {
    Effect.IN_FORCE: "in force",
    Effect.LIMITED: "limited by something else",
    Effect.NOTHING: "accepted, but nothing happened",
    Effect.UNKNOWN: "not known yet",
}


class ProfileEffect(models.Model):
    """What became of one PUT that its CPO has accepted. Ends with its command or session."""

    command = models.OneToOneField(
        ProfileCommand, on_delete=models.CASCADE, primary_key=True, related_name="effect"
    )
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="profile_effects")
    # "NL-CPO".
    cpo = models.CharField("CPO", max_length=6)
    effect = models.CharField(
        max_length=8,
        choices=[(one.value, LABELS[one]) for one in Effect],
        default=Effect.UNKNOWN.value,
    )
    because = models.CharField(max_length=200, blank=True, default="")
    limited_by = models.CharField(max_length=100, blank=True, default="")
    # Who holds the car back: "profile", "car", or nobody as far as it is known.
    pause = models.CharField(max_length=7, blank=True, default="")
    accepted_at = models.DateTimeField()
    # When its effect was first known; and whether it could have been: it is, or two metering
    # intervals have ended while it held.
    known_at = models.DateTimeField(null=True, blank=True)
    is_counted = models.BooleanField(default=False)
    # The hub has asked for the active profile by itself, since nobody else had.
    is_asked = models.BooleanField(default=False)
    # The keys of contradictions that are in the journal already.
    noted = models.JSONField(default=list)
    # When it is looked at again; None: never, it has been replaced or its session is over.
    due_at = models.DateTimeField(null=True, blank=True)
    # What had been told by then is counted in.
    looked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "effect of a profile"
        verbose_name_plural = "effects of profiles"
        indexes = [
            models.Index(
                fields=["due_at"],
                name="effect_due",
                condition=models.Q(due_at__isnull=False),
            ),
            models.Index(fields=["cpo", "accepted_at"], name="effect_of_cpo"),
            models.Index(fields=["session", "-accepted_at"], name="effect_of_session"),
        ]

    def __str__(self) -> str:
        return LABELS[Effect(self.effect)]
