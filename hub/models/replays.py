"""Who is to be marked for what changed meanwhile (transport_and_format, Offline behaviour)."""

from datetime import UTC, datetime
from typing import Final

from django.db import models
from django.utils import timezone

from hub.db import sql
from hub.ocpi.party import PartyId


def under_way_since() -> datetime:
    """No push that is being told at this moment began earlier.

    That is when the oldest open transaction began, or what was pulled and is not told yet.
    """
    [(oldest,)] = sql.run(
        "SELECT least(now(), min(xact_start), (SELECT min(since) FROM hub_untold)) "
        "FROM pg_stat_activity "
        "WHERE datname = current_database() AND backend_xid IS NOT NULL "
        "AND backend_type = 'client backend'"
    )
    assert isinstance(oldest, datetime)  # noqa: S101 - narrows for mypy
    return oldest


_BEGIN: Final = """
    INSERT INTO hub_replay AS old (platform_id, country_code, party_id, since, module, after,
                                   objects_marked, started_at)
    VALUES (%s, %s, %s, %s, '', 0, 0, statement_timestamp())
    ON CONFLICT (country_code, party_id) DO UPDATE
    SET platform_id = excluded.platform_id, version = NULL, horizon = NULL, module = '', after = 0,
        objects_marked = 0, started_at = excluded.started_at,
        since = CASE WHEN old.since IS NOT NULL AND excluded.since IS NOT NULL
                THEN least(old.since, excluded.since) END
"""


class Replay(models.Model):
    """What changed since a party went, or while it came, on its way to becoming marks.

    A web process that did not know of it yet, or a push that was under way then, has not told it:
    so the objects are looked at when all processes have confirmed `version`, and when all
    transactions before `horizon` have ended.
    """

    platform = models.ForeignKey("hub.Platform", on_delete=models.CASCADE, related_name="replays")
    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=3)
    # None: everything that it may see.
    since = models.DateTimeField(null=True, blank=True)
    # The version of the directory once the change that began this replay is committed.
    version = models.BigIntegerField(null=True)
    horizon = models.BigIntegerField(null=True)
    # What was marked last: `after` is a row of this module.
    module = models.CharField(max_length=9, blank=True)
    after = models.BigIntegerField(default=0)
    objects_marked = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["country_code", "party_id"], name="replay_once_a_party")
        ]

    def __str__(self) -> str:
        return f"replay to {self.identity}"

    @property
    def identity(self) -> PartyId:
        """The party that is marked."""
        return PartyId(self.country_code, self.party_id)

    @classmethod
    def begin(cls, platform_id: int, identity: PartyId, since: datetime | None = None) -> None:
        """Begin a replay anew, also if one is under way; without `since`, of everything."""
        sql.run(_BEGIN, [platform_id, *identity, since])

    @classmethod
    def unmarked_since(cls, platform_id: int) -> datetime | None:
        """Since when a platform lacks what its replays still have to mark; None without replays."""
        sinces = cls.objects.filter(platform=platform_id).values_list("since", flat=True)
        return min((since or datetime.min.replace(tzinfo=UTC) for since in sinces), default=None)

    @classmethod
    def catch_up(cls, platform_id: int, identity: PartyId, since: datetime | None = None) -> None:
        """Mark for a party that comes now what is being pushed, or has been since it went."""
        oldest = under_way_since()
        cls.begin(platform_id, identity, oldest if since is None else min(oldest, since))


class Deletion(models.Model):
    """That an owner has ended an object, for those that were away then: the object is no more.

    `spelling` are the names of its URL, `told_by` is as that of the object. Kept for
    DELETIONS_KEPT_DAYS, also where such an object has come again.
    """

    module = models.CharField(max_length=16)
    owner = models.CharField(max_length=6)
    object_id = models.CharField(max_length=39)
    spelling = models.CharField(max_length=600)
    told_by = models.CharField(max_length=6, blank=True)
    deleted_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["module", "owner", "object_id"], name="deletion_once_an_object"
            )
        ]
        indexes = [models.Index(fields=["deleted_at"], name="deletion_by_time")]

    def __str__(self) -> str:
        return f"{self.module} {self.owner} {self.object_id}"

    @classmethod
    def note(cls, module: str, owner: str, object_id: str, spelling: str, told_by: str) -> None:
        """Note it in the transaction that tells the connected parties."""
        sql.run(
            """
            INSERT INTO hub_deletion (module, owner, object_id, spelling, told_by, deleted_at)
            VALUES (%s, %s, %s, %s, %s, statement_timestamp())
            ON CONFLICT (module, owner, object_id) DO UPDATE
            SET spelling = excluded.spelling, told_by = excluded.told_by,
                deleted_at = excluded.deleted_at
            """,
            [module, owner, object_id, spelling, told_by],
        )
