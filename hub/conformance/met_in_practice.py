"""What the hub itself has counted of a platform, beside what a check finds out by asking.

A check sees how a party answers; these are the differences in what it pushes, posts and lists
(hub/deviations/), and what is left out since some want none (hub/conformance/left_out.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from hub.conformance import left_out
from hub.deviations.models import DeviationCount
from hub.deviations.objects import CountedDeviation


@dataclass(frozen=True, slots=True)
class Noted:
    """As the platform may be told it: not for whom its objects are left out."""

    deviations: list[CountedDeviation]
    for_others: list[left_out.Missed]
    for_it: list[left_out.Missed]

    @classmethod
    def of(cls, platform_id: int) -> Self:
        """Until now; what was met last comes first."""
        rows = DeviationCount.objects.filter(platform_id=platform_id)
        left = left_out.sides(platform_id)
        return cls(
            [CountedDeviation.of(row) for row in rows.order_by("-last_at", "rule", "path")],
            left.for_others,
            left.for_it,
        )

    def told(self) -> dict[str, Any]:
        """For programs, with the names of the lists that the platform itself can read."""
        return {
            "deviations": msgspec.to_builtins(self.deviations),
            "left_out_for_others": [
                msgspec.to_builtins(one.told(to_owner=True)) for one in self.for_others
            ],
            "left_out_for_it": [
                msgspec.to_builtins(one.told(to_owner=False)) for one in self.for_it
            ],
        }

    def lines_for_others(self) -> Iterator[str]:
        """A sentence for each module and owner."""
        for one in self.for_others:
            yield one.sentence("1 platform" if one.platforms == 1 else f"{one.platforms} platforms")

    def lines_for_it(self) -> Iterator[str]:
        """Likewise."""
        for one in self.for_it:
            yield one.sentence()
