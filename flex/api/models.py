"""Keys of the flex API, and what drivers wish that OCPI has no field for (SCALE D2.3, 11.1)."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from flex.sites.models import Site as Site
from flex.sites.models import SiteLimit as SiteLimit
from flex.sites.models import SiteMember as SiteMember
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId


class KeyKind(models.TextChoices):
    """Whose key it is."""

    PARTY = "PARTY", "a party's back-end"
    DRIVER = "DRIVER", "one driver's app"


class Use(models.TextChoices):
    """What a key of a party opens."""

    FSP = "FSP", "sessions that it is flexibility provider of"
    EMSP = "EMSP", "sessions of its drivers"
    CPO = "CPO", "its sites"


class ApiKey(models.Model):
    """A key of the flex API; the secret itself is shown once and kept by nobody here."""

    # What each use asks of the party itself; any party may be flexibility provider.
    ROLES: ClassVar = {Use.EMSP: Role.EMSP, Use.CPO: Role.CPO}

    kind = models.CharField(max_length=6, choices=KeyKind, default=KeyKind.PARTY)
    # The part of it that may be seen, by which people speak of it; and a hash of the whole.
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.BinaryField(unique=True)
    name = models.CharField(max_length=100, blank=True)
    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    uses = ArrayField(models.CharField(max_length=4, choices=Use), default=list)
    # Of a driver's key: the token, and the key of the eMSP's back-end that minted it.
    token_uid = models.CharField(max_length=36, blank=True)
    token_type = models.CharField(max_length=40, blank=True)
    minted_by = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="minted"
    )
    made_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                name="key_of_a_driver_is_whole",
                condition=models.Q(kind="PARTY", token_uid="", minted_by=None)
                | (
                    models.Q(kind="DRIVER", minted_by__isnull=False, expires_at__isnull=False)
                    & ~models.Q(token_uid="")
                ),
            )
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], condition=models.Q(kind="DRIVER"), name="driver_key_by_age"
            )
        ]

    def __str__(self) -> str:
        return f"{self.prefix} of {self.party}"

    @property
    def party(self) -> PartyId:
        """The party that it was given to."""
        return PartyId(self.country_code.upper(), self.party_id.upper())

    @property
    def is_over(self) -> bool:
        """Whether it has expired or was revoked."""
        has_expired = self.expires_at is not None and self.expires_at <= timezone.now()
        return has_expired or self.revoked_at is not None
