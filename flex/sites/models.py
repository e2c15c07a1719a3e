"""A site of a CPO: Locations or EVSEs behind one grid connection (SCALE D2.3, 8.4).

Its limit is in W in all, or in A of each phase, as its CPO says; one is never made of the other.
"""

from typing import Final

from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from charging_profiles.objects import ChargingRateUnit
from hub.ocpi.party import PartyId
from sessions.models import Session


class Site(models.Model):
    """A group of EVSEs with a limit of its own; a CPO may have several, also one in another."""

    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    # The CPO's own name of it.
    name = models.CharField(max_length=64)
    # Whether a PUT of a charging profile that breaks the limit is answered with REJECTED.
    rejects_breaches = models.BooleanField("reject profiles that break the limit", default=False)
    created_at = models.DateTimeField(default=timezone.now)
    # What was looked at last (watch.py), and the breach that was found, which is told once.
    seen = models.CharField(max_length=64, blank=True, editable=False)
    looked_at = models.DateTimeField(null=True, blank=True, editable=False)
    breach = models.JSONField(null=True, blank=True, editable=False)

    class Meta:
        app_label = "flex_api"
        constraints = [
            models.UniqueConstraint(
                Upper("country_code"), Upper("party_id"), Upper("name"), name="site_once"
            )
        ]
        indexes = [
            # Asked for each PUT of a charging profile.
            models.Index(
                Upper("country_code"),
                Upper("party_id"),
                condition=models.Q(rejects_breaches=True),
                name="site_that_rejects",
            )
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.name}"

    @property
    def owner(self) -> PartyId:
        """The CPO."""
        return PartyId(self.country_code.upper(), self.party_id.upper())

    @classmethod
    def of(cls, cpo: PartyId) -> "models.QuerySet[Site]":
        """The sites of a CPO."""
        return cls.objects.filter(
            country_code__iexact=cpo.country_code, party_id__iexact=cpo.party_id
        )

    @classmethod
    def around(cls, session: Session) -> "list[Site]":
        """The sites that a session is in, by its Location and EVSE."""
        return list(cls.of(session.owner).filter(members__in=SiteMember.of(session)).distinct())


class SiteMember(models.Model):
    """A Location of a site, or one EVSE of it; without an EVSE all of it."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="members")
    location_id = models.CharField(max_length=36)
    evse_uid = models.CharField(max_length=36, blank=True)

    class Meta:
        app_label = "flex_api"
        constraints = [
            models.UniqueConstraint(
                "site", Upper("location_id"), Upper("evse_uid"), name="site_member_once"
            )
        ]
        indexes = [models.Index(Upper("location_id"), name="site_by_location")]

    def __str__(self) -> str:
        return " ".join(part for part in (self.location_id, self.evse_uid) if part)

    @classmethod
    def of(cls, session: Session) -> "models.QuerySet[SiteMember]":
        """Those that a session is at; of whatever CPO."""
        return cls.objects.filter(
            models.Q(evse_uid="") | models.Q(evse_uid__iexact=session.evse_uid),
            location_id__iexact=session.location_id,
        )


class SiteLimit(models.Model):
    """The limit of a site over time, as it was told last in this unit; earlier ones are kept.

    `periods` are `{"start": moment, "limit": number}` in their order; before the first of them, and
    where a limit is null, there is none; the last one lasts until another list is told.
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="limits")
    unit = models.CharField(max_length=1, choices=[(u.value, u.value) for u in ChargingRateUnit])
    periods = models.JSONField()
    told_by = models.CharField(max_length=100)
    told_at = models.DateTimeField(default=timezone.now)
    is_current = models.BooleanField(default=True)

    class Meta:
        app_label = "flex_api"
        constraints = [
            models.UniqueConstraint(
                fields=["site", "unit"],
                condition=models.Q(is_current=True),
                name="one_current_limit_of_a_unit",
            )
        ]

    def __str__(self) -> str:
        return f"{len(self.periods)} periods in {self.unit}"


MOST_PERIODS: Final = 1_000
MOST_MEMBERS: Final = 1_000
