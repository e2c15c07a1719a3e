"""Locations as the hub keeps them (mod_locations, Flow and Lifecycle)."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

import msgspec
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from hub.db import sql
from hub.ocpi.errors import UnknownLocation
from hub.ocpi.patches import fields_of
from hub.ocpi.reading import Essentials, Reading, is_right
from hub.store import indexes, whole_objects
from hub.store.pushed import (
    EVERYBODY,
    FUTURE_TOLERANCE,
    ITS_OWNER,
    Pushed,
    PushOutcome,
    PushResult,
    check_id,
    check_ids,
)
from hub.store.store import Merged, StoredObject, Whole
from locations import merging
from locations.merging import PARTS, Merging
from locations.moments import (
    LISTED,
    Moments,
    as_json,
    from_json,
    goes_before,
    last_change,
    moments_of,
)
from locations.objects import EVSE, Connector
from locations.objects import Location as LocationObject

# What {location_id}[/{evse_uid}][/{connector_id}] names, and what must be readable of it.
ESSENTIALS: Final = (
    Essentials(
        LocationObject,
        named=frozenset({"Location.evses[].uid", "Location.evses[].connectors[].id"}),
    ),
    Essentials(EVSE, named=frozenset({"EVSE.connectors[].id"})),
    Essentials(Connector),
)


class Location(StoredObject):
    """One Location with its EVSEs and Connectors, for everybody or for one party alone."""

    MODULE = "locations"
    ESSENTIALS: ClassVar[Essentials] = ESSENTIALS[0]
    MAY_BE_LEFT_OUT = True
    MORE: ClassVar[Mapping[str, str]] = {"moments": "jsonb"}

    # By part, when it was last changed itself (locations/moments.py); `last_updated` is the latest.
    # Empty: as the document says.
    moments = models.JSONField(default=dict, db_default={}, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "object_id", "audience"], name="location_once")
        ]
        indexes = [
            models.Index(fields=["object_id"], name="location_by_id"),
            *indexes.of_stored("location"),
            models.Index(
                fields=["owner"], condition=models.Q(deviates=True), name="location_deviating"
            ),
        ]

    @classmethod
    def push(cls, pushed: Pushed) -> PushResult:
        """Keep a PUT or PATCH of a Location, EVSE or Connector.

        UnknownLocation (2003) when it changes what the hub does not have.
        """
        reading = cls.read(pushed)
        if pushed.method == "PUT" and len(pushed.ids) == 1:
            return cls._put(pushed, reading)
        change = PartChange(pushed, reading)
        kept = cls.merge(cls.identity(pushed), pushed.audience, change.into, pushed.told_by)
        if kept is None:
            raise UnknownLocation(
                f"The hub has no Location {pushed.ids[0]!r} of {pushed.owner}: PUT it first."
            )
        return PushResult(kept, change.body)

    @classmethod
    def read(cls, pushed: Pushed) -> Reading:
        """What the body means; InvalidParameters (2001) where it names another one than the URL."""
        reading = pushed.read(ESSENTIALS[len(pushed.ids) - 1])
        if len(pushed.ids) == 1:
            check_ids(pushed, reading.sent)
        elif pushed.audience == EVERYBODY:
            check_id(reading.sent, PARTS[len(pushed.ids) - 2][1], pushed.ids[-1])
        return reading

    @classmethod
    def _put(cls, pushed: Pushed, reading: Reading) -> PushResult:
        return cls._keep(cls.identity(pushed), cls.as_kept(pushed, reading))

    @classmethod
    def as_kept(cls, pushed: Pushed, reading: Reading) -> dict[str, Any]:
        """The values of the columns of a whole Location."""
        now = timezone.now()
        ahead = now + FUTURE_TOLERANCE
        moments = moments_of(reading.sent, reading.last_updated, ahead)
        return cls.identity(pushed) | {
            "audience": pushed.audience,
            "last_updated": last_change(moments, now, ahead),
            "document": pushed.body,
            "received_at": now,
            "deviates": bool(reading.differences),
            "told_by": pushed.told_by,
            "moments": as_json(moments),
        }

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
        """Keep it as any object; without `moments` its parts were changed when it was."""
        moments = more.get("moments") or msgspec.to_builtins(_undivided(last_updated))
        return super().keep(
            identity,
            audience,
            document,
            last_updated,
            deviates=deviates,
            told_by=told_by,
            moments=as_json(moments),
        )

    @classmethod
    def is_not_newer(cls, kept: str, sent: str) -> str:
        """No part of it is newer than in what is sent: `goes_before`, in SQL."""
        moments = f"{sent.format('moments')}::jsonb"
        ahead = f"{sent.format('received_at')} + interval '{FUTURE_TOLERANCE.seconds} s'"
        return f"""({kept}.moments <> '{{}}' AND ({kept}.moments = {moments} OR NOT EXISTS (
            SELECT FROM jsonb_each_text({kept}.moments) AS part (name, at)
            WHERE part.at::timestamptz <= {ahead} AND part.at::timestamptz
                > coalesce({moments} ->> part.name, {moments} ->> U&'\\001F')::timestamptz)))"""

    @classmethod
    def _keep_locked(
        cls, identity: Mapping[str, str], values: dict[str, Any], *, is_pushed: bool = True
    ) -> PushResult:
        """Keep it part by part, as far as what its audience has is newer."""
        as_sent = values
        told_by, audience, now = values["told_by"], values["audience"], values["received_at"]
        ahead = now + FUTURE_TOLERANCE
        rows = {row.audience: row for row in cls.named(identity).select_for_update()}
        same = {who: row for who, row in rows.items() if bool(row.told_by) == bool(told_by)}
        if told_by and len(same) < len(rows):
            return PushResult(PushOutcome.OLDER, values["document"])
        moments: Moments = from_json(values["moments"])
        known = same.get(audience) or same.get(EVERYBODY)
        if known is not None and known.may_be_newer(moments, ahead):
            merge = Merging(ahead)
            sent = merging.whole(values["document"], moments, ahead)
            new = merge.put(known.as_part(ahead), sent, is_pushed=is_pushed)
            if not merge.says_more:
                return PushResult(PushOutcome.OLDER, values["document"])
            document, moments = new.document(), new.moments()
            if document != values["document"]:
                values = values | {
                    "document": document,
                    "deviates": not is_right(document, LocationObject),
                }
            values = values | {
                "moments": as_json(moments),
                "last_updated": last_change(moments, now, ahead),
            }
        others = [row for who, row in rows.items() if who not in {audience, EVERYBODY}]
        if audience == EVERYBODY:
            over = [row.pk for row in others if _is_superseded(row, told_by, moments, ahead)]
            cls._default_manager.filter(pk__in=over).delete()
            values = values | {"has_variants": len(over) < len(others)}
        if audience in rows:
            cls._rewrite(rows[audience], values)
            return PushResult(PushOutcome.CHANGED, values["document"])
        if sql.run(whole_objects.insert_statement(cls, tuple(values)), values):
            return PushResult(PushOutcome.CREATED, values["document"])
        # A pull has just brought it: new rows are not locked by it.
        return cls._keep_locked(identity, as_sent, is_pushed=is_pushed)

    @classmethod
    def _rewrite(cls, row: "Location", values: dict[str, Any]) -> None:
        clean_until = row.clean_until if row.deviates else values["received_at"]
        cls._default_manager.filter(pk=row.pk).update(
            **values | {"moments": msgspec.json.decode(values["moments"]), "received_at": Now()},
            clean_until=clean_until if values["deviates"] else None,
        )

    @classmethod
    def keep_changed(
        cls, objects: Sequence[Whole], told_by: str = ITS_OWNER, left_out: list[Whole] | None = None
    ) -> list[Whole]:
        """Keep them as any objects; one with a stored part that is newer is merged by itself."""
        if not objects:
            return []
        now = timezone.now()
        known = cls._known(objects, told_by, "ARRAY[moments::text, md5(document)]")
        changed, same, mixed = [], [], []
        for one in map(_dated, objects):
            if one.identity not in known:
                changed.append(one)
                continue
            text, digest = known[one.identity][1]
            kept, moments = from_json(text), from_json(one.more["moments"])
            if not kept or goes_before(kept, moments, now + FUTURE_TOLERANCE):
                mixed.append(one)
            elif kept != moments:
                changed.append(one)
            elif hashlib.md5(one.document, usedforsecurity=False).hexdigest() != digest:
                same.append(one)
        said_already = cls._said_already(same, told_by) if same else set()
        changed += [one for one in same if one.identity not in said_already]
        changed = cls._within_quota(changed, known.keys(), told_by, left_out)
        for one in sorted([*changed, *mixed], key=_by_name) if mixed else ():
            cls.lock(cls.as_identity(one))
        news = cls._keep_all(changed, known.keys(), told_by)
        stored = {one.identity for one in news}
        # Those that a push has just overtaken, too.
        for one in [*mixed, *(one for one in changed if one.identity not in stored)]:
            identity = cls.as_identity(one)
            cls.lock(identity)
            told = cls._keep_locked(identity, _columns_of(one, told_by, now), is_pushed=False)
            if told.kept:
                news.append(one._replace(document=told.body))
        return news

    @classmethod
    def whole(cls, identity: tuple[str, ...], document: bytes, reading: Reading) -> Whole:
        """A Location of a list that was pulled."""
        now = timezone.now()
        moments = moments_of(reading.sent, reading.last_updated, now + FUTURE_TOLERANCE)
        changed = last_change(moments, now, now + FUTURE_TOLERANCE)
        more = {"moments": as_json(moments)}
        return Whole(identity, document, changed, bool(reading.differences), more)

    @staticmethod
    def identity(pushed: Pushed) -> dict[str, str]:
        """The Location that the URL names, also by one of its parts."""
        return {"owner": str(pushed.owner), "object_id": pushed.ids[0].upper()}

    @property
    def own_moments(self) -> Moments:
        """The column `moments`, as times."""
        return msgspec.convert(self.moments, Moments)

    def may_be_newer(self, moments: Moments, ahead: datetime) -> bool:
        """Whether anything kept goes before a whole Location of these moments."""
        return not self.moments or goes_before(self.own_moments, moments, ahead)

    def as_part(self, ahead: datetime) -> merging.Part:
        """The document and its parts."""
        return merging.whole(bytes(self.document), self.own_moments, ahead)

    def part(self, ids: Sequence[str]) -> bytes | None:
        """Of the Location itself, its EVSE or Connector."""
        if not ids:
            return bytes(self.document)
        found = merging.part_of(self.as_part(self.last_updated), ids)
        return None if found is None else found.document()


class StateOfEvses(models.TextChoices):
    """The best that a driver finds at a Location, by the status of its EVSEs."""

    FREE = "FREE", "one is available"
    IN_USE = "IN_USE", "all in use"
    BROKEN = "BROKEN", "out of order"
    UNKNOWN = "UNKNOWN", "not known"


class Outline(models.Model):
    """What lists and maps need of a Location (locations/outlines.py); late by some minutes.

    It holds no key of the other table, so that writing it takes no lock of a Location.
    """

    location = models.OneToOneField(
        Location,
        on_delete=models.DO_NOTHING,
        primary_key=True,
        related_name="outline",
        db_constraint=False,
    )
    # Of the document that was read.
    received_at = models.DateTimeField()
    latitude = models.FloatField(null=True)
    longitude = models.FloatField(null=True)
    state = models.CharField(max_length=7, choices=StateOfEvses.choices)
    # Those that are not REMOVED.
    evses = models.PositiveIntegerField()
    lacks_opening_times = models.BooleanField()
    lacks_energy_mix = models.BooleanField()
    lacks_evses = models.BooleanField()
    # Of one of its EVSEs or Connectors.
    lacks_parking_restrictions = models.BooleanField()
    lacks_power = models.BooleanField()
    lacks_tariff_ids = models.BooleanField()

    def __str__(self) -> str:
        return f"{self.location_id}: {self.state}"


class PartChange:
    """A PATCH, or a PUT of an EVSE or Connector; `body` tells others of it.

    `now` is when it came; a moment later than `ahead` guards nothing.
    """

    def __init__(self, pushed: Pushed, reading: Reading) -> None:
        self.body = pushed.body
        self._path = pushed.ids[1:]
        self._is_patch = pushed.method == "PATCH"
        self.now = timezone.now()
        self.ahead = self.now + FUTURE_TOLERANCE
        fields, own = fields_of(pushed.body), reading.last_updated
        self._change = merging.sent(fields, own, self._path, self.ahead)

    def into(self, row: Location) -> Merged | None:
        """The Location with the change in it; None when what it changes is newer already."""
        merge = Merging(self.ahead)
        kept = row.as_part(self.ahead)
        new = merge.below(kept, self._path, self._change, is_patch=self._is_patch)
        if not merge.says_more:
            return None
        if row.audience == EVERYBODY and not self._is_patch:
            self._tell(merging.part_of(new, self._path))
        document, moments = new.document(), new.moments()
        return Merged(
            document,
            last_change(moments, self.now, self.ahead),
            merge.is_new,
            deviates=not is_right(document, LocationObject),
            more={"moments": msgspec.to_builtins(moments)},
        )

    def _tell(self, part: merging.Part | None) -> None:
        """Others are told the part as it is now, where a part of its own is newer."""
        if part is not None and part.raw != self._change.raw:
            self.body = part.document()


def _undivided(last_updated: datetime) -> Moments:
    return {"": last_updated, LISTED: last_updated}


def _by_name(one: Whole) -> tuple[str, ...]:
    return one.identity


def _dated(one: Whole) -> Whole:
    if one.more:
        return one
    return one._replace(more={"moments": as_json(_undivided(one.last_updated))})


def _is_superseded(row: Location, told_by: str, moments: Moments, ahead: datetime) -> bool:
    """Whether a variant says nothing that is newer than what is broadcast now."""
    if bool(row.told_by) != bool(told_by):
        return not told_by
    kept = row.own_moments or row.as_part(ahead).moments()
    return not goes_before(kept, moments, ahead)


def _columns_of(one: Whole, told_by: str, now: datetime) -> dict[str, Any]:
    return Location.as_identity(one) | {
        "audience": EVERYBODY,
        "last_updated": one.last_updated,
        "document": one.document,
        "received_at": now,
        "deviates": one.deviates,
        "told_by": told_by,
        **one.more,
    }
