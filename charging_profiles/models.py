"""ProfileCommand: one request on the ChargingProfiles Receiver interface, until its end.

mod_charging_profiles, Flow: the CPO answers at once whether it will try, and posts the EVSE's
result later. The row is the truth; jobs and notifications only make it move sooner.
"""

from secrets import token_urlsafe
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import models
from django.utils import timezone

from charging_profiles import order
from charging_profiles.profile_updates import ProfileUpdate as ProfileUpdate
from hub.db import notify, sql
from hub.db.leases import NEXT_FENCE, NOW, RELEASED, Lease, Leased, free
from hub.models import Delivery, Platform, locking
from hub.ocpi import own_paths
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.record import counters
from hub.workers import wake
from sessions import flexibility
from sessions.flexibility import CommandNews
from sessions.models import LONGEST_ID, Session


class CommandState(models.TextChoices):
    """From WAITING to one of the ends; every command ends."""

    WAITING = "WAITING", "waiting for a worker"
    SENDING = "SENDING", "at the CPO, not answered yet"
    ACCEPTED = "ACCEPTED", "accepted by the CPO, result to come"
    REFUSED = "REFUSED", "refused by the CPO"
    NO_RESULT = "NO_RESULT", "answered by the CPO without a result (4000)"
    UNREACHABLE = "UNREACHABLE", "CPO unreachable (4003)"
    TIMED_OUT = "TIMED_OUT", "CPO did not answer in time (4002)"
    RESULT_ACCEPTED = "RESULT_ACCEPTED", "done: accepted by the EVSE"
    RESULT_REJECTED = "RESULT_REJECTED", "done: rejected by the EVSE"
    RESULT_UNKNOWN = "RESULT_UNKNOWN", "done: the EVSE knows no profile"
    RESULT_OTHER = "RESULT_OTHER", "done: with a result that OCPI does not know"
    EXPIRED = "EXPIRED", "no result within the CPO's timeout"
    SUPERSEDED = "SUPERSEDED", "replaced before it left"


class InForce(models.TextChoices):
    """What is known of a command that followed one of unknown outcome (verification.py)."""

    DUE = "DUE", "to be verified"
    ASKED = "ASKED", "the CPO is asked"
    AS_SENT = "AS_SENT", "in force"
    OVERTAKEN = "OVERTAKEN", "overtaken by one that had no answer, and sent again"
    UNCLEAR = "UNCLEAR", "another profile is active, or none was told"


class Purpose(models.TextChoices):
    """For what the hub itself has made a command; a party's own has none."""

    ASK = "ASK", "what is in force is asked"
    AGAIN = "AGAIN", "what was overtaken is sent again"
    RELEASE = "RELEASE", "the session is released"
    CLEAR = "CLEAR", "what a former FSP has left is cleared"


class Said(NamedTuple):
    """What became of a command at its CPO; `timeout` in seconds, None where the CPO told none."""

    state: CommandState
    http_status: int | None = None
    body: bytes = b""
    timeout: float | None = None
    problem: str = ""
    # Whether nothing of it has left.
    is_unsent: bool = False


# A command that has neither ended nor been accepted.
UNSENT = (CommandState.WAITING, CommandState.SENDING)
# The ends that something may follow (flex/life/table.py).
BAD_ENDS = (
    *(CommandState.REFUSED, CommandState.NO_RESULT, CommandState.UNREACHABLE),
    *(CommandState.TIMED_OUT, CommandState.RESULT_REJECTED, CommandState.RESULT_UNKNOWN),
    *(CommandState.RESULT_OTHER, CommandState.EXPIRED),
)
# Lets those look that carry commands.
TELL_CARRIERS: Final = f"pg_notify('{wake.CHANNEL}profiles', 'profiles')"


def _new_key() -> str:
    return token_urlsafe(24)


class ProfileCommand(Leased):
    """GET, PUT or DELETE of a charging profile, on its way from an FSP to a CPO.

    Each of its four updates writes to every index that the row is in: it has those that somebody
    asks, and no foreign key has one of its own.
    """

    # The unguessable part of the response_url that the CPO is given.
    key = models.CharField(max_length=32, default=_new_key, editable=False)
    method = models.CharField(max_length=6)
    session = models.ForeignKey(
        Session,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="profile_commands",
        db_index=False,
    )
    session_id_sent = models.CharField("session id", max_length=LONGEST_ID)
    fsp_platform = models.ForeignKey(
        Platform, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    fsp_country_code = models.CharField("from country code", max_length=2)
    fsp_party_id = models.CharField("from party id", max_length=3)
    cpo_platform = models.ForeignKey(
        Platform, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    cpo_country_code = models.CharField("to country code", max_length=2)
    cpo_party_id = models.CharField("to party id", max_length=3)
    # The session at this CPO, in upper case: its PUTs and DELETEs keep their order (order.py).
    lane = models.CharField(max_length=LONGEST_ID + 7, default="")
    # Since when it may be at the CPO; None while it certainly is not.
    sent_at = models.DateTimeField(null=True, blank=True)
    follows = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    in_force = models.CharField(max_length=9, choices=InForce, blank=True)
    verifies = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    epoch = models.PositiveIntegerField(default=0)
    path = models.CharField(max_length=2048)
    body = models.BinaryField(default=b"")
    # Of a party's own: where it gets the result. The hub's own have a purpose instead.
    response_url = models.CharField(max_length=255)
    purpose = models.CharField(max_length=7, choices=Purpose, blank=True, default="", db_default="")
    correlation_id = models.CharField(max_length=255)
    state = models.CharField(max_length=15, choices=CommandState, default=CommandState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
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
    # What follows a bad end of it has been set going (flex/life/following.py).
    is_followed = models.BooleanField(default=False, db_default=False)
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
            models.Index(
                fields=["lane", "-id"],
                name="command_by_lane",
                condition=~models.Q(method="GET"),
            ),
            models.Index(
                fields=["answer_by"],
                name="command_to_hand_over",
                condition=models.Q(passed_on_at__isnull=True, is_result_handed_over=False)
                & ~models.Q(result=""),
            ),
            models.Index(
                fields=["id"],
                name="command_to_follow",
                condition=models.Q(is_followed=False, state__in=BAD_ENDS),
            ),
            models.Index(
                fields=["in_force"],
                name="command_to_verify",
                condition=models.Q(in_force__in=["DUE", "ASKED"]),
            ),
            # Few have one: retention looks there before it deletes what they name.
            *(
                models.Index(
                    fields=[name],
                    name=f"command_{name}",
                    condition=models.Q((f"{name}__isnull", False)),
                )
                for name in ("follows", "verifies")
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["key"], name="one_command_of_a_key"),
            models.UniqueConstraint(
                fields=["lane"],
                name="one_change_on_its_way",
                condition=models.Q(state="SENDING", sent_at__isnull=False)
                & ~models.Q(method="GET"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.session_id_sent}: {self.state}"

    @property
    def fsp(self) -> PartyId:
        """The party that asked."""
        return PartyId(self.fsp_country_code.upper(), self.fsp_party_id.upper())

    @property
    def cpo(self) -> PartyId:
        """The party that is asked."""
        return PartyId(self.cpo_country_code.upper(), self.cpo_party_id.upper())

    @property
    def result_url(self) -> str:
        """The response_url that the CPO is given; the key is bound to the CPO's platform."""
        return f"{settings.BASE_URL}{own_paths.PROFILE_RESULT.path(self.key)}"

    def add(self) -> None:
        """Write the new row, tell who carries commands, and end what it replaces (order.py)."""
        given = sql.by_column(self) | {"seconds": settings.FORWARD_TIMEOUT}
        [(pk, replaces, _)] = sql.run(ADD, given)
        self.pk = int(pk)
        if replaces == "true" and self.method != "GET":
            order.end_older(self.lane)

    def add_after_all(self) -> None:
        """The same after a `TAKE` of which nobody knows whether it was done: nothing has left."""
        sql.run(_NOT_TAKEN, {"key": self.key})
        self.add()

    @property
    def news(self) -> tuple[Any, ...]:
        """What `order.NEWS` says of it, except its state."""
        fsp = (self.fsp_country_code, self.fsp_party_id)
        return (self.pk, self.session_id, self.method, *fsp, self.epoch)

    def answered(self, said: Said, lease: Lease) -> tuple[str, dict[str, Any]]:
        """The statement that keeps the CPO's own answer, or why there is none.

        It wakes the request that waits. Without a `timeout` of the CPO's, its result is waited for
        as long as any is. An answer to a carrier that was taken over changes nothing: the answer
        to the one that sends it now is to come. What it returns is for `order.tell`, and says last
        whether another of the session waits for this.
        """
        longest = settings.PROFILE_RESULT_MAX_WAIT
        wait = longest if said.timeout is None else min(max(said.timeout, 1), longest)
        return _ANSWERED, {
            "id": self.pk,
            "fence": lease.fence,
            "state": said.state,
            "is_unsent": said.is_unsent,
            "http_status": said.http_status,
            "body": said.body,
            "problem": said.problem[:300],
            "wait": float(wait),
            "payload": notify.payload(self.topic, said.http_status, said.body),
        }

    @classmethod
    def given(cls, key: str, cpo_platform_id: int) -> "ProfileCommand | None":
        """The command whose result this platform may post; None when that was long ago."""
        found = sql.rows(
            cls,
            f"""
            SELECT {sql.columns(cls)} FROM ocpi_charging_profiles_profilecommand
            WHERE key = %s AND cpo_platform_id = %s AND created_at > {NOW} - %s * interval '1 day'
            """,  # noqa: S608 - columns of ours
            (key, cpo_platform_id, settings.CALLBACK_VALID_DAYS),
        )
        return found[0] if found else None

    @property
    def topic(self) -> str:
        """What is notified when the CPO has answered."""
        return f"command:{self.pk}"

    def record_result(self, result: str, body: bytes) -> "ProfileCommand | None":
        """Keep what the CPO posted; the command as it is then, None if it had a result already."""
        kept = _kept(_RESULT, {"id": self.pk, "result": result, "body": body})
        if not kept:
            return None
        kept[0].tell_result()
        return kept[0]

    def tell_result(self) -> None:
        """Tell that its first result is kept: the command may have ended by it."""
        if self.state.startswith("RESULT_"):
            counters.command_ended(self.method, self.state)
        flexibility.current().result_came(
            CommandNews(self.pk, self.session_id, self.method, self.fsp, self.epoch, self.state)
        )

    @classmethod
    def passed_on(cls, pk: int) -> None:
        """The FSP has the CPO's answer: a result may follow it, and does if it is there already."""
        _kept(_PASSED_ON, {"id": pk})

    def _enqueue_result(self) -> None:
        """Queue it for the original `response_url`; nobody is told what the hub itself asked."""
        if not self.response_url:
            return
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
        ended = [*sql.run(_OVERDUE), *sql.run(_EXPIRED)]
        ended += sql.run(order.replaced(order.OF_ALL))
        order.tell(ended)
        # The web process that should have passed the answer on is gone: nobody waits any more.
        for (pk,) in sql.run(_LEFT_BEHIND):
            cls.passed_on(pk)
        return len(ended)


# All times are the database's: the hosts of web processes and workers may differ.
_ADD_SAYS = {
    "created_at": NOW,
    "answer_by": f"{NOW} + %(seconds)s::float8 * interval '1 second'",
}
ADDED = {name: _ADD_SAYS.get(name, f"%({name})s") for name in sql.column_names(ProfileCommand)}
# Whether something that has not left, and may not any more, is in the lane of what is written.
REPLACES = """(EXISTS (
        SELECT FROM ocpi_charging_profiles_profilecommand
        WHERE lane = %(lane)s AND method <> 'GET' AND state IN ('WAITING', 'SENDING')
          AND sent_at IS NULL))::text
"""
INSERT = f"INSERT INTO ocpi_charging_profiles_profilecommand ({', '.join(ADDED)})"
# The same command written twice is one.
ONCE = "ON CONFLICT (key) DO UPDATE SET key = excluded.key"
ADD = f"""
    {INSERT} VALUES ({", ".join(ADDED.values())}) {ONCE}
    RETURNING id::text, {REPLACES}, {TELL_CARRIERS}::text
"""
# A `TAKE` has both times from its one statement; of a row that a worker has claimed meanwhile, and
# may have sent, they differ.
_NOT_TAKEN = f"""
    UPDATE ocpi_charging_profiles_profilecommand
    SET state = 'WAITING', sent_at = NULL, fence = {NEXT_FENCE}, {RELEASED}, attempts = 0
    WHERE key = %(key)s AND state = 'SENDING' AND sent_at = created_at
"""  # noqa: S608 - names of ours
# What a result that comes now says.
IS_NOW = f"""
        result = %(result)s::text, result_body = %(body)s, result_at = {NOW},
        is_late = state NOT IN ('ACCEPTED', 'WAITING', 'SENDING'),
        state = CASE WHEN state = 'ACCEPTED' THEN 'RESULT_' || %(result)s::text ELSE state END,
        is_result_handed_over = passed_on_at IS NOT NULL
"""
# The message that hands a result over, out of the row.
DELIVERED = {
    "receiver_id": "fsp_platform_id",
    "ordering_key": "'profile-command:' || id",
    "module": "'chargingprofiles'",
    "method": "'POST'",
    "path": "response_url",
    "body": "result_body",
    "from_country_code": "cpo_country_code",
    "from_party_id": "cpo_party_id",
    "to_country_code": "fsp_country_code",
    "to_party_id": "fsp_party_id",
    "correlation_id": "correlation_id",
}
ANSWER = f"""
        UPDATE ocpi_charging_profiles_profilecommand AS command SET
            state = CASE WHEN %(state)s::text = 'ACCEPTED' AND result <> ''
                         THEN 'RESULT_' || result ELSE %(state)s::text END,
            answered_at = {NOW}, answer_http_status = %(http_status)s, answer_body = %(body)s,
            problem = %(problem)s, lease_until = NULL,
            sent_at = CASE WHEN %(is_unsent)s::boolean THEN NULL ELSE sent_at END,
            result_by = CASE WHEN %(state)s::text = 'ACCEPTED'
                             THEN {NOW} + %(wait)s::float8 * interval '1 second' END
        WHERE id = %(id)s::bigint AND fence = %(fence)s::bigint AND state IN ('WAITING', 'SENDING')
        RETURNING {order.NEWS.format("command")}, command.lane
"""  # noqa: S608 - names of ours
# Another of its session waits for that.
IS_WAITED_FOR = """answered.method <> 'GET' AND EXISTS (
        SELECT FROM ocpi_charging_profiles_profilecommand AS other
        WHERE other.lane = answered.lane AND other.method <> 'GET' AND other.state = 'WAITING')
"""
_ANSWERED = f"""
    WITH answered AS ({ANSWER})
    SELECT {order.NEWS.format("answered")}, pg_notify('{notify.CHANNEL}', %(payload)s),
    CASE WHEN method <> 'GET' THEN {sql.DURABLE} END, {IS_WAITED_FOR}
    FROM answered
"""  # noqa: S608 - names of ours
# Whoever carries one ends it itself, in its own time.
_OVERDUE = f"""
    UPDATE ocpi_charging_profiles_profilecommand AS command SET
        state = 'TIMED_OUT', answered_at = {NOW}, lease_until = NULL,
        problem = upper(cpo_country_code) || '-' || upper(cpo_party_id)
                  || ' did not answer in time.'
    WHERE state IN ('WAITING', 'SENDING') AND answer_by < {NOW} AND {free()}
    RETURNING {order.NEWS.format("command")}, pg_notify('{notify.CHANNEL}', 'command:' || id),
              {TELL_CARRIERS}
"""  # noqa: S608 - names of ours
_EXPIRED = f"""
    UPDATE ocpi_charging_profiles_profilecommand AS command SET state = 'EXPIRED'
    WHERE state = 'ACCEPTED' AND result_by < {NOW} RETURNING {order.NEWS.format("command")}
"""  # noqa: S608 - names of ours
_LEFT_BEHIND = f"""
    SELECT id FROM ocpi_charging_profiles_profilecommand
    WHERE passed_on_at IS NULL AND NOT is_result_handed_over AND result <> '' AND answer_by < {NOW}
"""  # noqa: S608 - names of ours
_PASSED_ON = f"""
    UPDATE ocpi_charging_profiles_profilecommand
    SET passed_on_at = coalesce(passed_on_at, {NOW}), is_result_handed_over = result <> ''
    WHERE id = %(id)s AND NOT is_result_handed_over
    RETURNING {sql.columns(ProfileCommand)}
"""  # noqa: S608 - names of ours
_RESULT = f"""
    UPDATE ocpi_charging_profiles_profilecommand SET {IS_NOW}
    WHERE id = %(id)s AND result = ''
    RETURNING {sql.columns(ProfileCommand)}
"""  # noqa: S608 - names of ours


@locking.whole
def _kept(statement: str, values: dict[str, Any]) -> list[ProfileCommand]:
    """The command as it is now; its result is handed over where it is to be."""
    found = sql.rows(ProfileCommand, statement, values)
    if found and found[0].is_result_handed_over:
        found[0]._enqueue_result()
    return found
