"""Switches of FSP with their steps, who is left out of a session's choice, and what CPOs keep.

SCALE D2.3, 11.4; docs/decisions/0036. The rows are the truth: a turn finds what is due.
"""

from datetime import timedelta
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models.functions import Upper

from charging_profiles.models import ProfileCommand
from flex.life.models import HubCommand
from flex.models import FspAssignment
from flex.switching.steps import ENDS, Slots, Step
from hub.db import leases, sql
from hub.db.leases import NOW
from hub.ocpi.party import PartyId
from sessions.models import Session

# So long after the Session and the preferences the new FSP is given the profile in force.
GIVEN_AFTER: Final = timedelta(seconds=1)
STEPS: Final = [
    (Step.GIVEN.value, "the new FSP has the session; its profile is to come"),
    (Step.ASKED.value, "its profile was taken; the active one is asked for"),
    (Step.CLEARING.value, "the former profile is being cleared"),
    (Step.RELEASING.value, "the hub releases the session"),
    (Step.DONE.value, "done"),
    (Step.OVER.value, "the session has ended"),
    (Step.FOLLOWED.value, "the FSP has changed again"),
    (Step.ATTENTION.value, "needs the operator's attention"),
]


class FspSwitch(models.Model):
    """What happens around one change of FSP; one of a session is open at a time."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="fsp_switches")
    # As FspAssignment.label says them; the epoch is that of the assignment that has begun.
    former = models.CharField(max_length=60)
    new = models.CharField(max_length=60)
    epoch = models.PositiveIntegerField()
    because = models.CharField(max_length=300)
    step = models.CharField(max_length=9, choices=STEPS, default=Step.GIVEN.value)
    why = models.CharField(max_length=300, blank=True)
    since = models.DateTimeField()
    due_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    needs_attention = models.BooleanField(default=False, db_default=False)
    # The last command of the new FSP that has been looked at.
    looked_at = models.BigIntegerField(default=0)
    looked_at_on = models.DateTimeField(null=True, blank=True)
    ask = models.ForeignKey(
        HubCommand, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    release = models.ForeignKey(
        HubCommand, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    clear = models.ForeignKey(
        ProfileCommand, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    cleared = ArrayField(models.CharField(max_length=6), default=list, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    sent_again = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = "switch of FSP"
        verbose_name_plural = "switches of FSP"
        constraints = [
            models.UniqueConstraint(
                fields=["session"],
                condition=models.Q(ended_at__isnull=True),
                name="one_open_switch_per_session",
            )
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(ended_at__isnull=True), name="switch_open"
            ),
            models.Index(
                fields=["-ended_at"],
                condition=models.Q(needs_attention=True),
                name="switch_attention",
            ),
        ]

    def __str__(self) -> str:
        return f"from {self.former} to {self.new}: {self.step}"

    @classmethod
    def begin(
        cls,
        session: Session,
        former: FspAssignment,
        current: FspAssignment | None,
        because: str,
    ) -> None:
        """An assignment has ended; in the transaction in which it did, which has the Session."""
        now = leases.now()
        for row in cls.objects.filter(session=session, ended_at__isnull=True):
            row.goes_to(Step.FOLLOWED, "The FSP has changed again before this was done.")
            row.save()
        row = cls.objects.create(
            session=session,
            former=former.label[:60],
            new=current.label[:60] if current else "nobody",
            epoch=current.epoch if current else former.epoch + 1,
            because=because[:300],
            since=now,
            due_at=now + GIVEN_AFTER,
        )
        row.goes_to(Step.GIVEN, f"{row.new} instead of {row.former}: {because}")

    def goes_to(self, step: Step, why: str) -> None:
        """Note a step; the caller saves the row."""
        now = leases.now()
        self.step, self.why = step.value, why[:300]
        if step in ENDS:
            self.ended_at = now
            self.needs_attention = step == Step.ATTENTION
        SwitchStep.objects.create(switch=self, step=step.value, why=why[:300], at=now)


class SwitchStep(models.Model):
    """One step of a switch, and why it was taken."""

    switch = models.ForeignKey(FspSwitch, on_delete=models.CASCADE, related_name="steps")
    step = models.CharField(max_length=9, choices=STEPS)
    why = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()

    class Meta:
        verbose_name = "step of a switch"
        verbose_name_plural = "steps of switches"

    def __str__(self) -> str:
        return f"{self.step}: {self.why}"


class FspFailure(models.Model):
    """A party that is left out of the choice of a session's FSP for a while, since it failed it."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="fsp_failures")
    fsp_country_code = models.CharField(max_length=2)
    fsp_party_id = models.CharField(max_length=3)
    why = models.CharField(max_length=300)
    since = models.DateTimeField()
    until = models.DateTimeField()
    # How often, one after the other: without a profile of its own that the CPO took in between.
    times = models.PositiveSmallIntegerField(default=1, db_default=1)
    # The choice has been looked at again after `until`.
    is_past = models.BooleanField(default=False, db_default=False)

    class Meta:
        verbose_name = "FSP left out"
        verbose_name_plural = "FSPs left out"
        constraints = [
            models.UniqueConstraint(
                "session", Upper("fsp_country_code"), Upper("fsp_party_id"), name="fsp_failure_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["until"], condition=models.Q(is_past=False), name="fsp_failure_until"
            )
        ]

    def __str__(self) -> str:
        return f"{self.fsp_country_code}-{self.fsp_party_id} until {self.until}"

    @classmethod
    def of(cls, session: Session) -> dict[PartyId, str]:
        """Those that are left out now, and why."""
        found = sql.run(_LEFT_OUT, [session.pk])
        return {
            PartyId.of(country_code, party_id): f"Left out until {until:%H:%M:%S}: {why}"
            for country_code, party_id, why, until in found
        }

    @classmethod
    def add(cls, session: Session, fsp: PartyId, why: str, seconds: float) -> None:
        """Leave it out from now on: for so long, and for twice as long as before each next time.

        So those that never send anything do not take turns for ever: in the end all are left out,
        and the hub releases the session. A profile that the CPO took in between forgives.
        """
        named = {"session": session.pk, "why": why[:300], "seconds": seconds, "most": MOST_TIMES}
        sql.run(_LEAVE_OUT, named | fsp._asdict())

    def stays_out(self, why: str, seconds: float) -> None:
        """It could not act either when its time was over: that is the same failure still."""
        self.why, self.until = why[:300], leases.now() + timedelta(seconds=seconds)
        self.save(update_fields=["why", "until"])


# Twice as long each time, up to 128 times FSP_LEFT_OUT.
MOST_TIMES: Final = 8
_LEAVE_OUT: Final = f"""
    INSERT INTO flex_switching_fspfailure AS kept (
        session_id, fsp_country_code, fsp_party_id, why, since, until, is_past, times)
    VALUES (%(session)s, %(country_code)s, %(party_id)s, %(why)s, {NOW},
            {NOW} + %(seconds)s::float8 * interval '1 second', false, 1)
    ON CONFLICT (session_id, upper(fsp_country_code), upper(fsp_party_id)) DO UPDATE
    SET (why, since, until, is_past, times) = (
        SELECT excluded.why, excluded.since,
               {NOW} + %(seconds)s::float8 * 2 ^ (again.times - 1) * interval '1 second', false,
               again.times
        FROM (SELECT CASE WHEN EXISTS (
            SELECT FROM {ProfileCommand._meta.db_table} AS command
            WHERE command.session_id = kept.session_id AND command.created_at > kept.since
              AND command.method = 'PUT' AND command.purpose = ''
              AND command.state = 'RESULT_ACCEPTED'
              AND upper(command.fsp_country_code) = upper(kept.fsp_country_code)
              AND upper(command.fsp_party_id) = upper(kept.fsp_party_id)
        ) THEN 1 ELSE least(kept.times + 1, %(most)s) END AS times) AS again)
"""  # noqa: S608 - names of ours
_LEFT_OUT: Final = f"""
    SELECT fsp_country_code, fsp_party_id, why, until FROM flex_switching_fspfailure
    WHERE session_id = %s AND until > {NOW}
"""  # noqa: S608 - names of ours


class CpoSlots(models.Model):
    """What a CPO keeps of a session: one profile, or one of each sender; told, or learned."""

    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    told = models.CharField(
        "told by the operator",
        max_length=10,
        blank=True,
        choices=[
            (Slots.ONE.value, "one profile"),
            (Slots.PER_SENDER.value, "one profile of each sender; the least counts"),
        ],
        help_text="Empty: what was learned counts.",
    )
    # In how many sessions a switch has shown the one or the other.
    one_seen = models.PositiveIntegerField(default=0)
    per_sender_seen = models.PositiveIntegerField(default=0)
    evidence = models.CharField(max_length=300, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name = "profiles that a CPO keeps"
        verbose_name_plural = "profiles that CPOs keep"
        constraints = [
            models.UniqueConstraint(
                Upper("country_code"), Upper("party_id"), name="slots_of_cpo_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.country_code}-{self.party_id}: {self.slots}"

    @property
    def slots(self) -> Slots:
        """The operator's word, else what was learned.

        That a former limit still binds may be chance: two sessions have to show it, and none the
        contrary.
        """
        if self.told:
            return Slots(self.told)
        if self.one_seen and not self.per_sender_seen:
            return Slots.ONE
        if self.per_sender_seen >= 2 and not self.one_seen:
            return Slots.PER_SENDER
        return Slots.UNKNOWN

    @classmethod
    def of(cls, cpo: PartyId) -> Slots:
        """What is known of a CPO."""
        found = cls.objects.filter(
            country_code__iexact=cpo.country_code, party_id__iexact=cpo.party_id
        ).first()
        return Slots.UNKNOWN if found is None else found.slots

    @property
    def cpo(self) -> PartyId:
        """Whose sessions they are."""
        return PartyId(self.country_code.upper(), self.party_id.upper())

    @classmethod
    def tell(cls, cpo: PartyId, slots: Slots) -> None:
        """The operator's word."""
        cls._write(cpo, told=slots.value)

    @classmethod
    def learn(cls, cpo: PartyId, slots: Slots, evidence: str) -> None:
        """One more session has shown it."""
        seen = "one_seen" if slots == Slots.ONE else "per_sender_seen"
        cls._write(cpo, **{seen: models.F(seen) + 1, "evidence": evidence[:300]})

    @classmethod
    @transaction.atomic
    def _write(cls, cpo: PartyId, **changes: Any) -> None:
        now = leases.now()
        leases.lock_name(f"slots of {cpo}")
        rows = cls.objects.filter(
            country_code__iexact=cpo.country_code, party_id__iexact=cpo.party_id
        )
        if not rows.exists():
            cls.objects.create(**cpo._asdict(), changed_at=now)
        rows.update(**changes, changed_at=now)
        rows.get().go_on()

    def go_on(self) -> None:
        """Former limits that still bind are cleared as soon as it is known that they may be."""
        if self.slots == Slots.PER_SENDER:
            sql.run(_GO_ON, [self.country_code, self.party_id])


# The last switch of sessions of this CPO that go on, where it has ended in need of an operator.
_GO_ON: Final = """
    UPDATE flex_switching_fspswitch AS one
    SET step = 'GIVEN', ended_at = NULL, needs_attention = false, ask_id = NULL, tries = 0,
        due_at = statement_timestamp()
    FROM ocpi_sessions_session AS kept
    WHERE one.needs_attention AND one.step = 'ATTENTION' AND kept.id = one.session_id
      AND upper(kept.country_code) = upper(%s) AND upper(kept.party_id) = upper(%s)
      AND kept.status NOT IN ('COMPLETED', 'INVALID')
      AND NOT EXISTS (SELECT FROM flex_switching_fspswitch AS later
                      WHERE later.session_id = one.session_id AND later.id > one.id)
"""
