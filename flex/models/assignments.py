"""FspAssignment: who is flexibility provider (FSP) of a session, since when (SCALE D2.3, 8.4)."""

from datetime import datetime
from typing import Final

from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from flex import journal
from flex.choice import Choice, FspKind
from hub.db import sql
from hub.db.leases import NOW
from hub.ocpi.party import PartyId
from sessions.models import Session

# Of either kind, as the release before wrote it: its processes may still do so while they end.
FORMER_PARTY: Final = "PARTY"


class FspAssignment(models.Model):
    """Who is FSP of a session; each change raises `epoch`."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="fsp_assignments")
    kind = models.CharField(max_length=5, choices=FspKind, default=FspKind.NONE)
    fsp_country_code = models.CharField(max_length=2, blank=True)
    fsp_party_id = models.CharField(max_length=3, blank=True)
    epoch = models.PositiveIntegerField()
    reason = models.CharField(max_length=200)
    # By its first profile that the CPO accepted: nobody had set anything.
    is_first_put = models.BooleanField(default=False, db_default=False)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=200, blank=True, default="", db_default="")
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
            models.CheckConstraint(
                name="fsp_names_a_party",
                condition=models.Q(kind__in=["EMSP", "SCSP", FORMER_PARTY])
                ^ models.Q(fsp_party_id=""),
            ),
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
    def label(self) -> str:
        """The party, or what acts in its place."""
        return str(self.fsp or self.acting.label)

    @property
    def acting(self) -> FspKind:
        """What acts: `kind`, also of a row of the release before."""
        if self.kind != FORMER_PARTY:
            return FspKind(self.kind)
        return FspKind.EMSP if self.fsp == self.session.emsp else FspKind.SCSP

    @property
    def fsp(self) -> PartyId | None:
        """The party that acts, or None where the hub only observes."""
        if not self.fsp_party_id:
            return None
        return PartyId(self.fsp_country_code.upper(), self.fsp_party_id.upper())

    @property
    def choice(self) -> Choice:
        """What it was opened by."""
        return Choice(self.acting, self.reason, self.fsp, self.is_first_put)

    def is_of(self, choice: Choice) -> bool:
        """Whether it is the same that acts."""
        return self.fsp == choice.fsp and (self.fsp is not None or self.acting == choice.kind)

    def is_by(self, choice: Choice) -> None:
        """The same acts, perhaps for another reason."""
        if self.choice != choice:
            self.kind, self.is_first_put = choice.kind, choice.is_first_put
            self.reason = choice.reason[:200]
            self.save(update_fields=["kind", "reason", "is_first_put"])

    @classmethod
    def sessions_of(cls, fsp: PartyId) -> "models.QuerySet[FspAssignment, int]":
        """The ids of the sessions that `fsp` is flexibility provider of."""
        return cls.objects.filter(
            fsp_country_code__iexact=fsp.country_code,
            fsp_party_id__iexact=fsp.party_id,
            ended_at__isnull=True,
        ).values_list("session_id", flat=True)

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
    def open(cls, session: Session, choice: Choice, told: str = "") -> "FspAssignment":
        """Open it unless one is open; return the one that is. Safe to race.

        The journal tells that it was opened, in words of its own or in those of `told`.
        """
        fsp = choice.fsp
        values = {
            "session": session.pk,
            "kind": choice.kind,
            "country_code": fsp.country_code if fsp else "",
            "party_id": fsp.party_id if fsp else "",
            "reason": choice.reason[:200],
            "is_first_put": choice.is_first_put,
            "told": (told or opened_by(choice))[:400],
        }
        while True:
            # Who comes second waits in the unique indexes for who comes first, and writes nothing.
            opened = sql.rows(cls, _OPEN, values)
            current = opened[0] if opened else cls.current(session)
            if current is not None:
                return current

    def end(self, because: str) -> None:
        """It ends now; its session's row is locked."""
        [(self.ended_at, self.end_reason)] = sql.run(
            f"UPDATE flex_fspassignment SET ended_at = {NOW}, end_reason = %s WHERE id = %s "  # noqa: S608 - names of ours
            "RETURNING ended_at, end_reason",
            (because[:200], self.pk),
        )


def opened_by(choice: Choice) -> str:
    """What the journal tells of one that is opened where none was."""
    return f"{choice} is FSP now: {choice.reason}"


# Of a row `opened` of assignments.
NOTED: Final = journal.noted(
    "opened",
    topic="'ASSIGNMENT'",
    reason="%(told)s::text",
    detail="""jsonb_build_object(
        'epoch', opened.epoch, 'kind', opened.kind, 'fsp', CASE WHEN opened.fsp_party_id <> ''
        THEN upper(opened.fsp_country_code) || '-' || upper(opened.fsp_party_id) END)""",
)
_OPEN: Final = f"""
    WITH opened AS (
        INSERT INTO flex_fspassignment
            (session_id, kind, fsp_country_code, fsp_party_id, epoch, reason, is_first_put,
             started_at)
        SELECT %(session)s, %(kind)s, %(country_code)s, %(party_id)s,
               coalesce(max(epoch), 0) + 1, %(reason)s, %(is_first_put)s, {NOW}
        FROM flex_fspassignment WHERE session_id = %(session)s
        ON CONFLICT DO NOTHING
        RETURNING *
    ), noted AS ({NOTED})
    SELECT {sql.columns(FspAssignment)} FROM opened
"""  # noqa: S608 - columns of ours
