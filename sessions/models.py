"""Sessions as the hub keeps them: the CPO's document, whole (mod_sessions, Flow and Lifecycle)."""

import msgspec
from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models.functions import Upper
from django.utils import timezone

from hub import statements
from hub.ocpi.datatypes import decode, utc
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.party import PartyId
from hub.ocpi.patches import last_updated_of
from hub.store import FUTURE_TOLERANCE
from sessions.objects import Session as SessionObject
from sessions.objects import SessionStatus


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
    """One charging session, as its CPO last told it."""

    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    session_id = models.CharField(max_length=36)
    emsp_country_code = models.CharField(max_length=2)
    emsp_party_id = models.CharField(max_length=3)
    token_uid = models.CharField(max_length=36)
    token_type = models.CharField(max_length=12)
    location_id = models.CharField(max_length=36)
    evse_uid = models.CharField(max_length=36)
    status = models.CharField(
        max_length=11, choices=[(s.value, s.value) for s in SessionStatus], db_index=True
    )
    last_updated = models.DateTimeField()
    document = models.BinaryField()
    # "NL-SCS": the parties to which the CPO itself sent the session.
    sent_to = ArrayField(models.CharField(max_length=6), default=list)
    received_at = models.DateTimeField(auto_now=True)
    created_at = models.DateTimeField(default=timezone.now)

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
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.session_id}"

    @property
    def owner(self) -> PartyId:
        """The CPO."""
        return PartyId(self.country_code.upper(), self.party_id.upper())

    @property
    def emsp(self) -> PartyId:
        """The eMSP of the `cdr_token`."""
        return PartyId(self.emsp_country_code.upper(), self.emsp_party_id.upper())

    @property
    def is_over(self) -> bool:
        """No more modifications will be made (mod_sessions: SessionStatus)."""
        return self.status in {SessionStatus.COMPLETED, SessionStatus.INVALID}

    @property
    def object(self) -> SessionObject:
        """The document as a Struct."""
        return decode(bytes(self.document), SessionObject)

    @classmethod
    def put(
        cls, document: bytes, sent_to: PartyId, *, url: tuple[PartyId, str] | None = None
    ) -> "Session | None":
        """Keep a whole Session; None when what the hub has is newer.

        InvalidParameters when the document is no Session, or not the one that its URL names.
        """
        received = decode(document, SessionObject)
        owner = PartyId.of(received.country_code, received.party_id)
        _check_identity(received, *(url or (owner, received.id)))
        return cls._keep(document, received, sent_to)

    @classmethod
    def patch(
        cls, owner: PartyId, session_id: str, changes: bytes, sent_to: PartyId
    ) -> "Session | None":
        """Merge a PATCH into the kept Session; None when it is not kept here, or is newer.

        `charging_periods` are added to those of the session, never replaced (PATCH Method).
        """
        with transaction.atomic(savepoint=False):
            found = cls.find(owner, session_id, for_update=True)
            if found is None:
                return None
            document = merged(bytes(found.document), changes)
            received = decode(document, SessionObject)
            _check_identity(received, owner, session_id)
            return cls._keep(document, received, sent_to)

    @classmethod
    def find(cls, owner: PartyId, session_id: str, *, for_update: bool = False) -> "Session | None":
        """The session that this CPO calls `session_id`."""
        found = statements.rows(
            cls,
            f"""
            SELECT {statements.columns(cls)} FROM ocpi_sessions_session
            WHERE upper(country_code) = upper(%s) AND upper(party_id) = upper(%s)
              AND upper(session_id) = upper(%s)
            {"FOR UPDATE" if for_update else ""}
            """,  # noqa: S608 - columns of ours
            (owner.country_code, owner.party_id, session_id),
        )
        return found[0] if found else None

    @classmethod
    def _keep(cls, document: bytes, received: SessionObject, sent_to: PartyId) -> "Session | None":
        """Store the document if it is not older than what is kept, and who was sent it."""
        now = timezone.now()
        values = {
            "country_code": received.country_code,
            "party_id": received.party_id,
            "session_id": received.id,
            "emsp_country_code": received.cdr_token.country_code,
            "emsp_party_id": received.cdr_token.party_id,
            "token_uid": received.cdr_token.uid,
            "token_type": received.cdr_token.type,
            "location_id": received.location_id,
            "evse_uid": received.evse_uid,
            "status": received.status,
            "last_updated": utc(received.last_updated),
            "document": document,
            "sent_to": [str(sent_to)],
            "received_at": now,
            "created_at": now,
            "ahead": now + FUTURE_TOLERANCE,
        }
        kept = statements.rows(cls, _KEEP, values)
        if not kept:
            statements.run(_SENT_TOO, values)
        return kept[0] if kept else None


_IDENTITY = ("country_code", "party_id", "session_id")
_TOLD = (
    *("emsp_country_code", "emsp_party_id", "token_uid", "token_type", "location_id"),
    *("evse_uid", "status", "last_updated", "document", "received_at"),
)
_STORED = (*_IDENTITY, *_TOLD, "sent_to", "created_at")
# One statement: two first PUTs at once meet in the index, and no lock is held over a round trip.
_KEEP = f"""
    INSERT INTO ocpi_sessions_session AS kept ({", ".join(_STORED)})
    VALUES ({", ".join(f"%({name})s" for name in _STORED)})
    ON CONFLICT (upper(country_code), upper(party_id), upper(session_id)) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in _TOLD)},
        sent_to = CASE WHEN kept.sent_to @> excluded.sent_to THEN kept.sent_to
                       ELSE kept.sent_to || excluded.sent_to END
    WHERE kept.last_updated <= excluded.last_updated OR kept.last_updated > %(ahead)s
    RETURNING {statements.columns(Session)}
"""  # noqa: S608 - names of ours
_SENT_TOO = """
    UPDATE ocpi_sessions_session SET sent_to = sent_to || %(sent_to)s::varchar[]
    WHERE upper(country_code) = upper(%(country_code)s) AND upper(party_id) = upper(%(party_id)s)
      AND upper(session_id) = upper(%(session_id)s) AND NOT sent_to @> %(sent_to)s::varchar[]
"""


def _check_identity(received: SessionObject, owner: PartyId, session_id: str) -> None:
    """The URL says whose Session it is, and the gateway has checked the URL's owner."""
    named = PartyId.of(received.country_code, received.party_id)
    if (named, received.id.upper()) != (owner, session_id.upper()):
        raise InvalidParameters(f"It names {named} {received.id}, its URL {owner} {session_id}.")


class _Periods(msgspec.Struct):
    charging_periods: list[msgspec.Raw] | None = None


def merged(document: bytes, changes: bytes) -> bytes:
    """The document with the PATCH applied; untouched fields keep their bytes.

    The same PATCH comes once for each party that the CPO sends it to: its `charging_periods` are
    added once. InvalidParameters (2001) when `last_updated` is missing.
    """
    fields = decode(document, dict[str, msgspec.Raw])
    patch = decode(changes, dict[str, msgspec.Raw])
    if "last_updated" not in patch:
        raise InvalidParameters("A PATCH of a Session must contain last_updated.")
    if "charging_periods" in patch:
        kept = decode(document, _Periods).charging_periods or []
        added = decode(changes, _Periods).charging_periods or []
        if kept[-len(added) :] == added and last_updated_of(changes) == last_updated_of(document):
            added = []
        patch["charging_periods"] = msgspec.Raw(msgspec.json.encode(kept + added))
    return msgspec.json.encode(fields | patch)
