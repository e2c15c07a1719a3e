"""Keys of the flex API, and what drivers wish that OCPI has no field for (SCALE D2.3, 11.1)."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from flex.sites.models import Site as Site
from flex.sites.models import SiteLimit as SiteLimit
from flex.sites.models import SiteMember as SiteMember
from hub.models.versions import came_in
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from sessions.models import Session


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


class Wish(models.Model):
    """What the driver of a session wishes that OCPI has no field for, as the app told it last."""

    session = models.OneToOneField(Session, on_delete=models.CASCADE, related_name="wish")
    # Names and units of `objects.Wishes`; what is null is not wished.
    wishes = models.JSONField()
    told_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "wish"
        verbose_name_plural = "wishes"

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.wishes.items())


class PreparedState(models.TextChoices):
    """From WAITING to one of the ends."""

    WAITING = "WAITING", "waiting for its session"
    DUE = "DUE", "to be sent to the CPO"
    SENDING = "SENDING", "at the CPO"
    ANSWERED = "ANSWERED", "answered by the CPO"
    REPLACED = "REPLACED", "replaced by later ones"
    WITHDRAWN = "WITHDRAWN", "withdrawn"
    EXPIRED = "EXPIRED", "expired"
    ENDED = "ENDED", "the session ended before"


class Prepared(models.Model):
    """Preferences that were given before their session is known (ocpi/ocpi#378)."""

    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    # Of which session: the next of this token, or the one of this authorization_reference.
    token_uid = models.CharField(max_length=36, blank=True)
    token_type = models.CharField(max_length=40, blank=True)
    authorization_reference = models.CharField(max_length=36, blank=True)
    # The ChargingPreferences as they will be PUT, and the wishes beside them.
    document = models.BinaryField()
    ocpi_version = came_in()
    wishes = models.JSONField(default=dict)
    made_by = models.CharField(max_length=12)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=PreparedState, default=PreparedState.WAITING)
    # Sessions up to this one were looked at.
    looked_to = models.BigIntegerField(default=0)
    session = models.ForeignKey(
        Session, on_delete=models.SET_NULL, null=True, blank=True, related_name="prepared"
    )
    # When it is sent next; while it is at the CPO, when that counts as given up.
    due_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=400, blank=True)
    cpo_http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    cpo_status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    cpo_answer = models.CharField(max_length=40, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "prepared preferences"
        verbose_name_plural = "prepared preferences"
        constraints = [
            models.CheckConstraint(
                name="prepared_for_a_session",
                condition=~models.Q(token_uid="") ^ ~models.Q(authorization_reference=""),
            )
        ]
        indexes = [
            models.Index(
                fields=["state"],
                condition=models.Q(state__in=["WAITING", "DUE", "SENDING"]),
                name="prepared_open",
            ),
            models.Index(Upper("country_code"), Upper("party_id"), "id", name="prepared_of_emsp"),
            models.Index(fields=["created_at"], name="prepared_by_age"),
        ]

    def __str__(self) -> str:
        return f"of {self.emsp}: {self.state}"

    @property
    def emsp(self) -> PartyId:
        """Whose driver's they are."""
        return PartyId(self.country_code.upper(), self.party_id.upper())
