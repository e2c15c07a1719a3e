"""What workers share in the database: jobs, turns by the clock, who is there, which shards."""

from typing import Final, NamedTuple

from django.db import models
from django.db.models.functions import Now

from hub.db import sql
from hub.db.leases import NOW, UNTIL, Leased

QUEUES: Final = ("profiles", "deliveries", "pulls", "upkeep")
_BY_QUEUE: Final = f"""
    SELECT queue, count(*) FILTER (WHERE lease_until > {NOW}),
           extract(epoch FROM {UNTIL} - min(lease_until))::float8
    FROM unnest(%s::text[]) WITH ORDINALITY AS asked (queue, number)
    LEFT JOIN hub_workerprocess USING (queue) GROUP BY queue, number ORDER BY number
"""  # noqa: S608 - clocks of ours


class Job(Leased):
    """A task to run with these arguments; the row is deleted when it has been run.

    Requested again before it has begun, it is one job; while it runs, it is run once more
    (`wakes`). One that fails is tried again from `due_at`, a few times.
    """

    queue = models.CharField(max_length=20)
    task = models.CharField(max_length=100)
    arguments = models.JSONField(default=list)
    due_at = models.DateTimeField(db_default=Now())
    wakes = models.BigIntegerField(default=1)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "arguments"], name="job_once")]
        indexes = [models.Index(fields=["queue", "due_at"], name="job_by_due")]

    def __str__(self) -> str:
        return f"{self.task}{tuple(self.arguments)}"


class Timer(Leased):
    """A task that is run by the clock, by one worker at a time: the first that comes."""

    task = models.CharField(max_length=100, unique=True)
    due_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.task


class Workers(NamedTuple):
    """For one queue: how many processes are alive, and for how many seconds one has been silent.

    That is the one that has been silent longest, dead ones too for an hour; None: there was none.
    """

    queue: str
    alive: int
    silent: float | None


class WorkerProcess(models.Model):
    """A process that works for a queue, as long as it says so."""

    name = models.CharField(max_length=64)
    queue = models.CharField(max_length=20)
    lease_until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "queue"], name="worker_process_once")
        ]

    def __str__(self) -> str:
        return f"{self.queue}: {self.name}"

    @staticmethod
    def by_queue() -> list[Workers]:
        """The state of every queue, in the order of QUEUES."""
        return [Workers(*row) for row in sql.run(_BY_QUEUE, [list(QUEUES)])]


class Sharding(models.Model):
    """The number of shards of the receivers: one row, which running drains follow."""

    DEFAULT: Final = 2
    FIRST: Final = f"""
        INSERT INTO hub_sharding (id, shards) VALUES (1, {DEFAULT}) ON CONFLICT DO NOTHING
    """  # noqa: S608 - a number of ours

    shards = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"{self.shards} shards"

    @staticmethod
    def number() -> int:
        """The number of shards now."""
        found = sql.run("SELECT shards FROM hub_sharding")
        return int(found[0][0]) if found else Sharding.DEFAULT

    @staticmethod
    def change(shards: int) -> None:
        """Divide anew: each drain ends, then those of the new number begin."""
        sql.run(
            "INSERT INTO hub_sharding (id, shards) VALUES (1, %s) "
            "ON CONFLICT (id) DO UPDATE SET shards = excluded.shards",
            [shards],
        )


class DrainLease(Leased):
    """Who drains a shard of the receivers, and until when (hub/db/leases.py)."""

    shard = models.PositiveSmallIntegerField(primary_key=True)
    # How many shards there were when it was taken.
    shards = models.PositiveSmallIntegerField(default=0)
    owner = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"shard {self.shard}: {self.owner}, fence {self.fence}"

    @staticmethod
    def shard_of(receiver: int, shards: int = 0) -> int:
        """The shard of a platform, out of so many, or out of the number of now."""
        return receiver % (shards or Sharding.number())

    @classmethod
    def held(cls) -> set[int]:
        """The shards that a process drains now."""
        held = f"SELECT shard FROM hub_drainlease WHERE lease_until > {NOW}"  # noqa: S608
        return {shard for (shard,) in sql.run(held)}
