"""ProfileCommand: one request on the ChargingProfiles Receiver interface, until its end.

mod_charging_profiles, Flow: the CPO answers at once whether it will try, and posts the EVSE's
result later. The row is the truth; jobs and notifications only make it move sooner.
"""

from datetime import timedelta
from secrets import token_urlsafe

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from charging_profiles.objects import ChargingProfileResultType
from hub import outbox, wakeups
from hub.leases import LEASE, process_name
from hub.models import Delivery, Platform
from hub.ocpi.party import PartyId
from sessions.models import Session


class CommandState(models.TextChoices):
    """From WAITING to one of the ends; every command ends."""

    WAITING = "WAITING", "waiting for a worker"
    SENDING = "SENDING", "at the CPO, not answered yet"
    ACCEPTED = "ACCEPTED", "accepted by the CPO, result to come"
    REFUSED = "REFUSED", "refused by the CPO"
    UNREACHABLE = "UNREACHABLE", "CPO unreachable (4003)"
    TIMED_OUT = "TIMED_OUT", "CPO did not answer in time (4002)"
    RESULT_ACCEPTED = "RESULT_ACCEPTED", "done: accepted by the EVSE"
    RESULT_REJECTED = "RESULT_REJECTED", "done: rejected by the EVSE"
    RESULT_UNKNOWN = "RESULT_UNKNOWN", "done: the EVSE knows no profile"
    EXPIRED = "EXPIRED", "no result within the CPO's timeout"
    SUPERSEDED = "SUPERSEDED", "another FSP took over before it left"


UNSENT = (CommandState.WAITING, CommandState.SENDING)


def _new_key() -> str:
    return token_urlsafe(24)


class ProfileCommand(models.Model):
    """GET, PUT or DELETE of a charging profile, on its way from an FSP to a CPO."""

    # The unguessable part of the response_url that the CPO is given.
    key = models.CharField(max_length=32, unique=True, default=_new_key, editable=False)
    method = models.CharField(max_length=6)
    session = models.ForeignKey(
        Session, on_delete=models.SET_NULL, null=True, blank=True, related_name="profile_commands"
    )
    session_id_sent = models.CharField("session id", max_length=36)
    fsp_platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="+")
    fsp_country_code = models.CharField("from country code", max_length=2)
    fsp_party_id = models.CharField("from party id", max_length=3)
    cpo_platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="+")
    cpo_country_code = models.CharField("to country code", max_length=2)
    cpo_party_id = models.CharField("to party id", max_length=3)
    epoch = models.PositiveIntegerField(default=0)
    path = models.CharField(max_length=600)
    body = models.BinaryField(default=b"")
    response_url = models.CharField(max_length=255)
    correlation_id = models.CharField(max_length=255)
    state = models.CharField(
        max_length=15, choices=CommandState, default=CommandState.WAITING, db_index=True
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_owner = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    answer_by = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    answer_http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    answer_body = models.BinaryField(default=b"")
    problem = models.CharField(max_length=300, blank=True)
    passed_on_at = models.DateTimeField(null=True, blank=True)
    result_by = models.DateTimeField(null=True, blank=True)
    result = models.CharField(max_length=8, blank=True)
    result_body = models.BinaryField(default=b"")
    result_at = models.DateTimeField(null=True, blank=True)
    is_late = models.BooleanField(default=False)
    is_result_handed_over = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["state", "lease_until"],
                name="command_unfinished",
                condition=models.Q(state__in=["WAITING", "SENDING", "ACCEPTED"]),
            ),
            models.Index(fields=["session", "-created_at"], name="command_by_session"),
            models.Index(fields=["-created_at"], name="command_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.session_id_sent}: {self.state}"

    @property
    def fsp(self) -> PartyId:
        """Who asked."""
        return PartyId(self.fsp_country_code.upper(), self.fsp_party_id.upper())

    @property
    def cpo(self) -> PartyId:
        """Who is asked."""
        return PartyId(self.cpo_country_code.upper(), self.cpo_party_id.upper())

    @classmethod
    def claim(cls, pk: int) -> "ProfileCommand | None":
        """Take the command for sending; None when another worker has it or it has ended."""
        now = timezone.now()
        claimed = cls.objects.filter(
            models.Q(lease_until__isnull=True) | models.Q(lease_until__lt=now),
            pk=pk,
            state__in=UNSENT,
            answer_by__gt=now,
        ).update(
            state=CommandState.SENDING,
            lease_owner=process_name(),
            lease_until=now + LEASE,
            attempts=models.F("attempts") + 1,
        )
        return cls.objects.get(pk=pk) if claimed else None

    def record_answer(
        self,
        state: CommandState,
        http_status: int | None,
        body: bytes,
        timeout: float | None,
        problem: str,
    ) -> None:
        """Keep the CPO's own answer (or why there is none), and wake the request that waits.

        Without a `timeout` of the CPO's, its result is waited for as long as any is.
        A second answer, of a send that was repeated after a crash, changes nothing.
        """
        with transaction.atomic():
            row = type(self).objects.select_for_update().get(pk=self.pk)
            if row.state not in UNSENT:
                return
            now = timezone.now()
            row.state, row.answered_at = state, now
            row.answer_http_status, row.answer_body = http_status, body
            row.problem = problem[:300]
            row.lease_owner, row.lease_until = "", None
            if state == CommandState.ACCEPTED:
                longest = settings.PROFILE_RESULT_MAX_WAIT
                wait = longest if timeout is None else min(max(timeout, 1), longest)
                row.result_by = now + timedelta(seconds=wait)
                if row.result:  # It overtook the answer.
                    row.state = CommandState[f"RESULT_{row.result}"]
            row.save()
            wakeups.notify(f"command:{row.pk}")

    def record_result(self, result: ChargingProfileResultType, body: bytes) -> bool:
        """Keep what the CPO posted; False when a result was there already (a duplicate)."""
        with transaction.atomic():
            row = type(self).objects.select_for_update().get(pk=self.pk)
            if row.result:
                return False
            row.result, row.result_body, row.result_at = result, body, timezone.now()
            if row.state == CommandState.ACCEPTED:
                row.state = CommandState[f"RESULT_{result}"]
            elif row.state not in UNSENT:
                row.is_late = True
            row.save()
            row._hand_over_result()
            return True

    def record_passed_on(self) -> None:
        """The FSP has the CPO's answer, so a result may follow it."""
        with transaction.atomic():
            row = type(self).objects.select_for_update().get(pk=self.pk)
            if row.passed_on_at is None:
                row.passed_on_at = timezone.now()
                row.save(update_fields=["passed_on_at"])
            row._hand_over_result()

    def _hand_over_result(self) -> None:
        """Queue the result for the original `response_url`, once, never before the answer."""
        if self.is_result_handed_over or self.passed_on_at is None or not self.result:
            return
        self.is_result_handed_over = True
        self.save(update_fields=["is_result_handed_over"])
        outbox.enqueue(
            [
                Delivery(
                    receiver_id=self.fsp_platform_id,
                    ordering_key=f"profile-command:{self.pk}",
                    module="chargingprofiles",
                    method="POST",
                    path=self.response_url,
                    body=bytes(self.result_body),
                    from_country_code=self.cpo_country_code,
                    from_party_id=self.cpo_party_id,
                    to_country_code=self.fsp_country_code,
                    to_party_id=self.fsp_party_id,
                    correlation_id=self.correlation_id,
                )
            ]
        )

    @classmethod
    def end_overdue(cls) -> int:
        """End what can wait no longer; returns how many. Run by the sweep."""
        now = timezone.now()
        ended = 0
        for command in cls.objects.filter(state__in=UNSENT, answer_by__lt=now):
            command.record_answer(
                CommandState.TIMED_OUT, None, b"", None, f"{command.cpo} did not answer in time."
            )
            ended += 1
        ended += cls.objects.filter(state=CommandState.ACCEPTED, result_by__lt=now).update(
            state=CommandState.EXPIRED
        )
        # The web process that should have passed the answer on is gone: nobody waits any more.
        for command in cls.objects.filter(
            passed_on_at__isnull=True, answer_by__lt=now, is_result_handed_over=False
        ).exclude(result=""):
            command.record_passed_on()
        return ended

    @classmethod
    def left_behind(cls) -> list[int]:
        """Commands that a dead worker or a wiped broker dropped, to be queued again."""
        now = timezone.now()
        return list(
            cls.objects.filter(
                models.Q(state=CommandState.WAITING, created_at__lt=now - timedelta(seconds=1))
                | models.Q(state=CommandState.SENDING, lease_until__lt=now),
                answer_by__gt=now,
            ).values_list("pk", flat=True)
        )
