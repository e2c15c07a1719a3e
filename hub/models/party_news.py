"""What the others are told of a party, and how far each has been told (mod_hub_client_info).

A change of a party's status writes one row, whatever the number of receivers. Its number is the
version of the directory that its commit raises (hub/routing/directory.py): a greater one commits
later, so whoever has been told through a number lacks what has a greater one, and nothing else.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import models

from hub.db import sql
from hub.models.parties import Party
from hub.ocpi import headers
from hub.ocpi.party import PartyId


class PartyNews(models.Model):
    """A party in a role as the others are told of it, also when its own row is gone.

    `owner` is "NL-CPO". A trigger writes `version` at the commit of the change.
    """

    owner = models.CharField(max_length=6)
    role = models.CharField(max_length=5)
    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    # Where it lives, or lived last; no foreign key: a platform may go before what is told of it.
    platform_id = models.BigIntegerField()
    status = models.CharField(max_length=9)
    last_updated = models.DateTimeField()
    correlation_id = models.CharField(max_length=255)
    # Raised by what is told also where the status is the former one.
    announced = models.BigIntegerField()
    version = models.BigIntegerField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "role"], name="party_news_once"),
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.role} {self.status}"


class NewsPosition(models.Model):
    """Through which version a receiver has been told of the others."""

    receiver = models.OneToOneField(
        "hub.Platform",
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="news_position",
        db_constraint=False,
    )
    version = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.receiver_id} through {self.version}"


@dataclass(frozen=True, slots=True)
class News:
    """A row of `PartyNews` as a drain reads it."""

    owner: str
    role: str
    country_code: str
    party_id: str
    platform_id: int
    status: str
    last_updated: datetime
    correlation_id: str
    announced: int
    version: int

    @property
    def identity(self) -> PartyId:
        """The comparable form."""
        return PartyId.parse(self.owner)


# One order of rows for all who write several.
_TELL: Final = """
    INSERT INTO hub_partynews AS known (
        owner, role, country_code, party_id, platform_id, status, last_updated, correlation_id,
        announced, version)
    SELECT *, %s::int, 0
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[],
                %s::timestamptz[], %s::text[])
         AS told (owner, role, country_code, party_id, platform_id, status, last_updated,
                  correlation_id)
    ORDER BY owner, role
    ON CONFLICT (owner, role) DO UPDATE
    SET country_code = excluded.country_code, party_id = excluded.party_id,
        platform_id = excluded.platform_id, status = excluded.status,
        last_updated = excluded.last_updated, correlation_id = excluded.correlation_id,
        announced = known.announced + excluded.announced, version = 0
"""


def write(parties: Sequence[Party], *, is_announced: bool) -> None:
    """These are to be told to all others, in the caller's transaction, which has their rows locked.

    `is_announced`: also to those that hold this status already.
    """
    rows = [
        (
            str(party.identity),
            party.role,
            party.country_code,
            party.party_id,
            party.platform_id,
            str(party.status),
            party.last_updated,
            headers.new_id(),
        )
        for party in parties
    ]
    if rows:
        columns = zip(*rows, strict=True)
        sql.run(_TELL, [int(is_announced), *(list(column) for column in columns)])


_BEGIN: Final = """
    INSERT INTO hub_newsposition AS known (receiver_id, version)
    SELECT %s, coalesce(max(version), 0) FROM hub_directoryversion
    ON CONFLICT (receiver_id) DO UPDATE SET version = greatest(known.version, excluded.version)
"""


def begin(platform_id: int) -> None:
    """A receiver is told what changes from now on.

    In the transaction by which it comes: what is committed already it can GET afterwards, and what
    commits later has a greater number.
    """
    sql.run(_BEGIN, [platform_id])


_BEHIND: Final = """
    SELECT platform.id, coalesce(position.version, 0) FROM hub_platform AS platform
    LEFT JOIN hub_newsposition AS position ON position.receiver_id = platform.id
    WHERE registered_at IS NOT NULL
      AND (%(receiver)s::bigint IS NULL OR platform.id = %(receiver)s)
      AND coalesce(position.version, 0) < (SELECT max(version) FROM hub_partynews)
      AND EXISTS (SELECT FROM hub_endpoint WHERE platform_id = platform.id
                  AND identifier = 'hubclientinfo' AND role = 'RECEIVER')
      AND EXISTS (SELECT FROM hub_party WHERE platform_id = platform.id AND status = 'CONNECTED')
"""
_SINCE: Final = """
    SELECT version, platform_id, last_updated FROM hub_partynews WHERE version > %s ORDER BY version
"""


def owed(receiver: int | None = None) -> list[tuple[int, int, datetime]]:
    """Of how many parties each receiver, or one, is still to be told, and since when of the first.

    Of some it may have been told that come after one that it has not answered yet.
    """
    behind = sql.run(_BEHIND, {"receiver": receiver})
    if not behind:
        return []
    news = sql.run(_SINCE, [min(position for _, position in behind)])
    of_platform: dict[int, list[int]] = {}
    for version, platform_id, _ in news:
        of_platform.setdefault(platform_id, []).append(version)
    versions = [version for version, *_ in news]
    return [
        (receiver_id, number, _first(news[bisect_right(versions, position) :], receiver_id))
        for receiver_id, position in behind
        if (
            number := _after(versions, position)
            - _after(of_platform.get(receiver_id, []), position)
        )
    ]


def _after(versions: list[int], position: int) -> int:
    return len(versions) - bisect_right(versions, position)


def _first(news: Iterable[tuple[Any, ...]], receiver_id: int) -> datetime:
    first: datetime = next(at for _, platform_id, at in news if platform_id != receiver_id)
    return first
