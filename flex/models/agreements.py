"""Words on who may act as flexibility provider, for whom (SCALE D2.3, 8.4 and 11.1).

FlexAgreement: the operator's, an eMSP's or a CPO's word; FlexExclusion: whom a CPO lets not act. In
SQL they are weighed as `flex.choice` does it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from django.db import models
from django.db.models.functions import Now, Upper
from django.utils import timezone

from flex.choice import FspKind, Scope, Speaker, Word
from hub.db import sql
from hub.db.leases import NOW
from hub.ocpi.party import PartyId
from sessions.models import Session


class Consent(models.TextChoices):
    """Who has consented that somebody acts for the bearer of a token."""

    EMSP = "EMSP", "the eMSP"
    DRIVER = "DRIVER", "the driver"


class FlexAgreement(models.Model):
    """Who may act as FSP, for which CPO, eMSP, token, location or session; what is empty fits all.

    A later word on the same is a row of its own: what a row says does not change. It can end.
    """

    kind = models.CharField(max_length=5, choices=FspKind, default=FspKind.SCSP, db_default="SCSP")
    # Of kind SCSP: the party.
    fsp_country_code = models.CharField("FSP country code", max_length=2, blank=True)
    fsp_party_id = models.CharField("FSP party id", max_length=3, blank=True)
    said_by = models.CharField(max_length=8, choices=Speaker, default=Speaker.CPO, db_default="CPO")
    cpo_country_code = models.CharField("CPO country code", max_length=2, blank=True)
    cpo_party_id = models.CharField("CPO party id", max_length=3, blank=True)
    emsp_country_code = models.CharField("eMSP country code", max_length=2, blank=True)
    emsp_party_id = models.CharField("eMSP party id", max_length=3, blank=True)
    token_uid = models.CharField(max_length=36, blank=True)
    location_id = models.CharField(max_length=36, blank=True)
    session = models.ForeignKey(
        Session, on_delete=models.CASCADE, null=True, blank=True, related_name="flex_agreements"
    )
    consent_by = models.CharField(
        max_length=6, choices=Consent, blank=True, default="", db_default=""
    )
    consented_at = models.DateTimeField(null=True, blank=True)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    # When it was said or ended; and when the sessions that it fits are to be looked at again
    # (flex/tasks.py).
    changed_at = models.DateTimeField(default=timezone.now, db_default=Now())
    due_at = models.DateTimeField(null=True, blank=True, default=timezone.now, db_default=Now())

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
            models.CheckConstraint(
                name="flex_agreement_names_its_fsp",
                condition=models.Q(kind="SCSP") ^ models.Q(fsp_party_id=""),
                violation_error_message="Name the party that acts; of other kinds name none.",
            ),
            models.CheckConstraint(
                name="flex_agreement_speaker_is_named",
                condition=~models.Q(said_by="EMSP", emsp_party_id="")
                & ~models.Q(said_by="CPO", cpo_party_id=""),
                violation_error_message="Who has said it speaks for its own: name it.",
            ),
            models.CheckConstraint(
                name="flex_agreement_token_needs_consent",
                condition=models.Q(token_uid="") | ~models.Q(consent_by=""),
                violation_error_message="Its eMSP or driver has to consent to a token's.",
            ),
            models.CheckConstraint(
                name="flex_agreement_consent_has_a_time",
                condition=models.Q(consent_by="") ^ models.Q(consented_at__isnull=False),
                violation_error_message="Say who has consented, and when.",
            ),
            models.CheckConstraint(
                name="flex_agreement_ends_after_it_begins",
                condition=models.Q(valid_from__isnull=True)
                | models.Q(valid_until__isnull=True)
                | models.Q(valid_until__gt=models.F("valid_from")),
                violation_error_message="It has to end after it begins.",
            ),
            # Those of a session, and those for a time, follow one another: the later word counts.
            models.UniqueConstraint(
                fields=[
                    "said_by",
                    "cpo_country_code",
                    "cpo_party_id",
                    "emsp_country_code",
                    "emsp_party_id",
                    "token_uid",
                    "location_id",
                ],
                condition=models.Q(
                    is_active=True,
                    session__isnull=True,
                    valid_from__isnull=True,
                    valid_until__isnull=True,
                ),
                name="flex_agreement_one_fsp_per_scope",
                violation_error_message="Another FSP already has an active agreement for this.",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(due_at__isnull=False),
                name="flex_agreement_due",
            ),
            # As `wider` looks for them: of very many those of one token, or few.
            models.Index(
                Upper("token_uid"),
                Upper("location_id"),
                Upper("cpo_party_id"),
                condition=models.Q(is_active=True, session__isnull=True),
                name="flex_agreement_scope",
            ),
        ]

    def __str__(self) -> str:
        scope = [
            f"{self.cpo_country_code}-{self.cpo_party_id}" if self.cpo_party_id else "",
            f"{self.emsp_country_code}-{self.emsp_party_id}" if self.emsp_party_id else "",
            "one session" if self.session_id else "",
            "a token" if self.token_uid else "",
            f"location {self.location_id}" if self.location_id else "",
        ]
        return f"{self.who} for {', '.join(part for part in scope if part)}"

    @property
    def fsp(self) -> PartyId | None:
        """The party that it names, of kind SCSP."""
        if not self.fsp_party_id:
            return None
        return PartyId(self.fsp_country_code.upper(), self.fsp_party_id.upper())

    @property
    def who(self) -> str:
        """Who may act, in words."""
        return str(self.fsp or FspKind(self.kind).label)

    @property
    def scope(self) -> Scope:
        """What it is about."""
        if self.session_id is not None:
            return Scope.SESSION
        if self.token_uid:
            return Scope.TOKEN
        return Scope.LOCATION if self.location_id else Scope.DEFAULT

    @property
    def reason(self) -> str:
        """How an assignment by it is explained."""
        return f"agreement {self.pk}: {self}, said by {Speaker(self.said_by).label}"

    @property
    def word(self) -> Word:
        """As it is weighed."""
        return Word(
            self.pk,
            FspKind(self.kind),
            Speaker(self.said_by),
            self.scope,
            self.created_at,
            self.fsp,
            self.reason,
        )

    @classmethod
    def words(cls, session: Session) -> list[Word]:
        """Those that fit the session and are valid now."""
        said = {name: getattr(session, column) for name, column in SCOPE.items()}
        return [row.word for row in sql.rows(cls, _FITTING, {"session": session.pk, **said})]

    @classmethod
    def words_on(cls, cpo: PartyId) -> list[Word]:
        """Those on all sessions of a CPO that are valid now."""
        return [row.word for row in sql.rows(cls, _ON_ALL, list(cpo))]

    def ends(self) -> None:
        """It ends now."""
        self.is_active = False
        self.changed_at = self.due_at = timezone.now()
        self.save(update_fields=["is_active", "changed_at", "due_at"])


class FlexExclusion(models.Model):
    """A CPO's word that a party, or any third party, does not act at its sites, or at one."""

    cpo_country_code = models.CharField("CPO country code", max_length=2)
    cpo_party_id = models.CharField("CPO party id", max_length=3)
    # Empty: all third parties.
    fsp_country_code = models.CharField("FSP country code", max_length=2, blank=True)
    fsp_party_id = models.CharField("FSP party id", max_length=3, blank=True)
    # Empty: all of the CPO's.
    location_id = models.CharField(max_length=36, blank=True, default="", db_default="")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(null=True, blank=True, default=timezone.now)

    class Meta:
        verbose_name = "exclusion by a CPO"
        verbose_name_plural = "exclusions by CPOs"
        constraints = [
            models.UniqueConstraint(
                fields=[
                    *("cpo_country_code", "cpo_party_id", "fsp_country_code", "fsp_party_id"),
                    "location_id",
                ],
                condition=models.Q(is_active=True),
                name="flex_exclusion_once",
                violation_error_message="The CPO excludes it already.",
            )
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(due_at__isnull=False),
                name="flex_exclusion_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.who} at {self.where}"

    @property
    def cpo(self) -> PartyId:
        """Whose word it is."""
        return PartyId(self.cpo_country_code.upper(), self.cpo_party_id.upper())

    @property
    def who(self) -> str:
        """Who may not act, in words."""
        if not self.fsp_party_id:
            return "all third parties"
        return str(PartyId.of(self.fsp_country_code, self.fsp_party_id))

    @property
    def where(self) -> str:
        """The CPO, or a location of it."""
        return f"location {self.location_id} of {self.cpo}" if self.location_id else str(self.cpo)

    @classmethod
    def by(cls, cpo: PartyId, location_id: str = "") -> frozenset[PartyId | None]:
        """Whom a CPO excludes, everywhere or at this location; None: all third parties."""
        found = sql.run(_EXCLUDED, [*cpo, location_id])
        return frozenset(PartyId.of(*codes) if codes[1] else None for codes in found)


# --- In SQL ---------------------------------------------------------------------------------------

# What an agreement is for, and where a Session says it.
SCOPE: Final = {
    "cpo_country_code": "country_code",
    "cpo_party_id": "party_id",
    "emsp_country_code": "emsp_country_code",
    "emsp_party_id": "emsp_party_id",
    "token_uid": "token_uid",
    "location_id": "location_id",
}
IS_VALID: Final = f"""
    agreed.is_active AND (agreed.valid_from IS NULL OR agreed.valid_from <= {NOW})
    AND (agreed.valid_until IS NULL OR agreed.valid_until > {NOW})
"""
# Of agreements that fit, the one that outweighs the others; as `Word.order`.
FIRST: Final = """
    CASE agreed.said_by WHEN 'OPERATOR' THEN 0 WHEN 'EMSP' THEN 1 ELSE 2 END,
    CASE WHEN agreed.session_id IS NOT NULL THEN 0 WHEN agreed.token_uid <> '' THEN 1
         WHEN agreed.location_id <> '' THEN 2 ELSE 3 END,
    agreed.created_at DESC, agreed.id DESC
"""


def fits(name: str, *values: str) -> str:
    """Whether an agreement `agreed` is for one of these values, or for all (SQL)."""
    said = ", ".join(f"upper({value})" for value in values)
    return f"upper(agreed.{name}) = ANY (ARRAY['', {said}])"


def wider(values: Mapping[str, Sequence[str]]) -> str:
    """The agreements `agreed` of more than a session that fit one, and are valid now (SQL).

    `values`: for each name of SCOPE what the Session says, or may say. What follows SELECT.
    """
    return _from("agreed.session_id IS NULL", values)


def fitting(session: str, values: Mapping[str, Sequence[str]]) -> str:
    """All that fit, those of the session itself too (SQL)."""
    own = _from(f"agreed.session_id = {session}", values)
    return f"(SELECT agreed.* {own} UNION ALL SELECT agreed.* {wider(values)})"


def _from(of: str, values: Mapping[str, Sequence[str]]) -> str:
    fit = " AND ".join(fits(name, *values[name]) for name in SCOPE)
    return f"FROM flex_flexagreement AS agreed WHERE {IS_VALID} AND {of} AND {fit}"


def excluded(country_code: str, party_id: str, location_id: str) -> str:
    """Whether the CPO of `kept` excludes this party there, which is not the CPO itself (SQL)."""
    return f"""(
        NOT (upper({country_code}) = upper(kept.country_code)
             AND upper({party_id}) = upper(kept.party_id))
        AND EXISTS (
            SELECT FROM flex_flexexclusion AS barred WHERE barred.is_active
            AND upper(barred.cpo_country_code) = upper(kept.country_code)
            AND upper(barred.cpo_party_id) = upper(kept.party_id)
            AND (barred.location_id = '' OR upper(barred.location_id) = upper({location_id}))
            AND (barred.fsp_party_id = '' OR upper(barred.fsp_country_code) = upper({country_code})
                 AND upper(barred.fsp_party_id) = upper({party_id}))
        )
    )"""


_FITTING: Final = f"""
    SELECT {sql.columns(FlexAgreement, "agreed")}
    FROM {fitting("%(session)s", {name: [f"%({name})s::text"] for name in SCOPE})} AS agreed
"""  # noqa: S608 - columns of ours
_ON_ALL: Final = f"""
    SELECT {sql.columns(FlexAgreement, "agreed")} FROM flex_flexagreement AS agreed
    WHERE {IS_VALID} AND agreed.session_id IS NULL
      AND upper(agreed.cpo_country_code) = %s AND upper(agreed.cpo_party_id) = %s
      AND agreed.emsp_party_id = '' AND agreed.token_uid = '' AND agreed.location_id = ''
"""  # noqa: S608 - columns of ours
_EXCLUDED: Final = """
    SELECT fsp_country_code, fsp_party_id FROM flex_flexexclusion
    WHERE is_active AND upper(cpo_country_code) = %s AND upper(cpo_party_id) = %s
      AND (location_id = '' OR upper(location_id) = upper(%s))
"""
