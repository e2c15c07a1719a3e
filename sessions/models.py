"""Sessions as the hub keeps them: the CPO's document, whole (mod_sessions, Flow and Lifecycle)."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final, NamedTuple

import msgspec
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models.functions import Upper
from django.utils import timezone

from hub.db import sql
from hub.models import quotas
from hub.models.versions import came_in
from hub.ocpi import heads, lenient
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.lenient import Deviation
from hub.ocpi.party import PartyId
from hub.store.pushed import FUTURE_TOLERANCE, is_far_ahead
from sessions import storing, underway
from sessions.handed_on import HandedOn as HandedOn
from sessions.head import Push as Push
from sessions.head import contradicting, read
from sessions.merging import merged
from sessions.objects import OVER, SessionStatus

# How much longer than the call itself a process may need before it counts as dead.
GRACE: Final = timedelta(seconds=5)
LONGEST_ID: Final = 255


class SessionTold(NamedTuple):
    """What a push of a Session has told: the Session as it is now, None when nothing new."""

    session: "Session | None"
    deviations: tuple[Deviation, ...] = ()


class SessionQuerySet(models.QuerySet["Session"]):
    """Queries by the specification's ids; CiStrings compare without case."""

    def owned(self, owner: PartyId, session_id: str) -> "SessionQuerySet":
        """The session that this CPO calls `session_id`."""
        return self.filter(
            country_code__iexact=owner.country_code,
            party_id__iexact=owner.party_id,
            session_id__iexact=session_id,
        )

    def named(self, session_id: str) -> "SessionQuerySet":
        """All sessions with this id: two CPOs may use the same."""
        return self.filter(session_id__iexact=session_id)


class Session(models.Model):
    """One charging session, as its CPO last told it.

    A Session is known from the moment at which it leaves for its first receiver, which may speak of
    it before it answers (ocpi/ocpi#378); until one has accepted it, nobody is shown it.
    """

    MODULE: ClassVar[str] = "sessions"

    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    session_id = models.CharField(max_length=LONGEST_ID)
    # Empty, like all columns below, if the document does not say.
    emsp_country_code = models.CharField(max_length=2, blank=True)
    emsp_party_id = models.CharField(max_length=3, blank=True)
    token_uid = models.CharField(max_length=255, blank=True)
    token_type = models.CharField(max_length=40, blank=True)
    location_id = models.CharField(max_length=255, blank=True)
    evse_uid = models.CharField(max_length=255, blank=True)
    status = models.CharField(
        max_length=40, choices=[(s.value, s.value) for s in SessionStatus], blank=True
    )
    last_updated = models.DateTimeField()
    # The hour of it, counted from 1970. With an index of `last_updated` itself each update of a
    # Session would write to all indexes (no HOT update): with this one it does so once an hour.
    updated_hour = models.GeneratedField(
        expression=models.Func(
            models.F("last_updated"),
            template="floor(date_part('epoch', %(expressions)s AT TIME ZONE 'UTC') / 3600)::int",
        ),
        output_field=models.IntegerField(),
        db_persist=True,
    )
    # `last_updated` of the last whole document: what came before is in it, or was taken back by it.
    put_last_updated = models.DateTimeField(null=True, blank=True)
    document = models.BinaryField()
    ocpi_version = came_in()
    # The parties ("NL-SCS") to which the CPO itself sent the session.
    sent_to = ArrayField(models.CharField(max_length=6), default=list)
    received_at = models.DateTimeField(auto_now=True)
    created_at = models.DateTimeField(default=timezone.now)
    # The eMSP ("NL-MSP") that did not answer the last change, which was kept, and given to the
    # flexibility provider, all the same (docs/decisions/0032).
    unanswered_by = models.CharField(max_length=6, blank=True, default="", db_default="")
    # A receiver has accepted it, or its flexibility provider has it in spite of a silent eMSP.
    is_accepted = models.BooleanField(default=True, db_default=True)
    # The parties to which it is on its way for the first time; after a process that died, until ..
    underway_to = ArrayField(models.CharField(max_length=6), default=list, blank=True)
    underway_until = models.DateTimeField(null=True, blank=True)
    # Preferences have come meanwhile, and wait for it (flex.models.PreferenceCopy).
    has_waiting = models.BooleanField(default=False, db_default=False)

    objects = SessionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Upper("country_code"), Upper("party_id"), Upper("session_id"), name="session_once"
            )
        ]
        indexes = [
            models.Index(Upper("session_id"), name="session_by_id"),
            models.Index(fields=["created_at"], name="session_by_age"),
            # Lists and counts of a party, out of these alone. Their columns hardly ever change.
            models.Index(
                fields=["country_code", "party_id", "id"],
                include=["is_accepted"],
                name="session_of_owner",
            ),
            models.Index(
                fields=["emsp_country_code", "emsp_party_id", "id"],
                include=["country_code", "party_id", "is_accepted"],
                name="session_of_emsp",
            ),
            models.Index(fields=["updated_hour"], name="session_by_hour"),
            # What a driver sees of its own, the latest first; the erasure of a driver.
            models.Index(Upper("token_uid"), "id", name="session_of_token"),
            # The sessions that go on at a Location; neither column changes with a push.
            models.Index(
                Upper("location_id"),
                condition=~models.Q(status__in=["COMPLETED", "INVALID"]),
                name="session_live_at",
            ),
            models.Index(
                fields=["underway_until"],
                condition=models.Q(is_accepted=False),
                name="session_underway",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.session_id}"

    @staticmethod
    def updated_since(rows: "models.QuerySet[Session]", moment: datetime) -> Any:
        """Those of `rows` whose `last_updated` is not before a moment."""
        hour = moment.timestamp() // 3600
        return rows.filter(updated_hour__gte=hour, last_updated__gte=moment)

    @property
    def owner(self) -> PartyId:
        """The CPO of the session."""
        return PartyId(self.country_code.upper(), self.party_id.upper())

    @property
    def emsp(self) -> PartyId:
        """The eMSP of the `cdr_token`."""
        return PartyId(self.emsp_country_code.upper(), self.emsp_party_id.upper())

    @property
    def is_over(self) -> bool:
        """No more modifications will be made (mod_sessions: SessionStatus)."""
        return self.status in OVER

    @property
    def kwh(self) -> Decimal | None:
        """How much was charged, in kWh; None where the document does not say."""
        return lenient.number(_read_energy(bytes(self.document)).kwh)

    def is_known_to(self, party: PartyId) -> bool:
        """Whether the CPO itself sent it to this party, or is just doing so."""
        if str(party) in self.sent_to:
            return True
        return (
            str(party) in self.underway_to
            and self.underway_until is not None
            and self.underway_until > timezone.now()
        )

    @property
    def is_underway(self) -> bool:
        """Whether no receiver has accepted it yet, and one still may."""
        return (
            not self.is_accepted
            and self.underway_until is not None
            and self.underway_until > timezone.now()
        )

    @classmethod
    def leaves(cls, push: Push) -> bool:
        """Let it be known before it is sent to a receiver for the first time; whether it is new.

        InvalidParameters for an id that the hub could not keep, QuotaReached for one too many. What
        is not a Session of this owner is left to its receiver.
        """
        session_id = push.session_id
        if len(session_id) > LONGEST_ID or "\0" in session_id:
            raise InvalidParameters(
                f"The session id has {len(session_id)} characters, or NUL among them; the text "
                f"allows 36, this hub {LONGEST_ID}."
            )
        values = cls.as_leaving(push)
        if values is None:
            return False
        if (
            not quotas.room(str(push.owner), cls.MODULE)
            and not cls.objects.owned(push.owner, session_id).exists()
        ):
            quotas.refuse(str(push.owner), cls.MODULE)
        found = sql.run(storing.LEAVES, values)
        return cls.has_left(push, is_new=found[0][0] if found else None)

    @staticmethod
    def has_left(push: Push, *, is_new: bool | None) -> bool:
        """Remember what `storing.LEAVES` has said; None where this receiver has it already."""
        if is_new is None:
            underway.remember(push.owner, push.session_id, push.receiver)
        elif is_new:
            quotas.add(str(push.owner), Session.MODULE)
        return bool(is_new)

    @classmethod
    def as_leaving(cls, push: Push) -> dict[str, Any] | None:
        """The parameters of `storing.LEAVES`; None for what is not a Session of that name."""
        document = heads.object_of(push.body)
        if document is None or contradicting(head := read(document), push):
            return None
        now = timezone.now()
        return head.values(push, document, now) | {
            "sent_to": [],
            "is_accepted": False,
            "underway_to": [str(push.receiver)],
            "underway_until": now + timedelta(seconds=settings.FORWARD_TIMEOUT) + GRACE,
        }

    @classmethod
    def put(cls, push: Push) -> SessionTold:
        """Keep a whole Session that a receiver has accepted, as the URL names it.

        Nothing new is told when the hub's own is newer, or when it is not a Session of that name.
        """
        values = cls.as_kept(push)
        if isinstance(values, SessionTold):
            return values
        kept = sql.run(storing.KEEP, values)
        underway.remember(push.owner, push.session_id, push.receiver)
        if not kept:
            sql.run(storing.SENT_TOO, values)
            return SessionTold(None)
        # What was just sent to the database is not fetched from it.
        known = values | dict(zip(storing.RETURNED, kept[0], strict=True))
        return SessionTold(cls.from_db(None, _KNOWN, [known[name] for name in _KNOWN]))

    @classmethod
    def put_unanswered(cls, push: Push) -> "Session | None":
        """Keep a whole Session that its eMSP did not answer; None when it tells nothing new."""
        values = cls.as_kept(push)
        if isinstance(values, SessionTold):
            return None
        kept = sql.run(storing.KEEP, values | {"sent_to": [], "unanswered_by": str(push.receiver)})
        return cls.find(push.owner, push.session_id) if kept else None

    @classmethod
    def patch_unanswered(cls, push: Push) -> "Session | None":
        """Merge a PATCH that the eMSP did not answer; None when it tells nothing new."""
        patch = cls.as_patch(push)
        found = cls.find(push.owner, push.session_id, for_update=True)
        if isinstance(patch, SessionTold) or found is None:
            return None
        return found._patched(patch, push.receiver, is_answered=False).session

    @classmethod
    def as_kept(cls, push: Push) -> dict[str, Any] | SessionTold:
        """The parameters of `storing.KEEP`; a Told when it is not a Session of that name."""
        document = heads.object_of(push.body)
        if document is None:
            return SessionTold(None, (Deviation("wrong-kind", "Session"),))
        head = read(document)
        if denied := contradicting(head, push):
            return SessionTold(None, denied)
        now = timezone.now()
        return head.values(push, document, now) | {
            "sent_to": [str(push.receiver)],
            "is_accepted": True,
            "underway_to": [],
            "underway_until": None,
            "receiver": str(push.receiver),
            "ahead": now + FUTURE_TOLERANCE,
        }

    @classmethod
    def patch(cls, push: Push) -> SessionTold:
        """Merge a PATCH that a receiver has accepted into the kept Session, if one is kept here.

        `charging_periods` are added to those of the session, never replaced (PATCH Method); a
        PATCH older than what is kept changes nothing else, and one that repeats another nothing.
        """
        patch = cls.as_patch(push)
        if isinstance(patch, SessionTold):
            return patch
        with transaction.atomic(savepoint=False):
            found = cls.find(push.owner, push.session_id, for_update=True)
            return SessionTold(None) if found is None else found._patched(patch, push.receiver)

    @classmethod
    def as_patch(cls, push: Push) -> "SessionPatch | SessionTold":
        """A PATCH as it is merged; what it has told when it is not one of that Session."""
        changes = heads.object_of(push.body)
        if changes is None:
            return SessionTold(None, (Deviation("wrong-kind", "Session"),))
        head = read(changes)
        if denied := contradicting(head, push):
            return SessionTold(None, denied)
        return SessionPatch(changes, lenient.moment(head.last_updated))

    def _patched(
        self, patch: "SessionPatch", receiver: PartyId, *, is_answered: bool = True
    ) -> SessionTold:
        was_accepted, was_document = self.is_accepted, bytes(self.document)
        change = patch.into(was_document, self.last_updated, self.put_last_updated)
        if is_answered:
            self.sent_to = [*self.sent_to, *({str(receiver)} - set(self.sent_to))]
        self.unanswered_by = "" if is_answered else str(receiver)
        self.is_accepted = True  # A receiver that takes a PATCH has the Session.
        self.document = change.document
        self.last_updated = change.last_updated
        for name, value in change.columns.items():
            # What a PATCH takes back, or spells unreadably, stays as it was known.
            if value:
                setattr(self, name, value)
        self.received_at = timezone.now()
        sql.run(storing.CHANGE, self._changed())
        is_news = change.document != was_document or not was_accepted
        return SessionTold(self if is_news else None, change.deviations)

    def _changed(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*storing.CHANGED, "id")}

    @classmethod
    def find(cls, owner: PartyId, session_id: str, *, for_update: bool = False) -> "Session | None":
        """The session that this CPO calls `session_id`."""
        found = sql.rows(
            cls,
            f"""
            SELECT {sql.columns(cls)} FROM ocpi_sessions_session
            WHERE upper(country_code) = upper(%s) AND upper(party_id) = upper(%s)
              AND upper(session_id) = upper(%s)
            {"FOR UPDATE" if for_update else ""}
            """,  # noqa: S608 - columns of ours
            (owner.country_code, owner.party_id, session_id),
        )
        return found[0] if found else None

    @classmethod
    def refused(cls, push: Push) -> "Session | None":
        """Note that it did not reach this receiver; in the caller's transaction.

        The Session, locked, when it is on its way to nobody any more and nobody has accepted it:
        the caller forgets it, with what hangs on it.
        """
        found = cls.find(push.owner, push.session_id, for_update=True)
        receiver = str(push.receiver)
        if found is None or receiver not in found.underway_to:
            return None
        found.underway_to = [one for one in found.underway_to if one != receiver]
        found.save(update_fields=["underway_to"])
        return None if found.is_accepted or found.underway_to else found

    @classmethod
    def left_behind(cls) -> "models.QuerySet[Session]":
        """The Sessions on their way whose process has died."""
        return cls.objects.filter(is_accepted=False, underway_until__lt=timezone.now())


class SessionChange(NamedTuple):
    """What a PATCH makes of a Session; of `columns` those that are not empty."""

    document: bytes
    last_updated: datetime
    columns: dict[str, str]
    deviations: tuple[Deviation, ...]


class SessionPatch(NamedTuple):
    """A PATCH of a Session, and its `last_updated`."""

    changes: bytes
    moment: datetime | None

    def into(
        self, document: bytes, last_updated: datetime, put_last_updated: datetime | None
    ) -> SessionChange:
        """The Session with the PATCH in it."""
        is_newer = not _is_before(self.moment, last_updated)
        merge = merged(
            document,
            self.changes,
            sets_fields=is_newer,
            adds_periods=not _is_before(self.moment, put_last_updated),
        )
        if self.moment is not None and is_newer:
            last_updated = self.moment
        columns = read(merge.document).columns()
        return SessionChange(merge.document, last_updated, columns, merge.deviations)


class _Energy(msgspec.Struct):
    kwh: Any = None


_read_energy = heads.reader(_Energy)

# In the order in which Django reads them.
_KNOWN = [
    field.attname
    for field in Session._meta.concrete_fields
    if field.attname
    in {*storing.RETURNED, *storing.IDENTITY, *storing.TOLD, "is_accepted"} - {"put_last_updated"}
]


def _is_before(moment: datetime | None, kept: datetime | None) -> bool:
    """Whether an update is older than what is kept; a time far ahead guards nothing."""
    return moment is not None and kept is not None and moment < kept and not is_far_ahead(kept)
