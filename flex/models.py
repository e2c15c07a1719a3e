"""Who is flexibility provider (FSP), for which session, since when (SCALE D2.3, 8.4 and 11)."""

from datetime import datetime
from typing import Final

from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from flex.journal import Topic
from hub.db import sql
from hub.models.versions import came_in
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


class FspKind(models.TextChoices):
    """What acts as FSP: a party through the hub, or something the hub only observes."""

    PARTY = "PARTY", "a party through the hub"
    CPO = "CPO", "the CPO itself"
    EMS = "EMS", "an energy management system on site"
    EV = "EV", "the EV itself"


class FspAssignment(models.Model):
    """Who is FSP of a session; each change raises `epoch`."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="fsp_assignments")
    kind = models.CharField(max_length=5, choices=FspKind, default=FspKind.PARTY)
    fsp_country_code = models.CharField(max_length=2, blank=True)
    fsp_party_id = models.CharField(max_length=3, blank=True)
    epoch = models.PositiveIntegerField()
    reason = models.CharField(max_length=200)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    # The `last_updated` of the Session as the CPO itself sent it to this FSP last; and whether the
    # hub has given it the Session since the CPO's last PUT.
    sent_last_updated = models.DateTimeField(null=True, blank=True)
    is_relayed = models.BooleanField(default=False, db_default=False)

    class Meta:
        verbose_name = "FSP assignment"
        constraints = [
            models.UniqueConstraint(
                fields=["session"],
                condition=models.Q(ended_at__isnull=True),
                name="one_open_fsp_per_session",
            ),
            models.UniqueConstraint(fields=["session", "epoch"], name="fsp_epoch_once"),
        ]
        indexes = [
            models.Index(
                Upper("fsp_country_code"),
                Upper("fsp_party_id"),
                "session",
                condition=models.Q(ended_at__isnull=True),
                name="open_fsp_sessions",
            )
        ]

    def __str__(self) -> str:
        return f"{self.fsp or self.kind} epoch {self.epoch}"

    @property
    def fsp(self) -> PartyId | None:
        """The party that acts, or None where the hub only observes."""
        if self.kind != FspKind.PARTY:
            return None
        return PartyId(self.fsp_country_code.upper(), self.fsp_party_id.upper())

    @classmethod
    def sessions_of(cls, fsp: PartyId) -> "models.QuerySet[FspAssignment, int]":
        """The ids of the sessions that `fsp` is flexibility provider of."""
        return cls.objects.filter(
            kind=FspKind.PARTY,
            fsp_country_code__iexact=fsp.country_code,
            fsp_party_id__iexact=fsp.party_id,
            ended_at__isnull=True,
        ).values_list("session_id", flat=True)

    @classmethod
    def of(cls, session: Session) -> "FspAssignment | None":
        """The open assignment; made out of the agreement that fits when there is none yet."""
        current = cls.current(session)
        if current is not None:
            return current
        agreement = FlexAgreement.for_session(session)
        if agreement is None or session.is_over:
            return None
        return cls.open(session, agreement.fsp, reason=f"agreement {agreement.pk}: {agreement}")

    def sent(self, last_updated: datetime, *, is_whole: bool) -> None:
        """The CPO itself has sent this FSP the Session, or a PATCH of it."""
        self.sent_last_updated = last_updated
        self.is_relayed = self.is_relayed and not is_whole
        self._keep_sent()

    def relayed(self) -> None:
        """The hub gives this FSP the Session."""
        if not self.is_relayed:
            self.is_relayed = True
            self._keep_sent()

    def _keep_sent(self) -> None:
        sql.run(
            "UPDATE flex_fspassignment SET sent_last_updated = %s, is_relayed = %s WHERE id = %s",
            (self.sent_last_updated, self.is_relayed, self.pk),
        )

    @classmethod
    def current(cls, session: Session) -> "FspAssignment | None":
        """The open assignment."""
        found = sql.rows(
            cls,
            f"SELECT {sql.columns(cls)} FROM flex_fspassignment "  # noqa: S608 - columns of ours
            "WHERE session_id = %s AND ended_at IS NULL",
            (session.pk,),
        )
        return found[0] if found else None

    @classmethod
    def open(cls, session: Session, fsp: PartyId, reason: str) -> "FspAssignment":
        """Make `fsp` the FSP unless somebody is; return who is. Safe to race."""
        while True:
            # Who comes second waits in the unique indexes for who comes first, and writes nothing.
            opened = sql.rows(
                cls,
                f"""
                INSERT INTO flex_fspassignment
                    (session_id, kind, fsp_country_code, fsp_party_id, epoch, reason, started_at)
                SELECT %(session)s, %(kind)s, %(country_code)s, %(party_id)s,
                       coalesce(max(epoch), 0) + 1, %(reason)s, %(now)s
                FROM flex_fspassignment WHERE session_id = %(session)s
                ON CONFLICT DO NOTHING
                RETURNING {sql.columns(cls)}
                """,  # noqa: S608 - columns of ours
                {
                    "session": session.pk,
                    "kind": FspKind.PARTY,
                    "country_code": fsp.country_code,
                    "party_id": fsp.party_id,
                    "reason": reason[:200],
                    "now": timezone.now(),
                },
            )
            current = opened[0] if opened else cls.current(session)
            if current is not None:
                return current


class PreferenceCopy(models.Model):
    """What the driver asked, and what the CPO answered (mod_sessions: ChargingPreferences)."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="preferences")
    document = models.BinaryField()
    ocpi_version = came_in()
    # In upper case; empty where it says none, or nothing that can be read.
    profile_type = models.CharField(max_length=40, blank=True)
    departure_time = models.DateTimeField(null=True, blank=True)
    energy_need = models.DecimalField(
        "energy need (kWh)", max_digits=10, decimal_places=4, null=True, blank=True
    )
    discharge_allowed = models.BooleanField(null=True, blank=True)
    # energy_need does not say "from start" or "from now": the kWh at receipt settle it later.
    kwh_at_receipt = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    cpo_http_status = models.PositiveSmallIntegerField()
    cpo_status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    cpo_answer = models.CharField(max_length=40, blank=True)
    correlation_id = models.CharField(max_length=255)
    received_at = models.DateTimeField(default=timezone.now)
    # The FSP gets them with their Session, which is still on its way to its receiver.
    is_waiting = models.BooleanField(default=False, db_default=False)

    class Meta:
        verbose_name = "charging preferences"
        verbose_name_plural = "charging preferences"
        indexes = [
            models.Index(fields=["session", "-received_at"], name="preference_latest"),
            models.Index(fields=["received_at"], name="preference_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.profile_type or 'preferences'} until {self.departure_time or 'open'}"

    @property
    def is_accepted(self) -> bool:
        """The CPO has taken them: 1xxx, whatever it will make of them."""
        return self.cpo_http_status < 300 and 1000 <= (self.cpo_status_code or 0) <= 1999


class JournalEntry(models.Model):
    """One line of what happened to a session's flexibility, and why (journal.py writes it)."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="journal")
    topic = models.CharField(max_length=11, choices=Topic)
    reason = models.CharField(max_length=400)
    detail = models.JSONField(default=dict)
    # Of the transaction that wrote it: a reader behind a cursor skips none that commits later.
    xid = models.BigIntegerField()
    written_at = models.DateTimeField()

    class Meta:
        verbose_name = "line of the journal"
        verbose_name_plural = "journal"
        indexes = [
            models.Index(fields=["session", "-id"], name="journal_of_session"),
            models.Index(fields=["xid", "id"], name="journal_cursor"),
            models.Index(fields=["written_at"], name="journal_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.topic}: {self.reason}"
