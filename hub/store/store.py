"""The one shape of a stored object: kept whole, guarded by `last_updated`.

transport_and_format: Client Owned Object Push, PATCH; each module says who sees what.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple, Self, TypeVar

from django.db import connection, models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from hub.db import sql
from hub.models import quotas
from hub.models.versions import came_in
from hub.ocpi.comparison import plain
from hub.ocpi.errors import UnknownLocation
from hub.ocpi.reading import Essentials, Reading
from hub.store import whole_objects
from hub.store.pushed import (
    EVERYBODY,
    FUTURE_TOLERANCE,
    ITS_OWNER,
    Pushed,
    PushOutcome,
    PushResult,
)

_NOTHING_MORE: Final[Mapping[str, Any]] = {}


class Merged(NamedTuple):
    """A document with a change in it; `is_new` when the change is a new part of it.

    `more` are further columns.
    """

    document: bytes
    last_updated: datetime
    is_new: bool = False
    deviates: bool = False
    more: Mapping[str, Any] = _NOTHING_MORE


_Row = TypeVar("_Row")
# What a kept row becomes; None where it is newer than the change.
Change = Callable[[_Row], Merged | None]


class Whole(NamedTuple):
    """A whole object: the values of its kind's IDENTITY in upper case, and what is kept of it.

    `more` are the values of its kind's MORE.
    """

    identity: tuple[str, ...]
    document: bytes
    last_updated: datetime
    deviates: bool = False
    more: Mapping[str, Any] = _NOTHING_MORE


class StoredObject(models.Model):
    """A client owned object as its owner last told it, for everybody or for one party alone.

    `owner` ("NL-CPO"), `object_id` and `audience` are in upper case, so that CiStrings compare
    without case; the document keeps the sender's spelling. `audience` is empty for what was
    broadcast, else the one party that it was sent to. `id` is the order of creation. `told_by` is
    empty, or the aggregator ("NL-NAP") that told it in its owner's stead: the owner's own word
    takes its place however old it is, and is never replaced by an aggregator's.

    Writers lock the object's name first (`lock`). One case skips that lock: a whole PUT of the row
    for everybody when `has_variants` is false, in one statement that locks this row. A writer of a
    variant sets `has_variants` first, so the two cases cannot overlap.
    """

    # The columns that identify an object, beside the audience.
    IDENTITY: ClassVar[tuple[str, ...]] = ("owner", "object_id")
    # Further columns of a whole object, and their types.
    MORE: ClassVar[Mapping[str, str]] = {}
    # The module whose objects these are, which also names their quota.
    MODULE: ClassVar[str]
    # What must be readable of a whole object, and which field of it is its id.
    ESSENTIALS: ClassVar[Essentials]
    KEY: ClassVar[str] = "id"
    # Whether a deviating one is left out for platforms that want none (hub/store/leaving_out.py).
    MAY_BE_LEFT_OUT: ClassVar[bool] = False

    owner = models.CharField(max_length=6)
    object_id = models.CharField(max_length=39)
    audience = models.CharField(max_length=6, blank=True, default=EVERYBODY)
    last_updated = models.DateTimeField()
    document = models.BinaryField()
    ocpi_version = came_in()
    received_at = models.DateTimeField(default=timezone.now)
    told_by = models.CharField(
        max_length=6, blank=True, default=ITS_OWNER, db_default=ITS_OWNER, editable=False
    )
    # In a row for everybody: there may be rows for single parties beside it.
    has_variants = models.BooleanField(default=False, db_default=False)
    # Whether the document differs from the text somewhere, and until when the one of the same row
    # did not: None when it always has, or does not. Who may hold it is told by this
    # (hub/store/leaving_out.py).
    deviates = models.BooleanField(default=False, db_default=False)
    clean_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.owner} {self.object_id}"

    @classmethod
    def push(cls, pushed: Pushed) -> PushResult:
        """Keep a push on the Receiver interface; of the kinds that are broadcast."""
        raise NotImplementedError(cls)

    @staticmethod
    def identity(pushed: Pushed) -> dict[str, str]:
        """Which object the URL names; of the kinds that are broadcast."""
        raise NotImplementedError

    def part(self, ids: Sequence[str]) -> bytes | None:
        """The document, or of it the part that these ids name; None when it has none such."""
        return None if ids else bytes(self.document)

    @classmethod
    def named(cls, identity: Mapping[str, str]) -> "models.QuerySet[Self]":
        """The variants of one object; `identity` gives each column of IDENTITY, in upper case."""
        return cls._default_manager.filter(**identity)

    @classmethod
    def lock(cls, identity: Mapping[str, str]) -> None:
        """Wait for other writers of this object; until the transaction ends.

        Every writer takes it first: rows of new variants cannot be locked yet, and writers
        that lock variants one by one would wait for each other.
        """
        sql.run(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            ["/".join((cls._meta.db_table, *(identity[name] for name in cls.IDENTITY)))],
        )

    @classmethod
    def keep(
        cls,
        identity: Mapping[str, str],
        audience: str,
        document: bytes,
        last_updated: datetime,
        *,
        deviates: bool = False,
        told_by: str = ITS_OWNER,
        **more: Any,
    ) -> PushOutcome:
        """Store a whole object unless what its audience has is newer, or its owner's own word.

        What is broadcast ends the older variants that single parties were told. `deviates` says
        that the document differs from the text somewhere; `more` are further columns.
        """
        values = {name: identity[name] for name in cls.IDENTITY} | {
            "audience": audience,
            "last_updated": last_updated,
            "document": document,
            "received_at": timezone.now(),
            "deviates": deviates,
            "told_by": told_by,
            **more,
        }
        return cls._keep(identity, values).kept

    @classmethod
    def _keep(cls, identity: Mapping[str, str], values: dict[str, Any]) -> PushResult:
        """Store a whole object by its columns; `body` is the document that is kept then."""
        audience = values["audience"]
        is_alone = audience == EVERYBODY and not connection.in_atomic_block
        if is_alone and sql.run(whole_objects.replace_statement(cls, tuple(values)), values):
            return PushResult(PushOutcome.CHANGED, values["document"])
        with transaction.atomic(savepoint=False):
            cls.lock(identity)
            party = values["told_by"] or identity["owner"]
            if audience != EVERYBODY:
                cls._mark_varied(identity)  # Its receiver has taken it: it is kept.
            elif not quotas.room(party, cls.MODULE) and not cls.named(identity).exists():
                quotas.refuse(party, cls.MODULE)
            told = cls._keep_locked(identity, values)
        if told.kept is PushOutcome.CREATED:
            quotas.add(party, cls.MODULE)
        return told

    @classmethod
    def _keep_locked(cls, identity: Mapping[str, str], values: dict[str, Any]) -> PushResult:
        found = sql.run(whole_objects.keep_statement(cls, tuple(values)), values)
        kept = (
            (PushOutcome.CREATED if found[0][0] else PushOutcome.CHANGED)
            if found
            else PushOutcome.OLDER
        )
        return PushResult(kept, values["document"])

    @classmethod
    def gives_way(cls, kept: str, sent: str) -> str:
        """The SQL condition that the row `kept` may be replaced by what is sent.

        Its owner's word goes before an aggregator's; of the same kind, the later one counts. `sent`
        makes a column's value out of its name.
        """
        told_by = sent.format("told_by")
        return f"""(
            {kept}.told_by <> '' AND {told_by} = ''
            OR ({kept}.told_by = '') = ({told_by} = '') AND {cls.is_not_newer(kept, sent)}
        )"""

    @classmethod
    def is_not_newer(cls, kept: str, sent: str) -> str:
        """The same between versions of one kind of teller; a time far ahead protects nothing."""
        last_updated, received_at = map(sent.format, ("last_updated", "received_at"))
        ahead = f"{received_at} + interval '{FUTURE_TOLERANCE.total_seconds():.0f} s'"
        return f"({kept}.last_updated <= {last_updated} OR {kept}.last_updated > {ahead})"

    @classmethod
    def whole(cls, identity: tuple[str, ...], document: bytes, reading: Reading) -> Whole:
        """An object of a list that was pulled."""
        return Whole(identity, document, reading.last_updated, bool(reading.differences))

    @classmethod
    def _mark_varied(cls, identity: Mapping[str, str]) -> None:
        cls.named(identity).filter(audience=EVERYBODY).update(has_variants=True)

    @classmethod
    def keep_changed(
        cls, objects: Sequence[Whole], told_by: str = ITS_OWNER, left_out: list[Whole] | None = None
    ) -> list[Whole]:
        """Store those for everybody that are new, or say something else than what is kept.

        Each identity once; what is new beyond a quota goes into `left_out`. Two statements for all,
        in the caller's transaction; the second is guarded as in `keep`, so that a push of the same
        moment is not overwritten.
        """
        if not objects:
            return []
        known = cls._known(objects, told_by)
        now = timezone.now()
        changed = [one for one in objects if _says_more(one, known.get(one.identity), now)]
        same_moment = [
            one
            for one in changed
            if (kept := known.get(one.identity)) is not None and kept[0] == one.last_updated
        ]
        if same_moment:
            said_already = cls._said_already(same_moment, told_by)
            changed = [one for one in changed if one.identity not in said_already]
        changed = cls._within_quota(changed, known.keys(), told_by, left_out)
        return cls._keep_all(changed, known.keys(), told_by)

    @classmethod
    def _within_quota(
        cls,
        changed: list[Whole],
        known: Collection[tuple[str, ...]],
        told_by: str,
        left_out: list[Whole] | None,
    ) -> list[Whole]:
        """The known objects, and as many of the new ones as may be added."""
        names = (one.identity for one in changed if one.identity not in known)
        beyond = quotas.beyond({name: told_by or name[0] for name in names}, cls.MODULE)
        if left_out is not None:
            left_out += [one for one in changed if one.identity in beyond]
        return [one for one in changed if one.identity not in beyond]

    @classmethod
    def _keep_all(
        cls, changed: list[Whole], known: Collection[tuple[str, ...]], told_by: str
    ) -> list[Whole]:
        """Store them at once, except what is newer by now; those of `known` are locked."""
        if not changed:
            return []
        changed.sort(key=lambda one: one.identity)  # One order of locks for all.
        for one in changed:
            if one.identity in known or told_by:  # Nobody can merge a change into a new row.
                cls.lock(cls.as_identity(one))
        kept_now = set(
            sql.run(
                whole_objects.all_statement(cls),
                [
                    told_by,
                    *_columns(changed),
                    [one.last_updated for one in changed],
                    [one.document for one in changed],
                    [one.deviates for one in changed],
                    *([one.more[name] for one in changed] for name in cls.MORE),
                    told_by,
                ],
            )
        )
        for identity in kept_now.difference(known):
            quotas.add(told_by or identity[0], cls.MODULE)
        return [one for one in changed if one.identity in kept_now]

    @classmethod
    def as_identity(cls, one: Whole) -> dict[str, str]:
        """The columns that identify the object."""
        return dict(zip(cls.IDENTITY, one.identity, strict=True))

    @classmethod
    def _known(
        cls, objects: Sequence[Whole], told_by: str, what: str = "md5(document)"
    ) -> dict[tuple[str, ...], tuple[datetime, Any]]:
        """`last_updated` of what is kept of each, and its document or what is computed of it.

        Either of what owners told, or of what aggregators told: these are independent.
        """
        names = ", ".join(cls.IDENTITY)
        types = ", ".join(["%s::text[]"] * len(cls.IDENTITY))
        found = sql.run(
            f"SELECT {names}, last_updated, {what} FROM {cls._meta.db_table} "  # noqa: S608 - names of our own
            f"JOIN unnest({types}) AS sent ({names}) USING ({names}) "
            "WHERE audience = '' AND (told_by = '') = (%s = '')",
            [*_columns(objects), told_by],
        )
        return {row[:-2]: row[-2:] for row in found}

    @classmethod
    def _said_already(cls, objects: Sequence[Whole], told_by: str) -> set[tuple[str, ...]]:
        """Those that are kept with the same content, perhaps in other bytes after a PATCH."""
        known = cls._known(objects, told_by, "document")
        return {
            one.identity
            for one in objects
            if one.identity in known and plain(bytes(known[one.identity][1])) == plain(one.document)
        }

    @classmethod
    def merge(
        cls,
        identity: Mapping[str, str],
        audience: str,
        change: Change[Self],
        told_by: str = ITS_OWNER,
    ) -> PushOutcome | None:
        """Change what is kept of this teller; None when nothing is.

        A change that is broadcast goes into every variant that has what it changes. One for a
        single party goes into its own variant, which begins as a copy of what was broadcast.
        `change` makes the new document out of a kept row, gives None where that is newer, and
        raises UnknownLocation where the changed part is not in it.
        """
        with transaction.atomic(savepoint=False):
            cls.lock(identity)
            rows = cls.named(identity).filter(told_by=told_by)
            # The row for everybody comes first, and decides whether a broadcast says anything new.
            variants = {one.audience: one for one in rows.order_by("audience").select_for_update()}
            if told_by and not variants and cls.is_told_by_owner(identity):
                return PushOutcome.OLDER
            if audience == EVERYBODY:
                return cls._merge_all(identity, variants, change) if variants else None
            row = variants.get(audience)
            row = row if row is not None and row.document else variants.get(EVERYBODY)
            return None if row is None else cls._merge_one(identity, audience, row, change)

    @classmethod
    def is_told_by_owner(cls, identity: Mapping[str, str]) -> bool:
        """Whether the owner itself tells the object, to all or to a single party."""
        return cls.named(identity).filter(told_by=ITS_OWNER).exists()

    @classmethod
    def _merge_one(
        cls, identity: Mapping[str, str], audience: str, row: Self, change: Change[Self]
    ) -> PushOutcome:
        merged = change(row)
        if merged is None:
            return PushOutcome.OLDER
        document, last_updated, is_new, deviates, more = merged
        cls.keep(identity, audience, document, last_updated, deviates=deviates, **more)
        return PushOutcome.CREATED if is_new else PushOutcome.CHANGED

    @classmethod
    def _merge_all(
        cls, identity: Mapping[str, str], variants: Mapping[str, Self], change: Change[Self]
    ) -> PushOutcome:
        outcome, lacks_part = PushOutcome.OLDER, None
        for audience, row in variants.items():
            try:
                merged = change(row)
            except UnknownLocation as unknown:
                lacks_part = unknown
                continue
            if merged is not None:
                cls._replace(identity, audience, merged)
                new = PushOutcome.CREATED if merged.is_new else PushOutcome.CHANGED
                outcome = max(outcome, new)
            elif audience == EVERYBODY:
                return PushOutcome.OLDER
        if lacks_part is not None and not outcome:
            raise lacks_part
        return outcome

    @classmethod
    def _replace(cls, identity: Mapping[str, str], audience: str, merged: Merged) -> None:
        now = models.Value(timezone.now())
        since = models.Case(models.When(deviates=True, then="clean_until"), default=now)
        cls.named(identity).filter(audience=audience).update(
            document=merged.document,
            last_updated=merged.last_updated,
            received_at=Now(),
            deviates=merged.deviates,
            clean_until=since if merged.deviates else None,
            **merged.more,
        )


def _says_more(one: Whole, kept: tuple[datetime, str] | None, now: datetime) -> bool:
    """Whether an object is newer than the stored one, or says something else at its time.

    `kept` is the time and the MD5 of the stored document.
    """
    if kept is None:
        return True
    moment, digest = kept
    if one.last_updated == moment:
        return hashlib.md5(one.document, usedforsecurity=False).hexdigest() != digest
    return one.last_updated > moment or moment > now + FUTURE_TOLERANCE


def _columns(objects: Sequence[Whole]) -> list[list[str]]:
    return [list(column) for column in zip(*(one.identity for one in objects), strict=True)]
