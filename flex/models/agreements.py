"""FlexAgreement: who may act as flexibility provider, for whom (SCALE D2.3, 8.4 and 11.1)."""

from typing import Final

from django.db import models
from django.utils import timezone

from flex.choice import Choice
from hub.db import sql
from hub.ocpi.party import PartyId
from sessions.models import Session


class FlexAgreement(models.Model):
    """Who may act as FSP, for which CPO, eMSP, token or location; what is empty fits all."""

    fsp_country_code = models.CharField("FSP country code", max_length=2)
    fsp_party_id = models.CharField("FSP party id", max_length=3)
    cpo_country_code = models.CharField("CPO country code", max_length=2, blank=True)
    cpo_party_id = models.CharField("CPO party id", max_length=3, blank=True)
    emsp_country_code = models.CharField("eMSP country code", max_length=2, blank=True)
    emsp_party_id = models.CharField("eMSP party id", max_length=3, blank=True)
    token_uid = models.CharField(max_length=36, blank=True)
    location_id = models.CharField(max_length=36, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "flexibility agreement"
        constraints = [
            models.CheckConstraint(
                name="flex_agreement_names_somebody",
                condition=~models.Q(cpo_party_id="", emsp_party_id=""),
                violation_error_message="Name the CPO or the eMSP that this agreement is for.",
            ),
            models.CheckConstraint(
                name="flex_agreement_token_needs_emsp",
                condition=models.Q(token_uid="") | ~models.Q(emsp_party_id=""),
                violation_error_message="A token is one of an eMSP: name it.",
            ),
            models.CheckConstraint(
                name="flex_agreement_location_needs_cpo",
                condition=models.Q(location_id="") | ~models.Q(cpo_party_id=""),
                violation_error_message="A location is one of a CPO: name it.",
            ),
            models.UniqueConstraint(
                fields=[
                    "cpo_country_code",
                    "cpo_party_id",
                    "emsp_country_code",
                    "emsp_party_id",
                    "token_uid",
                    "location_id",
                ],
                condition=models.Q(is_active=True),
                name="flex_agreement_one_fsp_per_scope",
                violation_error_message="Another FSP already has an active agreement for this.",
            ),
        ]

    def __str__(self) -> str:
        scope = [
            f"{self.cpo_country_code}-{self.cpo_party_id}" if self.cpo_party_id else "",
            f"{self.emsp_country_code}-{self.emsp_party_id}" if self.emsp_party_id else "",
            "a token" if self.token_uid else "",
            f"location {self.location_id}" if self.location_id else "",
        ]
        return f"{self.fsp} for {', '.join(part for part in scope if part)}"

    @property
    def fsp(self) -> PartyId:
        """The party that may act."""
        return PartyId(self.fsp_country_code.upper(), self.fsp_party_id.upper())

    def choice(self, session: Session) -> Choice:
        """What it says of a session that it fits."""
        return Choice.of_party(self.fsp, session.emsp, f"agreement {self.pk}: {self}")

    @classmethod
    def for_session(cls, session: Session) -> "FlexAgreement | None":
        """The agreement that decides, or None."""
        found = sql.rows(cls, _FOR_SESSION, [getattr(session, name) for name in _SCOPE.values()])
        return found[0] if found else None


def fits(name: str, *values: str) -> str:
    """Whether an agreement `agreed` is for one of these values, or for all (SQL)."""
    said = " OR ".join(f"upper(agreed.{name}) = upper({value})" for value in values)
    return f"(agreed.{name} = '' OR {said})"


# What an agreement is for, and where a Session says it.
_SCOPE: Final = {
    "cpo_country_code": "country_code",
    "cpo_party_id": "party_id",
    "emsp_country_code": "emsp_country_code",
    "emsp_party_id": "emsp_party_id",
    "token_uid": "token_uid",
    "location_id": "location_id",
}
# Of agreements that fit: token, the eMSP's word, location, the CPO's default; then the older one.
FIRST: Final = (
    "agreed.token_uid = '', agreed.emsp_party_id = '', agreed.location_id = '', agreed.id"
)
_FOR_SESSION: Final = f"""
    SELECT {sql.columns(FlexAgreement, "agreed")} FROM flex_flexagreement AS agreed
    WHERE is_active AND {" AND ".join(fits(name, "%s::text") for name in _SCOPE)}
    ORDER BY {FIRST} LIMIT 1
"""  # noqa: S608 - columns of ours
