"""The one shape of a stored object: kept whole, guarded by `last_updated`.

transport_and_format: Client Owned Object Push, PATCH; each module says who sees what.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, NamedTuple, Self

import msgspec
from django.db import connection, models, transaction
from django.utils import timezone

from hub.directory import Directory
from hub.ocpi.datatypes import ConnectionStatus
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.party import PartyId

# A clock that runs ahead must not block every later update of the object.
FUTURE_TOLERANCE: Final = timedelta(minutes=5)
# The audience of what was broadcast.
EVERYBODY: Final = ""


class Merged(NamedTuple):
    """A document with a change in it."""

    document: bytes
    last_updated: datetime


class StoredObject(models.Model):
    """A client owned object as its owner last told it, for everybody or for one party alone.

    `owner` ("NL-CPO"), `object_id` and `audience` are in upper case, so that CiStrings compare
    without case; the document keeps the sender's spelling. `audience` is empty for what was
    broadcast, else the one party that it was sent to. `id` is the order of creation.
    """

    # What tells one object from another, beside the audience.
    IDENTITY: ClassVar[tuple[str, ...]] = ("owner", "object_id")

    owner = models.CharField(max_length=6)
    object_id = models.CharField(max_length=39)
    audience = models.CharField(max_length=6, blank=True, default=EVERYBODY)
    last_updated = models.DateTimeField()
    document = models.BinaryField()
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.owner} {self.object_id}"

    @classmethod
    def named(cls, identity: Mapping[str, str]) -> "models.QuerySet[Self]":
        """The variants of one object; `identity` gives each column of IDENTITY, in upper case."""
        return cls._default_manager.filter(**identity)

    @classmethod
    def keep(
        cls,
        identity: Mapping[str, str],
        audience: str,
        document: bytes,
        last_updated: datetime,
        **more: Any,
    ) -> bool:
        """Store a whole object unless what is kept is newer; returns whether it was stored.

        What is broadcast ends the older variants that single parties were told. One statement, so
        that two at once cannot both be the newest. `more` are further columns.
        """
        own = [identity[name] for name in cls.IDENTITY]
        columns = {"last_updated": last_updated, "document": document, **more}
        columns["received_at"] = timezone.now()
        names = [*cls.IDENTITY, "audience"]
        table = cls._meta.db_table
        statement = f"""
            WITH kept AS (
                INSERT INTO {table} AS old ({", ".join([*names, *columns])})
                VALUES ({", ".join(["%s"] * (len(names) + len(columns)))})
                ON CONFLICT ({", ".join(names)}) DO UPDATE
                SET {", ".join(f"{name} = EXCLUDED.{name}" for name in columns)}
                WHERE old.last_updated <= EXCLUDED.last_updated
                   OR old.last_updated > EXCLUDED.received_at + interval '5 minutes'
                RETURNING last_updated
            ), superseded AS (
                DELETE FROM {table} USING kept
                WHERE {" AND ".join(f"{table}.{name} = %s" for name in cls.IDENTITY)}
                  AND %s = '' AND audience <> '' AND {table}.last_updated <= kept.last_updated)
            SELECT 1 FROM kept
        """  # noqa: S608 - names of our own tables and columns
        with connection.cursor() as cursor:
            cursor.execute(statement, [*own, audience, *columns.values(), *own, audience])
            return cursor.fetchone() is not None

    @classmethod
    def merge(
        cls, identity: Mapping[str, str], audience: str, change: Callable[[bytes], Merged | None]
    ) -> bool | None:
        """Change what is kept, under a lock; None when nothing is, False when it is newer.

        A change that is broadcast goes into every variant. One for a single party goes into its
        own variant, which begins as a copy of what was broadcast. `change` makes the new document
        out of a kept one, or gives None where that is newer.
        """
        with transaction.atomic():
            variants = list(cls.named(identity).select_for_update().order_by("id"))
            if audience != EVERYBODY:
                own = [one for one in variants if one.audience == audience]
                variants = own or [one for one in variants if one.audience == EVERYBODY]
            is_changed = False
            for one in variants:
                merged = change(bytes(one.document))
                if merged is None:
                    continue
                is_changed = True
                if one.audience == audience or audience == EVERYBODY:
                    one.document, one.last_updated = merged.document, merged.last_updated
                    one.received_at = timezone.now()
                    one.save(update_fields=["document", "last_updated", "received_at"])
                else:
                    cls.keep(identity, audience, merged.document, merged.last_updated)
            return is_changed if variants else None


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push on a Receiver interface, as a module keeps it.

    `ids` are those behind country_code and party_id in the URL, not percent-encoded any more.
    """

    method: str
    owner: PartyId
    ids: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes
    audience: str = EVERYBODY


def check_ids(pushed: Pushed, sent: msgspec.Struct, key: str = "id") -> None:
    """Refuse (2001) a body that names another object than its URL; a PATCH may name none."""
    in_url = {"country_code": pushed.owner.country_code, "party_id": pushed.owner.party_id}
    for name, expected in (in_url | {key: pushed.ids[0]}).items():
        value = getattr(sent, name)
        if value is not msgspec.UNSET and value.upper() != expected.upper():
            raise InvalidParameters(f"{name} is {value!r} in the body, {expected!r} in the URL.")


def is_older(last_updated: datetime, kept: datetime) -> bool:
    """Whether an update is older than what is kept; a time far ahead guards nothing."""
    return last_updated < kept <= timezone.now() + FUTURE_TOLERANCE


# --- Who may see what ---------------------------------------------------------------------------


def shared_with(
    kind: type[StoredObject], viewer: PartyId, directory: Directory
) -> "models.QuerySet[Any]":
    """What `viewer` may see of what is told to many: its own variants, else what was broadcast.

    Only of owners that may exchange this module with it, and are not suspended.
    """
    rows = kind._default_manager.filter(audience__in=[EVERYBODY, str(viewer)])
    own = kind._default_manager.filter(audience=str(viewer))
    if own.exists():
        hidden = kind._default_manager.filter(
            models.Exists(
                own.filter(**{column: models.OuterRef(column) for column in kind.IDENTITY})
            ),
            audience=EVERYBODY,
        )
        rows = rows.exclude(pk__in=hidden.values("pk"))
    module = kind._meta.app_label.removeprefix("ocpi_")
    hidden_owners = [
        str(owner)
        for owner, entry in directory.parties.items()
        if owner != viewer
        and (
            entry.status == ConnectionStatus.SUSPENDED
            or directory.closed_because(owner, viewer, module) is not None
        )
    ]
    return rows.exclude(owner__in=hidden_owners) if hidden_owners else rows


def only(rows: "models.QuerySet[Any]", what: str) -> Any:
    """The one object that an id names to this viewer.

    NotFound (404) for none; InvalidParameters (2001) when several owners use the id.
    """
    found = list(rows.order_by("id")[:10])
    if not found:
        raise NotFound(f"There is no {what} that you may see here.")
    if len(owners := sorted({str(one.owner) for one in found})) > 1:
        raise InvalidParameters(
            f"{what} exists at {' and '.join(owners)}. Name its owner in OCPI-to."
        )
    return found[0]
