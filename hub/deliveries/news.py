"""ClientInfo for the receivers of a shard (mod_hub_client_info, Push model).

Each receiver has been told of all parties through a version of the directory; what has a greater
one goes into its lane, page by page. All parties are in memory, as they are told to the others.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, Final

import msgspec

from hub.deliveries import calls
from hub.deliveries.calls import Asked, DeliveryCall
from hub.deliveries.lanes import Item
from hub.deliveries.rows import HELD, Fate, Key, Waiting
from hub.deliveries.shard import LeaseLost, Shard
from hub.models.party_news import News
from hub.ocpi.datatypes import InterfaceRole
from hub.parties import party_status
from hub.routing.directory import Directory

_POSITIONS: Final = """
    SELECT receiver_id, version FROM hub_newsposition
    WHERE receiver_id = ANY(%(receivers)s::bigint[])
"""
# The missing ones are of platforms that came by another way than a registration.
_FIRST: Final = """
    INSERT INTO hub_newsposition (receiver_id, version)
    SELECT id, 0 FROM hub_platform WHERE id = ANY(%(receivers)s::bigint[])
    ON CONFLICT DO NOTHING
"""
_NEWS: Final = """
    SELECT owner, role, country_code, party_id, platform_id, status, last_updated, correlation_id,
           announced, version
    FROM hub_partynews WHERE version > %(known)s AND version <= %(through)s ORDER BY version
"""
_REFUSALS: Final = """
    SELECT receiver_id, owner, object_id FROM hub_stalecopy
    WHERE state = 'REFUSED' AND module = %(module)s AND receiver_id %% %(shards)s = %(shard)s
"""
_REFUSE: Final = f"""{HELD}, done AS (
    INSERT INTO hub_stalecopy AS old (
        receiver_id, party, module, owner, object_id, spelling, correlation_id, variant, part,
        is_deleted, priority, raised, merged, first_at, state, outcome)
    SELECT receiver, '', %(module)s, owner, role, '', correlation_id, '', '', false, 1, 1, '{{}}',
           now(), 'REFUSED', sent.outcome
    FROM lease, unnest(%(receivers)s::bigint[], %(owners)s::text[], %(roles)s::text[],
                       %(correlation_ids)s::text[], %(outcomes)s::text[])
         AS sent (receiver, owner, role, correlation_id, outcome)
    ORDER BY receiver, owner, role
    ON CONFLICT (receiver_id, party, module, owner, object_id, variant, part) DO UPDATE
    SET state = 'REFUSED', outcome = excluded.outcome, raised = old.raised + 1,
        correlation_id = excluded.correlation_id
) SELECT fence FROM lease"""  # noqa: S608 - a text of ours
_CLEAR: Final = f"""{HELD}, done AS (
    DELETE FROM hub_stalecopy
    USING lease, unnest(%(receivers)s::bigint[], %(owners)s::text[], %(roles)s::text[])
        AS sent (receiver, owner, role)
    WHERE receiver_id = receiver AND party = '' AND module = %(module)s
      AND hub_stalecopy.owner = sent.owner AND object_id = role AND variant = '' AND part = ''
) SELECT fence FROM lease"""  # noqa: S608 - a text of ours
# A position that somebody else writes just now is left for later: nobody waits for that here.
_MOVE: Final = f"""{HELD}, free AS (
    SELECT receiver_id, sent.version FROM lease CROSS JOIN
        unnest(%(receivers)s::bigint[], %(versions)s::bigint[]) AS sent (receiver_id, version)
    JOIN hub_newsposition AS position USING (receiver_id)
    FOR UPDATE OF position SKIP LOCKED
), done AS (
    UPDATE hub_newsposition SET version = greatest(hub_newsposition.version, free.version)
    FROM free WHERE hub_newsposition.receiver_id = free.receiver_id
) SELECT fence, ARRAY(SELECT receiver_id FROM free) FROM lease"""  # noqa: S608 - a text of ours


@dataclass(frozen=True, slots=True)
class _Change:
    """A party as it became, and the status that it had before where that alone is to be told."""

    key: Key
    news: News
    former: str


@dataclass(slots=True, eq=False)
class _Receiver:
    """How far one of them is: all through `taken` is in its lane, or was told."""

    taken: int
    # What changed later, it saw changing: it holds what was before.
    since: int
    written: int
    # By their numbers in the lane, in the order of their versions.
    waiting: dict[int, _Change] = field(default_factory=dict)
    # Of what waits: the status that it was told last; empty where that is not known.
    holds: dict[Key, str] = field(default_factory=dict)
    # What was told before its turn came, through which version.
    told: dict[Key, int] = field(default_factory=dict)

    @property
    def position(self) -> int:
        """The version up to which everything is told, or does not need to be told."""
        first = next(iter(self.waiting.values()), None)
        return self.taken if first is None else first.news.version - 1


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What a receiver did not take."""

    correlation_id: str
    outcome: str


class Telling:
    """What the receivers of a shard are still to be told of parties."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._directory: Directory | None = None
        self._parties: dict[Key, _Change] = {}
        self._order: list[_Change] = []
        self._version = 0
        self._receivers: dict[int, _Receiver] = {}
        # Numbers below those of rows.
        self._numbers = count(-1, -1)
        # Rows that say what was refused: those that are there, and what is to be written of them.
        self._refused: set[tuple[int, Key]] = set()
        self._ended: dict[tuple[int, Key], _Refusal | None] = {}
        self._moved: set[int] = set()

    # --- What is to be told -----------------------------------------------------------------------

    async def look(self, directory: Directory) -> None:
        """Take in what has changed, where this is another directory than the last.

        Positions are read after the directory that says who is here, and parties after those: what
        a receiver that has just come is to be told has a greater version than its position. What
        is newer than the directory waits for the next one, which says who may see what of it.
        """
        if directory is self._directory:
            return
        shards, number = self._shard.shards, self._shard.number
        here = {one for one in party_status.viewers(directory) if one % shards == number}
        for gone in self._receivers.keys() - here:
            self.forget(gone)
        new = sorted(here - self._receivers.keys())
        positions = await self._positions(new) if new else {}
        if not self._version:
            rows = await self._shard.run(_REFUSALS, {"module": party_status.MODULE})
            self._refused = {(receiver, Key(role, owner=owner)) for receiver, owner, role in rows}
        asked = {"known": self._version, "through": directory.version}
        for row in await self._shard.run(_NEWS, asked):
            self._learn(News(*row))
        if len(self._order) > 2 * len(self._parties) + 1000:
            self._compact()
        for one in new:
            position = positions.get(one, 0)
            self._receivers[one] = _Receiver(position, self._version, position)
        self._directory = directory

    async def _positions(self, receivers: list[int]) -> dict[int, int]:
        found = dict(await self._shard.run(_POSITIONS, {"receivers": receivers}))
        if len(found) < len(receivers):
            await self._shard.run(_FIRST, {"receivers": receivers})
        return found

    def _learn(self, news: News) -> None:
        key = Key(news.role, owner=news.owner)
        before = self._parties.get(key)
        is_plain = before is not None and before.news.announced == news.announced
        former = before.news.status if before is not None and is_plain else ""
        change = self._parties[key] = _Change(key, news, former)
        self._order.append(change)
        self._version = news.version

    def _compact(self) -> None:
        """Drop what was replaced; who has not come to it does not see it changing any more."""
        self._order = [one for one in self._order if self._parties[one.key] is one]
        for receiver in self._receivers.values():
            if receiver.taken < self._version:
                receiver.since = self._version

    def behind(self) -> Iterator[int]:
        """Receivers for whose lanes there is more."""
        for platform_id, receiver in self._receivers.items():
            if receiver.taken < self._version:
                yield platform_id

    def is_behind(self, platform_id: int) -> bool:
        """Whether it is one of those."""
        receiver = self._receivers.get(platform_id)
        return receiver is not None and receiver.taken < self._version

    def take(self, platform_id: int, room: int) -> list[Waiting]:
        """The next changes that a receiver is to be told, about so many."""
        receiver = self._receivers[platform_id]
        found: list[Waiting] = []
        begin = bisect_right(self._order, receiver.taken, key=_version)
        for change in islice(self._order, begin, None):
            if len(found) >= room and change.news.version != receiver.taken:
                return found
            receiver.taken = change.news.version
            if self._is_to_be_told(platform_id, receiver, change):
                number = next(self._numbers)
                receiver.waiting[number] = change
                found.append(
                    Waiting(number, platform_id, party_status.MODULE, change.key, is_urgent=False)
                )
        return found

    def _is_to_be_told(self, platform_id: int, receiver: _Receiver, change: _Change) -> bool:
        version = change.news.version
        if (told := receiver.told.get(change.key)) is not None:
            if version >= told:
                del receiver.told[change.key]
            if version <= told:
                return False
        if self._parties[change.key] is not change:
            # Something has replaced it, whose turn is still to come.
            receiver.holds.setdefault(change.key, "")
            return False
        if change.news.platform_id == platform_id:
            return False
        is_seen = version > receiver.since
        receiver.holds.setdefault(change.key, change.former if is_seen else "")
        return True

    async def read(self, asked: Sequence[Asked], directory: Directory) -> list[DeliveryCall]:
        """What is to be sent for these items now, parties and others (hub/deliveries/calls.py)."""
        others = [one for one in asked if one[1] != party_status.MODULE]
        found = iter(await calls.read(self._shard, others, directory))
        return [
            self.call(item, platform_id, directory)
            if module == party_status.MODULE
            else next(found)
            for platform_id, module, item in asked
        ]

    def call(self, item: Item, platform_id: int, directory: Directory) -> DeliveryCall:
        """What a receiver is to be told of a party now."""
        call = DeliveryCall(item, platform_id, party_status.MODULE, InterfaceRole.RECEIVER)
        call.covers = [(number, 0) for number in item.ids]
        receiver, change = self._receivers.get(platform_id), self._parties.get(item.key)
        if platform_id not in party_status.viewers(directory):
            self.forget(platform_id)
            change = None
        if change is None:
            call.void = "there is nobody to tell it, or of"
            return call
        viewer, news = directory.platforms[platform_id], change.news
        info = party_status.client_info(news, viewer, directory)
        call.method, call.path = "PUT", f"{news.country_code}/{news.party_id}"
        call.body = msgspec.json.encode(info)
        call.correlation_id, call.news = news.correlation_id, news
        if receiver is not None:
            held = receiver.holds.get(item.key, "")
            if held and info.status == party_status.shown(held, news.identity, viewer, directory):
                call.void = "the receiver holds this status"
                return call
            # Not known from the first byte on.
            receiver.holds[item.key] = ""
            covered = (receiver.waiting[one] for one in sorted(item.ids) if one in receiver.waiting)
            ids = dict.fromkeys(one.news.correlation_id for one in covered)
            call.merged = tuple(one for one in ids if one != news.correlation_id)
        return call

    def forget(self, platform_id: int) -> None:
        """A receiver is away: what it is to be told when it is back says its position then."""
        if self._receivers.pop(platform_id, None) is not None:
            self._directory = None

    # --- What has become of it --------------------------------------------------------------------

    def ended(self, call: DeliveryCall, fate: Fate, outcome: str) -> None:
        """A receiver was told, or has refused it, or need not be told: that is to be written."""
        key, news = call.item.key, call.news
        of = (call.platform_id, key)
        numbers = {number for number, _ in call.covers}
        if fate in {Fate.REFUSED, Fate.FAILED}:
            self._refused.add(of)
            self._ended[of] = _Refusal(call.correlation_id, outcome[:300])
        elif of in self._refused or max(numbers) > 0:
            self._refused.discard(of)
            self._ended[of] = None
        receiver = self._receivers.get(call.platform_id)
        if receiver is None or news is None:
            return
        for number in numbers:
            receiver.waiting.pop(number, None)
        if news.version > receiver.taken:
            receiver.told[key] = news.version
        if call.item.ids <= numbers:
            receiver.holds.pop(key, None)
        elif fate is not Fate.VOID:
            receiver.holds[key] = news.status if fate is Fate.TOLD else ""
        self._moved.add(call.platform_id)

    @property
    def has_moved(self) -> bool:
        """Whether there is something to write."""
        return bool(self._moved or self._ended)

    async def write(self) -> None:
        """What was refused is shown before the positions say that its turn is over."""
        ended, self._ended = self._ended, {}
        moved, self._moved = self._moved, set()
        refused = [(*of, one) for of, one in ended.items() if one is not None]
        cleared = [of for of, one in ended.items() if one is None]
        if refused:
            await self._write(
                _REFUSE,
                {
                    **_named([(receiver, key) for receiver, key, _ in refused]),
                    "correlation_ids": [one.correlation_id for *_, one in refused],
                    "outcomes": [one.outcome for *_, one in refused],
                },
            )
        if cleared:
            await self._write(_CLEAR, _named(cleared))
        further = {
            platform_id: receiver.position
            for platform_id in moved
            if (receiver := self._receivers.get(platform_id)) is not None
            and receiver.position > receiver.written
        }
        if further:
            _, free = await self._write(
                _MOVE, {"receivers": [*further], "versions": [*further.values()]}
            )
            for platform_id, position in further.items():
                if platform_id not in free:
                    self._moved.add(platform_id)
                elif (receiver := self._receivers.get(platform_id)) is not None:
                    receiver.written = position

    async def _write(self, statement: str, parameters: dict[str, object]) -> tuple[Any, ...]:
        found = await self._shard.run(statement, {"module": party_status.MODULE, **parameters})
        if not found:
            raise LeaseLost
        return found[0]


def _version(change: _Change) -> int:
    return change.news.version


def _named(those: list[tuple[int, Key]]) -> dict[str, object]:
    return {
        "receivers": [receiver for receiver, _ in those],
        "owners": [key.owner for _, key in those],
        "roles": [key.name for _, key in those],
    }
