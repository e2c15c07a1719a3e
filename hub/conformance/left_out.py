"""What is left out for the platforms that want no deviations: how much, whose, for which platform.

Told to both sides. The operator sees who misses what of whom; a receiver sees the owners, whose
objects it would be shown otherwise; an owner sees how many platforms miss how much of its objects,
but not which ones: that a platform wants no deviations is between it and the operator.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from django.core.exceptions import EmptyResultSet
from django.db import models

from hub.db import sql
from hub.deviations.models import LeftOut
from hub.deviations.objects import LeftOutObjects, to_the_second
from hub.models import Platform
from hub.ocpi.party import PartyId
from hub.routing.directory import Directory, PlatformEntry, load
from hub.store import leaving_out
from hub.store.kinds import kinds_left_out
from hub.store.store import StoredObject

MOST_IDS: Final = 10


@dataclass(slots=True)
class Missed:
    """What is left out of one owner and module, for one receiver or for all of them (0)."""

    receiver: int
    module: str
    owner: str
    objects: int = 0
    ids: tuple[str, ...] = ()
    platforms: int = 0
    pushes: int = 0
    lists: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None

    def sentence(self, whom: str = "") -> str:
        """The line for people; `whom` names the platforms that they are left out for, if told."""
        shown = ", ".join(self.ids) + (", .." if self.objects > len(self.ids) else "")
        now = (
            f"{self.objects} ({shown}){whom and f' for {whom}'} now" if self.objects else "none now"
        )
        pushes = "1 push" if self.pushes == 1 else f"{self.pushes} pushes"
        lists = "1 list" if self.lists == 1 else f"{self.lists} lists"
        return (
            f"{self.module} of {self.owner}: {now}; "
            f"{pushes} not sent, {lists} read without them so far"
        )

    def told(self, *, to_owner: bool) -> LeftOutObjects:
        """The row as one of the two sides is told it."""
        country_code, party_id = PartyId.parse(self.owner)
        first, last = self.first_at, self.last_at
        return LeftOutObjects(
            module=self.module,
            country_code=country_code,
            party_id=party_id,
            objects=self.objects,
            object_ids=list(self.ids),
            pushes=self.pushes,
            lists=self.lists,
            first_seen=to_the_second(first) if first else msgspec.UNSET,
            last_seen=to_the_second(last) if last else msgspec.UNSET,
            platforms=self.platforms if to_owner else msgspec.UNSET,
        )


class Sides(NamedTuple):
    """What is left out for a platform, and what of it is left out for others."""

    for_it: list[Missed]
    for_others: list[Missed]


def sides(platform_id: int, *, by_receiver: bool = False) -> Sides:
    """The switch in the database now; with a snapshot of the directory this look is not needed."""
    is_used = Platform.objects.filter(leaves_out_deviations=True).exists()
    if not (is_used or LeftOut.objects.exists()):
        return Sides([], [])
    directory = load()
    platform = directory.platforms.get(platform_id)
    if platform is None:
        return Sides([], [])
    return Sides(
        for_receiver(platform, directory), of_owner(platform, directory, by_receiver=by_receiver)
    )


def for_receiver(platform: PlatformEntry, directory: Directory) -> list[Missed]:
    """What a platform lacks, by module and owner."""
    counted = LeftOut.objects.filter(receiver=platform.id)
    now = _now([platform], directory, models.Q(), by_receiver=True)
    return _with_counts(now, counted, by_receiver=True)


def of_owner(
    platform: PlatformEntry, directory: Directory, *, by_receiver: bool = False
) -> list[Missed]:
    """What others lack of what a platform tells, by module and owner, and by receiver if asked."""
    own = [str(party) for party in platform.parties]
    told = models.Q(owner__in=own) | models.Q(told_by__in=own)
    receivers = [
        one
        for one in directory.platforms.values()
        if one.leaves_out_since is not None and one.id != platform.id
    ]
    now = _now(receivers, directory, told, by_receiver=by_receiver)
    # The counts of owners that are parties here are their own platforms', also if others tell of
    # them, as an aggregator does.
    owners = {
        *own,
        *(one.owner for one in now if PartyId.parse(one.owner) not in directory.parties),
    }
    counted = LeftOut.objects.filter(owner__in=owners).exclude(receiver=platform.id)
    return _with_counts(now, counted, by_receiver=by_receiver)


def _now(
    receivers: Iterable[PlatformEntry],
    directory: Directory,
    of: models.Q,
    *,
    by_receiver: bool,
) -> list[Missed]:
    """Counted in one statement for each kind, however many receivers there are."""
    found = []
    for kind in kinds_left_out():
        parts, params = _lacking(kind, receivers, directory, of)
        if parts:
            receiver = "receiver" if by_receiver else "0"
            statement = f"""
                SELECT {receiver}, owner, count(DISTINCT object_id), count(DISTINCT receiver),
                       (array_agg(DISTINCT object_id))[1:{MOST_IDS}]
                FROM ({" UNION ALL ".join(parts)}) AS lacking GROUP BY 1, 2
            """  # noqa: S608 - made by Django, and a number of ours
            found += [
                Missed(whose, kind.MODULE, owner, objects, tuple(ids), platforms)
                for whose, owner, objects, platforms, ids in sql.run(
                    statement, params, prepare=False
                )
            ]
    return found


def _lacking(
    kind: type[StoredObject],
    receivers: Iterable[PlatformEntry],
    directory: Directory,
    of: models.Q,
) -> tuple[list[str], list[Any]]:
    parts: list[str] = []
    params: list[Any] = []
    for receiver in receivers:
        odd = leaving_out.left_out_now(kind, receiver, directory)
        if odd is None:
            continue
        try:
            chosen, values = odd.filter(of).values("owner", "object_id").query.sql_with_params()
        except EmptyResultSet:
            continue  # The platform may see nothing of these.
        parts.append(
            f"SELECT {int(receiver.id)} AS receiver, owner, object_id "  # noqa: S608 - by Django
            f"FROM ({chosen}) AS one (owner, object_id)"
        )
        params += values
    return parts, params


def _with_counts(
    now: Iterable[Missed], counted: "models.QuerySet[LeftOut]", *, by_receiver: bool
) -> list[Missed]:
    """What is left out now, and what was counted so far, also of what is left out no more."""
    found = {(one.receiver, one.module, one.owner): one for one in now}
    for row in counted:
        key = (row.receiver_id if by_receiver else 0, row.module, row.owner)
        one = found.setdefault(key, Missed(*key))
        one.pushes += row.pushes
        one.lists += row.lists
        one.first_at = min(one.first_at or row.first_at, row.first_at)
        one.last_at = max(one.last_at or row.last_at, row.last_at)
    return [found[key] for key in sorted(found)]
