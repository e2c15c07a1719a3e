"""Reading what platforms really send: the hub judges what it needs, and reports the rest.

What is pushed to the hub for all, or pulled by it, it answers for to hundreds: an object without
what names and orders it, without a field that its table requires, or with a doubt about what
decides access or money, is refused. All else that differs from the text is a deviation. Of what
was sent to one party, which has accepted it, nothing is judged.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import msgspec

from hub.ocpi import portable
from hub.ocpi.comparison import Difference, compared
from hub.ocpi.comparison import deviations_of as deviations_of
from hub.ocpi.datatypes import building, decode, utc
from hub.ocpi.errors import InvalidParameters, NotJson
from hub.ocpi.lenient import Deviation
from hub.ocpi.patches import partial

# A number and a numeric text are of one kind: that they are spelled otherwise is noted.
_OF_ANOTHER_KIND: Final = frozenset({"missing", "null", "wrong-kind"})
_NOT_READABLE: Final = _OF_ANOTHER_KIND | {"format", "empty-value"}
_ANY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class Essentials:
    """What the hub must be able to read of a kind of object, beside what its table requires.

    Paths are those of deviations. At those of `exact` nothing is tolerated, and there must be a
    value; those of `named` name parts, each of which must have one.
    """

    kind: type[msgspec.Struct]
    exact: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()

    @cached_property
    def refused(self) -> dict[str, frozenset[str]]:
        """By path, the rules that may not be broken there; _ANY for all of them."""
        name = self.kind.__name__
        found: dict[str, frozenset[str]] = {name: _ANY}
        for path in self.named:
            # A part may be without parts, but must be one.
            found |= dict.fromkeys(_lists_above(path), frozenset({"wrong-kind"}))
            found |= dict.fromkeys(_items_above(path), _OF_ANOTHER_KIND)
            found[path] = _NOT_READABLE
        found |= {f"{name}.{field}": _OF_ANOTHER_KIND for field in _required(self.kind)}
        for path in self.exact:
            found |= dict.fromkeys((*_lists_above(path), *_items_above(path)), _OF_ANOTHER_KIND)
            found[path] = _ANY
        return found | {f"{name}.last_updated": _NOT_READABLE}


def _items_above(path: str) -> list[str]:
    """Location.evses[] and Location.evses[].connectors[] of a Connector's id."""
    steps = path.split(".")
    return [".".join(steps[:count]) for count in range(2, len(steps))]


def _lists_above(path: str) -> list[str]:
    return [item.removesuffix("[]") for item in _items_above(path)]


def _required(kind: type[msgspec.Struct]) -> list[str]:
    with building:
        return [field.encode_name for field in msgspec.structs.fields(kind) if field.required]


@dataclass(frozen=True, slots=True)
class Reading:
    """A body as the hub understands it.

    `sent` is the Struct, or as much of it as can be read: it has no attribute of a name whose value
    means nothing. `last_updated` is in UTC.
    """

    sent: Any
    last_updated: datetime
    differences: tuple[Difference, ...] = ()

    @property
    def deviations(self) -> list[Deviation]:
        """What is noted of it."""
        return [one.deviation for one in self.differences]

    def refuse_deviations(self) -> None:
        """InvalidParameters (2001), where an operator wants them refused."""
        if not self.differences:
            return
        first, *others = self.differences
        more = f" Deviations beside this one: {len(others)}." if others else ""
        raise InvalidParameters(
            f"{first}. The operator of this hub has set your platform to strict: what differs from "
            f"the specification is refused.{more}"
        )


class UnusableObject(InvalidParameters):
    """2001: the hub cannot answer for this object; `difference` is why."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(str(difference))
        self.difference = difference


def read(body: bytes, essentials: Essentials, *, is_patch: bool = False) -> Reading:
    """What was pushed to the hub for all, or pulled.

    NotJson (HTTP 400), or UnusableObject (2001) that names the first field without which the hub
    cannot answer for the object.
    """
    sent, last_updated, differences = _look(body, essentials, is_patch)
    if reason := portable.problem(body):
        raise InvalidParameters(f"The hub cannot tell this to all: {reason}.")
    for one in differences:
        rules = essentials.refused.get(one.deviation.path)
        if rules is not None and (not rules or one.deviation.rule in rules):
            raise UnusableObject(one)
    if last_updated is None:
        raise InvalidParameters("`last_updated` cannot be read.")
    return Reading(sent, last_updated, differences)


def is_right(body: bytes, kind: type[msgspec.Struct]) -> bool:
    """Whether it differs from the text nowhere."""
    try:
        decode(body, kind)
    except InvalidParameters:
        return False
    return True


def glance(
    body: bytes, essentials: Essentials, received_at: datetime, *, is_patch: bool = False
) -> Reading:
    """What can be read of an object that its receiver has accepted: nothing of it is refused.

    `last_updated` is the time of receipt where it cannot be read. NotJson for what is none.
    """
    sent, last_updated, differences = _look(body, essentials, is_patch)
    return Reading(sent, last_updated or received_at, differences)


def _look(
    body: bytes, essentials: Essentials, is_patch: bool
) -> tuple[Any, datetime | None, tuple[Difference, ...]]:
    expected = partial(essentials.kind) if is_patch else essentials.kind
    try:
        sent: Any = decode(body, expected)
    except NotJson:
        raise
    except InvalidParameters as error:
        meant, differences = compared(body, expected, error.message)
        return meant, getattr(meant, "last_updated", None), tuple(differences)
    return sent, utc(sent.last_updated), ()
