"""What the hub itself has counted of a platform, beside what a check finds out by asking.

A check sees how a party answers; these are the differences in what it pushes, posts and lists
(hub/deviations/), and what is left out since some want none (hub/left_out.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from hub import left_out
from hub.deviations.models import DeviationCount
from hub.deviations.objects import CountedDeviation, LeftOutObjects
from hub.directory import holder


@dataclass(frozen=True, slots=True)
class Noted:
    """As the platform may be told it: not for whom its objects are left out."""

    deviations: list[CountedDeviation]
    for_others: list[LeftOutObjects]
    for_it: list[LeftOutObjects]

    @classmethod
    def of(cls, platform_id: int) -> Self:
        """Until now; what was met last comes first."""
        rows = DeviationCount.objects.filter(platform_id=platform_id)
        directory = holder.refresh()
        entry = directory.platforms.get(platform_id)
        lacking = left_out.of_owner(entry, directory) if entry else []
        lacks = left_out.for_receiver(entry, directory) if entry else []
        return cls(
            [CountedDeviation.of(row) for row in rows.order_by("-last_at", "rule", "path")],
            [one.told(to_owner=True) for one in lacking],
            [one.told(to_owner=False) for one in lacks],
        )

    def told(self) -> dict[str, Any]:
        """For programs, with the names of the lists that the platform itself can read."""
        return {
            "deviations": msgspec.to_builtins(self.deviations),
            "left_out_for_others": msgspec.to_builtins(self.for_others),
            "left_out_for_it": msgspec.to_builtins(self.for_it),
        }

    def lines_for_others(self) -> Iterator[str]:
        """A sentence for each module and owner."""
        for one in self.for_others:
            whom = "1 platform" if one.platforms == 1 else f"{one.platforms} platforms"
            yield f"{one.module} of {one.owner}: {_now(one)} for {whom} now; {_counted(one)}"

    def lines_for_it(self) -> Iterator[str]:
        """Likewise."""
        for one in self.for_it:
            yield f"{one.module} of {one.owner}: {_now(one)} now; {_counted(one)}"


def _now(one: LeftOutObjects) -> str:
    shown = ", ".join(one.object_ids)
    more = ", .." if one.objects > len(one.object_ids) else ""
    return f"{one.objects} ({shown}{more})" if shown else f"{one.objects}"


def _counted(one: LeftOutObjects) -> str:
    pushes = "1 push" if one.pushes == 1 else f"{one.pushes} pushes"
    lists = "1 list" if one.lists == 1 else f"{one.lists} lists"
    return f"{pushes} not sent, {lists} read without them so far"
