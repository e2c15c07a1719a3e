"""Locations as the hub keeps them (mod_locations, Flow and Lifecycle)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from django.db import models

from hub.ocpi import lenient
from hub.ocpi.errors import InvalidParameters, UnknownLocation
from hub.ocpi.patches import Fields, fields_of, last_updated_of
from hub.ocpi.reading import Essentials, deviations_of
from hub.store import (
    Kept,
    Merged,
    Pushed,
    StoredObject,
    check_ids,
    is_far_ahead,
    is_older,
)
from locations.objects import EVSE, Connector
from locations.objects import Location as LocationObject

# What {location_id}[/{evse_uid}][/{connector_id}] names, and what must be readable of it.
_KINDS: Final = (LocationObject, EVSE, Connector)
ESSENTIALS: Final = (
    Essentials(
        LocationObject,
        named=frozenset({"Location.evses[].uid", "Location.evses[].connectors[].id"}),
    ),
    Essentials(EVSE, named=frozenset({"EVSE.connectors[].id"})),
    Essentials(Connector),
)
_NULL: Final = msgspec.Raw(b"null")
_NAMES: Final = ("Location", "EVSE", "Connector")
# Where a part stands in its parent, and the field that names it.
_PARTS: Final = (("evses", "uid"), ("connectors", "id"))


class Location(StoredObject):
    """One Location with its EVSEs and Connectors, for everybody or for one party alone."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "object_id", "audience"], name="location_once")
        ]
        indexes = [
            models.Index(fields=["object_id"], name="location_by_id"),
            models.Index(fields=["last_updated"], name="location_by_last_updated"),
            models.Index(
                fields=["audience"], condition=~models.Q(audience=""), name="location_variants"
            ),
            models.Index(
                fields=["told_by"], condition=~models.Q(told_by=""), name="location_told_by_others"
            ),
            # Counts and offsets of long lists without a look at the documents.
            models.Index(
                fields=["id"], include=["owner", "audience", "last_updated"], name="location_list"
            ),
            models.Index(
                fields=["owner"], condition=models.Q(deviates=True), name="location_deviating"
            ),
        ]

    @classmethod
    def push(cls, pushed: Pushed) -> Kept:
        """Keep a PUT or PATCH of a Location, EVSE or Connector.

        UnknownLocation (2003) when it changes what the hub does not have.
        """
        kind = _KINDS[len(pushed.ids) - 1]
        identity = cls.identity(pushed)
        if pushed.method == "PUT" and kind is LocationObject:
            found = pushed.read(ESSENTIALS[0])
            check_ids(pushed, found.sent)
            return cls.keep(
                identity,
                pushed.audience,
                pushed.body,
                found.last_updated,
                deviates=bool(found.differences),
                told_by=pushed.told_by,
            )
        _check_part(pushed)
        kept = cls.merge(
            identity, pushed.audience, lambda document: _changed(document, pushed), pushed.told_by
        )
        if kept is None:
            raise UnknownLocation(
                f"The hub has no Location {pushed.ids[0]!r} of {pushed.owner}: PUT it first."
            )
        return kept

    @staticmethod
    def identity(pushed: Pushed) -> dict[str, str]:
        """Which Location the URL names, be it by one of its parts."""
        return {"owner": str(pushed.owner), "object_id": pushed.ids[0].upper()}

    def part(self, ids: Sequence[str]) -> bytes | None:
        """The document of the Location, or of its EVSE or Connector; None when it has none such."""
        document = bytes(self.document)
        for (name, key), wanted in zip(_PARTS, ids, strict=False):
            children = _children(fields_of(document), name)
            place = _place(children, key, wanted)
            if place is None:
                return None
            document = msgspec.json.encode(children[place])
        return document


def _check_part(pushed: Pushed) -> None:
    """Refuse a body that is no such object, or not the one that its URL names."""
    sent = pushed.read(ESSENTIALS[len(pushed.ids) - 1]).sent
    if len(pushed.ids) == 1:
        check_ids(pushed, sent)
        return
    key = _PARTS[len(pushed.ids) - 2][1]
    named = getattr(sent, key, msgspec.UNSET)
    if named is not msgspec.UNSET and str(named).upper() != pushed.ids[-1].upper():
        raise InvalidParameters(f"{key} is {named!r} in the body, {pushed.ids[-1]!r} in the URL.")


def _changed(document: bytes, pushed: Pushed) -> Merged | None:
    """The Location with the change in it; None when the changed part is newer already."""
    change = _Change(pushed)
    changed = change.into(fields_of(document))
    if changed is None:
        return None
    merged = msgspec.json.encode(changed)
    deviates = bool(deviations_of(merged, LocationObject))
    return Merged(merged, last_updated_of(merged), change.is_new, deviates)


class _Change:
    """A PUT or PATCH of a Location, EVSE or Connector on its way into the whole Location."""

    def __init__(self, pushed: Pushed) -> None:
        self._pushed = pushed
        self._fields = fields_of(pushed.body)
        self._moment = last_updated_of(pushed.body)
        self.is_new = False

    def into(self, parent: Fields, depth: int = 0) -> Fields | None:
        """The fields of one level with the change in it; None when they are newer.

        "the Receiver SHALL also set the new `last_updated` value on the parent" (PUT Method),
        unless the parent's is later already, as when an update of another EVSE came before.
        """
        ids, method = self._pushed.ids, self._pushed.method
        if depth == len(ids) - 1:
            moment = _moment(parent)
            if moment is not None and is_older(self._moment, moment):
                return None
            return parent | self._fields if method == "PATCH" else self._fields
        name, key = _PARTS[depth]
        children = _children(parent, name)
        place = _place(children, key, ids[depth + 1])
        if place is not None:
            new = self.into(children[place], depth + 1)
            if new is None:
                return None
            children[place] = new
        elif method == "PUT" and depth + 2 == len(ids):
            self.is_new = True
            children.append(self._fields)
        else:
            raise UnknownLocation(
                f"The hub has no {_NAMES[depth + 1]} {ids[depth + 1]!r} of Location {ids[0]!r} of "
                f"{self._pushed.owner}: PUT it first."
            )
        return parent | {name: msgspec.Raw(msgspec.json.encode(children))} | self._raised(parent)

    def _raised(self, parent: Fields) -> Fields:
        moment = _moment(parent)
        is_later = moment is not None and moment > self._moment and not is_far_ahead(moment)
        return {"last_updated": (parent if is_later else self._fields)["last_updated"]}


def _children(parent: Fields, name: str) -> list[Fields]:
    children: list[Fields] | None = msgspec.json.decode(
        parent.get(name, b"null"), type=list[Fields] | None
    )
    return children or []


def _place(children: list[Fields], key: str, wanted: str) -> int | None:
    for place, child in enumerate(children):
        if str(msgspec.json.decode(child.get(key, _NULL))).upper() == wanted.upper():
            return place
    return None


def _moment(fields: Fields) -> datetime | None:
    """When the part was last updated; None where that cannot be read."""
    return lenient.moment(msgspec.json.decode(fields.get("last_updated", _NULL)))
