"""Changes on their way into a Location: each part is as its own latest change says.

mod_locations, PUT and PATCH Method. Every value keeps its own spelling, and every field that nobody
knows its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from hub.ocpi import lenient
from hub.ocpi.comparison import plain
from hub.ocpi.errors import UnknownLocation
from hub.ocpi.patches import Fields, fields_of
from locations.moments import LISTED, SEPARATOR, Moments, in_utc, latest, name_of

# Where the parts of a Location and of an EVSE stand, and what names one.
PARTS: Final = (("evses", "uid"), ("connectors", "id"))
_NAMES: Final = ("Location", "EVSE", "Connector")
_EVER: Final = datetime.min.replace(tzinfo=UTC)
_datetime: Final = msgspec.json.Decoder(datetime).decode
_list_of: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_fields_of: Final = msgspec.json.Decoder(Fields).decode


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A Location, EVSE or Connector with its parts.

    `own` is its own last change, `listed` that of its list of parts. `name` is its name among the
    moments; one without a name is never the same as another. `raw` is None of what was put
    together.
    """

    fields: Fields
    own: datetime
    listed: datetime
    name: str = ""
    parts: "tuple[Part, ...]" = ()
    raw: bytes | None = None
    depth: int = 0

    def document(self) -> bytes:
        """Its JSON: the bytes that came, where nothing was changed in it."""
        if self.raw is not None:
            return self.raw
        fields = self.fields
        if self.depth < len(PARTS):
            name, _ = PARTS[self.depth]
            if self.parts or _list_in(fields, name):
                joined = b",".join(part.document() for part in self.parts)
                fields = fields | {name: msgspec.Raw(b"[%b]" % joined)}
        return msgspec.json.encode(fields)

    def moments(self) -> Moments:
        """The times of it and of everything in it."""
        return {
            part.name: part.own for part in reversed(self.all()) if part.name or part is self
        } | {
            part.name + LISTED: part.listed
            for part in (self, *self.parts)
            if part is self or (part.name and part.listed != self.listed)
        }

    def all(self) -> "list[Part]":
        """The part itself and all parts in it."""
        return [self, *(one for part in self.parts for one in part.all())]

    def latest(self, ahead: datetime) -> datetime:
        """The last change of the part or of anything in it."""
        return latest([part.own for part in self.all()], ahead)


# --- Reading ------------------------------------------------------------------------------------


def whole(document: bytes, moments: Mapping[str, datetime], ahead: datetime) -> Part:
    """A Location as it is kept; without moments, as its document says."""
    fields = fields_of(document)
    own = moments.get("") or _shown(fields) or _EVER
    found = _part(fields, document, 0, "", moments, own, moments.get(LISTED, own))
    return found if LISTED in moments else _listed_now(found, ahead)


def sent(fields: Fields, own: datetime, path: Sequence[str], ahead: datetime) -> Part:
    """What a URL of these ids below the Location was told, at `own`: a part, or changes of one."""
    found = _part(fields, msgspec.json.encode(fields), len(path), _name(path), {}, own, own)
    return _listed_now(found, ahead)


def _listed_now(part: Part, ahead: datetime) -> Part:
    """All lists in it are as old as its latest part."""
    moment = part.latest(ahead)
    parts = tuple(replace(one, listed=moment) for one in part.parts)
    return replace(part, listed=moment, parts=parts)


def _part(
    fields: Fields,
    raw: bytes,
    depth: int,
    name: str,
    moments: Mapping[str, datetime],
    own: datetime,
    listed: datetime,
) -> Part:
    parts: list[Part] = []
    if depth < len(PARTS):
        list_name, key = PARTS[depth]
        seen = set()
        for item in _list_in(fields, list_name):
            inner = _object(item)
            child = _child_name(name, depth, _text(inner.get(key)))
            if child in seen:
                child = ""
            seen.add(child)
            moment = moments.get(child) if child else None
            if moment is None:
                shown = _shown(inner)
                moment = own if shown is None else shown
            list_moment = moments.get(child + LISTED, listed) if child else listed
            parts.append(_part(inner, bytes(item), depth + 1, child, moments, moment, list_moment))
    return Part(fields, own, listed, name, tuple(parts), raw, depth)


def _name(path: Sequence[str]) -> str:
    return SEPARATOR.join(map(name_of, path))


def _child_name(parent: str, depth: int, text: str) -> str:
    """The name of a part; empty for one that cannot be told from others."""
    own = name_of(text)
    if depth == 0 or not own:
        return own
    return f"{parent}{SEPARATOR}{own}" if parent else ""


def _list_in(fields: Fields, name: str) -> list[msgspec.Raw]:
    """The items of a list; none where it is missing, null, or no list."""
    try:
        return _list_of(fields.get(name, b"[]"))
    except msgspec.ValidationError:
        return []


def _object(item: msgspec.Raw) -> Fields:
    try:
        return _fields_of(item)
    except msgspec.ValidationError:
        return {}


def _text(raw: msgspec.Raw | None) -> str:
    """What names a part; a number is the same as its text."""
    value = None if raw is None else plain(raw)
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        return ""
    return value if isinstance(value, str) else str(Decimal(value))


def _shown(fields: Fields) -> datetime | None:
    """The moment that a document shows."""
    raw = fields.get("last_updated")
    if raw is None:
        return None
    try:
        moment = _datetime(raw)
    except msgspec.ValidationError:
        return lenient.moment(plain(raw))
    return in_utc(moment) if moment.tzinfo in {None, UTC} else lenient.moment(plain(raw))


def part_of(location: Part, path: Sequence[str]) -> Part | None:
    """The EVSE or Connector that these ids name."""
    found: Part | None = location
    for depth in range(len(path)):
        name = _name(path[: depth + 1])
        found = next((part for part in found.parts if part.name == name), None) if found else None
    return found


# --- Merging ------------------------------------------------------------------------------------


class Merging:
    """One change of a Location; `says_more` once it has told anything that was not kept.

    A moment later than `ahead` guards nothing.
    """

    def __init__(self, ahead: datetime) -> None:
        self._ahead = ahead
        self.says_more = False
        self.is_new = False

    def put(self, kept: Part, new: Part, *, is_pushed: bool = True) -> Part:
        """A whole object in the place of what is kept of it.

        One that is pushed says something by being pushed; another by what is in it.
        """
        return self._both(kept, new, new.listed, is_pushed=is_pushed)

    def patch(self, kept: Part, changes: Part) -> Part:
        """Changed fields; a list of parts among them is the whole list."""
        wins = not self._is_newer(kept.own, changes.own)
        fields, own = kept.fields, kept.own
        names = set(changes.fields)
        if kept.depth < len(PARTS):
            names.discard(PARTS[kept.depth][0])
        if wins:
            fields = fields | {name: changes.fields[name] for name in names}
            own = changes.own
            self.says_more = True
        parts, listed = kept.parts, kept.listed
        if len(names) < len(changes.fields):
            parts, listed = self._lists(kept, changes, changes.listed)
            if not self._is_newer(kept.listed, changes.listed):
                name = PARTS[kept.depth][0]
                fields = fields | {name: changes.fields[name]}
        return _put_together(
            replace(kept, fields=fields, own=own, parts=parts, listed=listed), self._ahead
        )

    def below(self, kept: Part, path: Sequence[str], change: Part, *, is_patch: bool) -> Part:
        """A change of the part that these ids name; UnknownLocation (2003) where there is none."""
        if kept.depth == len(path):
            return self.patch(kept, change) if is_patch else self.put(kept, change)
        name = _name(path[: kept.depth + 1])
        for place, part in enumerate(kept.parts):
            if part.name == name:
                new = self.below(part, path, change, is_patch=is_patch)
                parts = (*kept.parts[:place], new, *kept.parts[place + 1 :])
                break
        else:
            if is_patch or kept.depth + 1 < len(path):
                wanted = f"{_NAMES[kept.depth + 1]} {path[kept.depth]!r}"
                raise UnknownLocation(f"The hub has no {wanted} of this Location: PUT it first.")
            self.is_new = self.says_more = True
            parts = (*kept.parts, change)
        return _put_together(replace(kept, parts=parts), self._ahead)

    def _is_newer(self, kept: datetime, new: datetime) -> bool:
        return new < kept <= self._ahead

    def _both(self, kept: Part, new: Part, listed: datetime, *, is_pushed: bool = False) -> Part:
        """A Location with the fields of the newer one and the parts of both."""
        wins = not self._is_newer(kept.own, new.own)
        if wins and (is_pushed or new.own != kept.own or _differ(kept, new)):
            self.says_more = True
        if not wins and not is_pushed:
            listed = new.latest(self._ahead)  # Its list of parts is as old as itself.
        parts, listed = self._lists(kept, new, listed)
        chosen = new if wins else kept
        if len(parts) == len(chosen.parts) and all(map(_is, parts, chosen.parts)):
            return replace(chosen, listed=listed)
        return _put_together(replace(chosen, parts=parts, listed=listed), self._ahead)

    def _lists(self, kept: Part, new: Part, listed: datetime) -> tuple[tuple[Part, ...], datetime]:
        """The later list, with those parts of the other one that are newer than that list."""
        known = {part.name: part for part in kept.parts if part.name}
        told = {part.name: part for part in new.parts if part.name}
        if self._is_newer(kept.listed, listed):
            parts = [
                self._both(part, told[part.name], listed) if part.name in told else part
                for part in kept.parts
            ]
            more = self._later(told, known, kept.listed)
            self.says_more |= bool(more)
            return (*parts, *more), kept.listed
        parts = [
            self._both(known[part.name], part, listed)
            if part.name in known
            else replace(part, listed=listed)
            for part in new.parts
        ]
        more = self._later(known, told, listed)
        is_longer = not told.keys() <= known.keys()
        is_shorter = len(known.keys() - told.keys()) > len(more)
        self.says_more |= is_longer or is_shorter
        return (*parts, *more), listed

    def _later(
        self, parts: Mapping[str, Part], others: Mapping[str, Part], listed: datetime
    ) -> list[Part]:
        """Those that the other list has not, because they came after it."""
        return [
            part
            for name, part in parts.items()
            if name not in others and self._is_newer(part.latest(self._ahead), listed)
        ]


def _is(one: Part, other: Part) -> bool:
    return one.raw is not None and one.raw is other.raw


def _differ(kept: Part, new: Part) -> bool:
    """Whether two versions of the same moment say the same."""
    parts = {PARTS[kept.depth][0]} if kept.depth < len(PARTS) else set()
    names = (kept.fields.keys() | new.fields.keys()) - parts - {"last_updated"}
    null = msgspec.Raw(b"null")
    return any(
        (one := bytes(kept.fields.get(name, null))) != (other := bytes(new.fields.get(name, null)))
        and plain(one) != plain(other)
        for name in names
    )


def _put_together(part: Part, ahead: datetime) -> Part:
    """Put it together from its parts: its `last_updated` is not earlier than theirs.

    "the Receiver SHALL also set the new `last_updated` value on the parent" (PUT Method).
    """
    shown = _shown(part.fields)
    raised = part.fields.get("last_updated")
    moment = None if shown is None or shown > ahead else shown
    for child in part.parts:
        at = _shown(child.fields)
        if at is not None and at <= ahead and (moment is None or at > moment):
            moment, raised = at, child.fields["last_updated"]
    fields = part.fields if raised is None else part.fields | {"last_updated": raised}
    return replace(part, fields=fields, raw=None)
