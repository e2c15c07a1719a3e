"""Parties, and how each came to be one (credentials, CredentialsRole).

A party is a `country_code` and `party_id` in one role, on one platform; the operator's word is on
the party in its role.
"""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from hub.ocpi.datatypes import ConnectionStatus, Role
from hub.ocpi.party import PartyId


class Admission(models.TextChoices):
    """How a party in a role came here (docs/decisions/0020)."""

    INVITED = "INVITED", "invited by the operator"
    AGREED = "AGREED", "came uninvited, the operator agreed"
    TAKEN = "TAKEN", "came uninvited in an invited role, and was taken"
    CLAIMED = "CLAIMED", "came uninvited, waits for the operator"


# What the operator has not said a word about: lists of the console show it.
BEYOND_INVITATION = (Admission.TAKEN, Admission.CLAIMED)


class Party(models.Model):
    """`country_code` + `party_id` + `role` on one platform (credentials: CredentialsRole)."""

    platform = models.ForeignKey("hub.Platform", on_delete=models.CASCADE, related_name="parties")
    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    role = models.CharField(max_length=5, choices=[(r.value, r.value) for r in Role])
    name = models.CharField(max_length=100, blank=True)
    business_details = models.JSONField(default=dict, blank=True)
    # What is told to the others: worked out of the next four, of the platform's registration and of
    # whether it answers.
    status = models.CharField(
        max_length=9,
        choices=[(s.value, s.value) for s in ConnectionStatus],
        default=ConnectionStatus.PLANNED,
    )
    admission = models.CharField(
        "how it came",
        max_length=7,
        choices=Admission,
        default=Admission.INVITED,
        help_text="One that waits for the operator is PLANNED, told to nobody, and opens nothing.",
    )
    is_suspended = models.BooleanField(
        default=False, editable=False, help_text="By the operator; each role of the party is."
    )
    # In the credentials of its platform now; an invited one may not have come yet.
    is_named = models.BooleanField(default=True, editable=False)
    # The platform left it out of its credentials, or unregistered: SUSPENDED to the others, but
    # not by the operator, so that a new handshake may bring it back.
    is_withdrawn = models.BooleanField(default=False, editable=False)
    last_updated = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "parties"
        constraints = [
            models.UniqueConstraint(
                Upper("country_code"), Upper("party_id"), "role", name="party_role_once"
            ),
            # "The combination of country_code and party_id should always be unique", and routing
            # headers carry no role: one combination lives on one platform.
            ExclusionConstraint(
                name="party_on_one_platform",
                expressions=[
                    (Upper("country_code"), RangeOperators.EQUAL),
                    (Upper("party_id"), RangeOperators.EQUAL),
                    ("platform", RangeOperators.NOT_EQUAL),
                ],
            ),
        ]
        indexes = [models.Index(fields=["last_updated", "id"], name="party_by_last_updated")]

    def __str__(self) -> str:
        return f"{self.identity} {self.role}"

    @property
    def identity(self) -> PartyId:
        """The comparable form."""
        return PartyId(self.country_code.upper(), self.party_id.upper())

    @property
    def is_agreed(self) -> bool:
        """It takes part, or would if it were here."""
        return self.admission != Admission.CLAIMED

    @property
    def is_active(self) -> bool:
        """In the credentials of a registered platform, and wanted: the role is to be counted on."""
        return self.is_agreed and not self.is_withdrawn and self.status != ConnectionStatus.PLANNED

    def due_status(self, *, is_registered: bool, is_away: bool) -> ConnectionStatus:
        """The status that the rest of the row asks for."""
        if self.is_suspended or self.is_withdrawn:
            return ConnectionStatus.SUSPENDED
        if not (is_registered and self.is_named and self.is_agreed):
            return ConnectionStatus.PLANNED
        return ConnectionStatus.OFFLINE if is_away else ConnectionStatus.CONNECTED


def rows_of(identity: PartyId) -> "models.QuerySet[Party]":
    """A party in all its roles, however its names were spelt."""
    return Party.objects.filter(
        country_code__iexact=identity.country_code, party_id__iexact=identity.party_id
    )
