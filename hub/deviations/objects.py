"""What a platform is told of its deviations and of what is left out: objects of this hub's own."""

from datetime import datetime
from typing import Self

import msgspec

from hub.deviations.models import DeviationCount
from hub.deviations.rules import rule_of
from hub.ocpi.datatypes import DateTime


class CountedDeviation(msgspec.Struct):
    """One rule that a platform breaks at one path, as the hub has counted it.

    `path` has [] for each index; `example` is the value that was met first, cut and masked;
    `meaning` and `asked` say in words what was met and what to send instead.
    """

    rule: str
    path: str
    count: int
    first_seen: DateTime
    last_seen: DateTime
    example: str
    meaning: str
    asked: str

    @classmethod
    def of(cls, row: DeviationCount) -> Self:
        """A row as a party is told it."""
        rule = rule_of(row.rule)
        return cls(
            rule=row.rule,
            path=row.path,
            count=row.number,
            first_seen=to_the_second(row.first_at),
            last_seen=to_the_second(row.last_at),
            example=row.example,
            meaning=rule.title,
            asked=rule.asked,
        )


class LeftOutObjects(msgspec.Struct, omit_defaults=True):
    """Objects of one owner and module that deviate, and are left out for platforms that want none.

    `objects` are left out now, `object_ids` some of them in upper case; `pushes` were not sent and
    `lists` were read without them since `first_seen`, absent before the first. `platforms`, told to
    the owner alone, is how many lack some of them now.
    """

    module: str
    country_code: str
    party_id: str
    objects: int
    object_ids: list[str]
    pushes: int
    lists: int
    first_seen: DateTime | msgspec.UnsetType = msgspec.UNSET
    last_seen: DateTime | msgspec.UnsetType = msgspec.UNSET
    platforms: int | msgspec.UnsetType = msgspec.UNSET


def to_the_second(moment: datetime) -> datetime:
    """types: a DateTime has at most 25 characters, which microseconds exceed."""
    return moment.replace(microsecond=0)
