"""What is sent for the rows of the outbox: the object as its receiver sees it now, or a message.

One change is told as it came. Of several the smallest part that holds them is PUT, and a mark of a
whole object stands for those of its parts (mod_locations, mod_tariffs, mod_tokens: PUT, PATCH).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
from django.utils import timezone

from hub.deliveries.lanes import Item
from hub.deliveries.rows import Key, Mark, OwedMessage
from hub.deliveries.shard import Shard
from hub.models.party_news import News
from hub.ocpi import heads
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import BROADCAST, FOR_ONE_EMSP
from hub.ocpi.party import PartyId
from hub.outbox.outbox import PART_OF
from hub.routing.directory import Directory
from hub.routing.receivers import gets_broadcast
from hub.store.kinds import broadcast_kinds
from hub.store.pushed import ENDED, EVERYBODY


class DeliveryCall(msgspec.Struct, eq=False):
    """One request to a receiver, and the rows that it stands for: (id, raised).

    `path` follows the endpoint of `module`, or is an absolute URL where `role` is None. Nothing is
    sent where `void` says why.
    """

    item: Item
    platform_id: int
    module: str
    role: InterfaceRole | None
    method: str = ""
    path: str = ""
    body: bytes = b""
    sender: tuple[str, str] = ("", "")
    receiver: tuple[str, str] = ("", "")
    correlation_id: str = ""
    merged: tuple[str, ...] = ()
    covers: Sequence[tuple[int, int]] = ()
    is_part: bool = False
    attempts: int = 0
    # The eMSP that did not answer this Session.
    unanswered_by: str = ""
    # Of ClientInfo: what is told.
    news: News | None = None
    void: str = ""

    @property
    def is_message(self) -> bool:
        """Whether it is sent as it was written; else it tells a state."""
        return self.item.key.is_message


class _Stored(NamedTuple):
    """A document, and who told it."""

    document: bytes
    audience: str
    told_by: str


Asked = tuple[int, str, Item]


async def read(shard: Shard, asked: Sequence[Asked], directory: Directory) -> list[DeliveryCall]:
    """A call for each item: what it is to tell now.

    The documents are read after the numbers of their marks: they are as new, or newer.
    """
    messages = await shard.messages([min(item.ids) for *_, item in asked if item.key.is_message])
    objects = [(one, module, item.key) for one, module, item in asked if not item.key.is_message]
    marks = iter(await shard.marks(objects))
    found = await _documents(shard, {(module, key) for _, module, key in objects})
    reading = _Reading(directory, found)
    calls = []
    for platform_id, module, item in asked:
        if item.key.is_message:
            head = min(item.ids)
            message = messages.get(head)
            calls.append(_message(item, platform_id, module, head, message, directory))
        else:
            calls.append(reading.call(item, platform_id, module, next(marks)))
    return calls


def _message(
    item: Item,
    platform_id: int,
    module: str,
    row_id: int,
    message: OwedMessage | None,
    directory: Directory,
) -> DeliveryCall:
    call = DeliveryCall(item, platform_id, module, None, covers=[(row_id, 0)])
    if message is None:
        call.void = "it has ended"
        return call
    call.role = InterfaceRole(message.interface_role) if message.interface_role else None
    call.method, call.path, call.body = message.method, message.path, message.body
    call.sender = (message.from_country_code, message.from_party_id)
    call.receiver = (message.to_country_code, message.to_party_id)
    call.correlation_id, call.attempts = message.correlation_id, message.attempts
    call.unanswered_by = message.unanswered_by
    call.void = _closed(call, directory)
    return call


def _closed(call: DeliveryCall, directory: Directory) -> str:
    """Why a Session, or preferences of one, may not leave any more; empty when it may.

    Its ordering key ends with the Session's owner: with both the receiver must be open.
    """
    if call.module not in FOR_ONE_EMSP or call.role is None:
        return ""
    sender, owner = str(PartyId.of(*call.sender)), call.item.key.name.rpartition(" ")[2]
    for party in dict.fromkeys((sender, owner)):
        if "-" in party:
            receiver = PartyId.of(*call.receiver)
            reason = directory.closed_because(PartyId.parse(party), receiver, call.module)
            if reason is not None:
                return f"the parties may not exchange it any more: {reason}"
    return ""


async def _documents(
    shard: Shard, wanted: Iterable[tuple[str, Key]]
) -> dict[tuple[str, str, str, str], dict[str, _Stored]]:
    """By module, owner, id and variant: what is told to whom. One query for each module."""
    by_module: dict[str, list[Key]] = {}
    for module, key in wanted:
        if module in BROADCAST:
            by_module.setdefault(module, []).append(key)
    found: dict[tuple[str, str, str, str], dict[str, _Stored]] = {}
    for module, keys in by_module.items():
        kind = broadcast_kinds()[module]
        names = ", ".join(kind.IDENTITY)
        variant = "type" if "type" in kind.IDENTITY else "''"
        objects = list({(key.owner, key.name, key.variant) for key in keys})
        columns = [list(column) for column in zip(*objects, strict=True)][: len(kind.IDENTITY)]
        types = ", ".join(f"%({name})s::text[]" for name in kind.IDENTITY)
        told = await shard.run(
            f"SELECT owner, object_id, {variant}, audience, document, told_by "  # noqa: S608 - names of ours
            f"FROM unnest({types}) AS asked ({names}) JOIN {kind._meta.db_table} USING ({names}) "
            "WHERE audience = ANY(%(audiences)s::text[])",
            {
                **dict(zip(kind.IDENTITY, columns, strict=True)),
                "audiences": [EVERYBODY, *{key.party for key in keys}],
            },
        )
        for owner, object_id, of_type, audience, document, told_by in told:
            of = (module, owner, object_id, of_type)
            found.setdefault(of, {})[audience] = _Stored(document, audience, told_by)
    return found


class _Reading:
    """What was read for some items, and the calls that it makes."""

    def __init__(
        self,
        directory: Directory,
        found: Mapping[tuple[str, str, str, str], Mapping[str, _Stored]],
    ) -> None:
        self._directory = directory
        self._found = found
        # Of many receivers the same part of the same document.
        self._parts: dict[tuple[bytes, str], bytes | None] = {}

    def call(
        self, item: Item, platform_id: int, module: str, waiting: Sequence[Mark]
    ) -> DeliveryCall:
        """What to send for the marks of one object.

        What its owner has told the receiver itself need not be told, unless the receiver may have
        taken something older from the hub after that.
        """
        call = DeliveryCall(item, platform_id, module, InterfaceRole.RECEIVER)
        owed = waiting if item.is_unsure else [one for one in waiting if not one.is_taken]
        if not owed:
            call.covers = [(one.id, one.raised) for one in waiting]
            call.void = "its owner has told it itself" if waiting else "it has been told"
            return call
        mark, covered = _smallest(owed)
        call.covers = [(one.id, one.raised) for one in covered]
        call.is_part = bool(mark.part)
        call.correlation_id, call.merged = mark.correlation_id, _merged(mark, covered)
        self._tell_object(call, mark, is_alone=len(covered) == 1)
        return call

    def _tell_object(self, call: DeliveryCall, mark: Mark, *, is_alone: bool) -> None:
        key, module = call.item.key, call.module
        told = self._found.get((module, key.owner, key.name, key.variant), {})
        stored = told.get(key.party) or told.get(EVERYBODY)
        owner, party = PartyId.parse(key.owner), PartyId.parse(key.party)
        call.receiver = self._as_written(party)
        query = f"?{urlencode({'type': key.variant})}" if key.variant else ""
        call.path = f"{mark.spelling}{query}"
        if stored is None or stored.document == ENDED:
            if not mark.is_deleted:
                call.void = "the hub has it no more"
            elif self._directory.closed_because(owner, party, module) is not None:
                call.void = "the parties may not exchange it"
            else:
                call.method, call.sender = "DELETE", self._directory.hub
            return
        if not self._may_get(stored, owner, party, module):
            call.void = "the parties may not exchange it"
            return
        is_broadcast = stored.audience == EVERYBODY
        call.sender = self._directory.hub if is_broadcast else self._as_written(owner)
        if mark.patch is not None and is_alone:
            call.method, call.body = "PATCH", bytes(mark.patch)
            return
        document = self._part(module, stored.document, mark.part)
        if document is None:
            call.void = "the hub has this part no more"
            return
        call.method, call.body = "PUT", document
        if not mark.spelling:
            call.path = f"{_names(document, owner, key.name)}{query}"

    def _as_written(self, party: PartyId) -> tuple[str, str]:
        entry = self._directory.parties.get(party)
        return party if entry is None else (entry.country_code, entry.party_id)

    def _may_get(self, stored: _Stored, owner: PartyId, party: PartyId, module: str) -> bool:
        if stored.audience != EVERYBODY:
            return self._directory.closed_because(owner, party, module) is None
        teller = PartyId.parse(stored.told_by) if stored.told_by else owner
        return gets_broadcast(self._directory, teller, module, owner, party)

    def _part(self, module: str, document: bytes, part: str) -> bytes | None:
        if not part:
            return document
        key = (document, part)
        if key not in self._parts:
            kept = broadcast_kinds()[module](document=document, last_updated=timezone.now())
            self._parts[key] = kept.part(part.split(PART_OF))
        return self._parts[key]


def _smallest(waiting: Sequence[Mark]) -> tuple[Mark, Sequence[Mark]]:
    """What is told first of an object, and the marks that it stands for."""
    by_part = {mark.part: mark for mark in waiting}
    if (whole := by_part.get("")) is not None:
        return whole, waiting
    first = next(
        mark for mark in waiting if PART_OF not in mark.part or _above(mark.part) not in by_part
    )
    below = first.part + PART_OF
    return first, [one for one in waiting if one is first or one.part.startswith(below)]


def _above(part: str) -> str:
    return part.partition(PART_OF)[0]


def _merged(mark: Mark, covered: Sequence[Mark]) -> tuple[str, ...]:
    """The correlation ids of all other changes that the call stands for."""
    ids = [*mark.merged]
    for one in covered:
        if one is not mark:
            ids += [one.correlation_id, *one.merged]
    return tuple(one for one in dict.fromkeys(ids) if one != mark.correlation_id)


class _Named(msgspec.Struct):
    """What the URL of an object is made of, as its owner spells it."""

    country_code: Any = None
    party_id: Any = None
    id: Any = None
    uid: Any = None


_named: Final = heads.reader(_Named)


def _names(document: bytes, owner: PartyId, object_id: str) -> str:
    """The names of an object as it spells them itself, where they say the same."""
    named = _named(document)
    is_owned = heads.party_of(msgspec.structs.asdict(named)) == owner
    names = [heads.text(named.country_code), heads.text(named.party_id)] if is_owned else [*owner]
    key = heads.text(named.uid if named.id is None else named.id)
    names.append(key if key.upper() == object_id else object_id)
    return "/".join(quote(name, safe="") for name in names)
