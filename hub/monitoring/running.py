"""What /metrics tells of the hub's own parts: workers, turns, broker, database, backups."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

import redis
from django.conf import settings
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from hub import backup
from hub.db import sql
from hub.db.leases import NOW
from hub.models import Party, WorkerProcess
from hub.models.workers import QUEUES
from hub.record.models import Tally
from hub.record.recorder import STREAM, connect
from hub.record.tallies import PARTIES

# Each has four numbers; the others are told together.
MOST_PARTIES: Final = 1000
OTHERS: Final = "others"
_TURNS: Final = f"""
    SELECT task, greatest(extract(epoch FROM {NOW} - due_at), 0)::float8 FROM hub_timer
    WHERE task = ANY(%s::text[]) ORDER BY task
"""  # noqa: S608 - a clock of ours
_JOBS: Final = "SELECT queue, count(*) FROM hub_job GROUP BY queue"
# By application_name, which the runner and systemd give each process (PGAPPNAME).
_CONNECTIONS: Final = """
    SELECT application_name, coalesce(state, 'other'), count(*),
           max(extract(epoch FROM now() - xact_start))::float8
    FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
    GROUP BY 1, 2
"""
_DATABASE: Final = (
    "SELECT current_setting('max_connections')::int, pg_database_size(current_database())"
)
_NAMED: Final = re.compile(r"flexhub[- ](?:worker-)?([a-z]+)")
_STATES: Final = frozenset({"active", "idle", "idle in transaction"})


def families() -> Iterator[Metric]:
    """A few small queries, and two questions to the broker."""
    yield from _workers()
    yield _turns()
    yield _jobs()
    yield from _broker()
    yield from _database()
    yield from _backups()
    yield party_messages()


def _workers() -> Iterator[Metric]:
    alive = GaugeMetricFamily("flexhub_workers", "Worker processes alive.", labels=("queue",))
    silent = GaugeMetricFamily(
        "flexhub_worker_silent_seconds",
        "Since the process that has been silent longest was heard; dead ones for an hour.",
        labels=("queue",),
    )
    for workers in WorkerProcess.by_queue():
        alive.add_metric((workers.queue,), workers.alive)
        if workers.silent is not None:
            silent.add_metric((workers.queue,), workers.silent)
    yield alive
    yield silent


def _turns() -> Metric:
    """One that is late has no worker, or has run for longer than it should."""
    late = GaugeMetricFamily(
        "flexhub_turn_late_seconds", "How long a turn by the clock is overdue.", labels=("task",)
    )
    tasks = [task for by_task in settings.TURNS_BY_THE_CLOCK.values() for task in by_task]
    for task, seconds in sql.run(_TURNS, [tasks]):
        late.add_metric((task,), seconds)
    return late


def _jobs() -> Metric:
    waiting = GaugeMetricFamily("flexhub_jobs", "Jobs that wait or run.", labels=("queue",))
    numbers = dict(sql.run(_JOBS))
    for queue in QUEUES:
        waiting.add_metric((queue,), numbers.get(queue, 0))
    return waiting


def _broker() -> Iterator[Metric]:
    up = GaugeMetricFamily("flexhub_broker_up", "Whether the broker answers: 1 or 0.")
    waiting = GaugeMetricFamily(
        "flexhub_record_batches_waiting", "Batches of the message record not in the table yet."
    )
    client = connect(settings.CELERY_BROKER_URL)
    try:
        waiting.add_metric((), int(client.xlen(STREAM)))
        up.add_metric((), 1)
    except (redis.RedisError, OSError):
        up.add_metric((), 0)
    finally:
        client.close()
    yield up
    yield waiting


def _database() -> Iterator[Metric]:
    connections = GaugeMetricFamily(
        "flexhub_database_connections",
        "Connections to the hub's database.",
        labels=("process", "state"),
    )
    oldest = GaugeMetricFamily(
        "flexhub_database_oldest_transaction_seconds", "The age of the oldest open transaction."
    )
    numbers: Counter[tuple[str, str]] = Counter()
    ages = [0.0]
    for name, state, number, age in sql.run(_CONNECTIONS):
        numbers[process_of(name), state if state in _STATES else "other"] += number
        ages.append(age or 0.0)
    for labels, number in sorted(numbers.items()):
        connections.add_metric(labels, number)
    oldest.add_metric((), max(ages))
    [(most, size)] = sql.run(_DATABASE)
    yield connections
    yield oldest
    yield GaugeMetricFamily(
        "flexhub_database_connections_max", "PostgreSQL's max_connections.", value=most
    )
    yield GaugeMetricFamily("flexhub_database_bytes", "Size of the hub's database.", value=size)


def process_of(application_name: str) -> str:
    """web, profiles, …: what a process is for, whatever its number; `other` for other names."""
    named = _NAMED.match(application_name)
    known = {"web", "migrate", "backup", *QUEUES}
    return named[1] if named and named[1] in known else "other"


def _backups() -> Iterator[Metric]:
    last = backup.last()
    age = GaugeMetricFamily(
        "flexhub_backup_age_seconds", "Since the last good backup was begun; none: no number."
    )
    if last.at is not None:
        age.add_metric((), max((timezone.now() - last.at).total_seconds(), 0.0))
    yield age
    yield GaugeMetricFamily(
        "flexhub_backup_too_old",
        "Whether backups by the clock are expected, and the last one is too old: 1 or 0.",
        value=int(last.is_too_old),
    )


def party_messages() -> Metric:
    """The busiest parties by name; a party that is gone counts among the others."""
    family = CounterMetricFamily(
        "flexhub_party_messages",
        "Messages from (IN) and to (OUT) a party, by whether they failed.",
        labels=("party", "direction", "outcome"),
    )
    known = {f"{a}-{b}".upper() for a, b in Party.objects.values_list("country_code", "party_id")}
    sums: Counter[tuple[str, str, str]] = Counter()
    of_party: Counter[str] = Counter()
    for tally in Tally.objects.filter(name=PARTIES):
        party, direction, outcome = tally.labels.split("|")
        sums[party, direction, outcome] += tally.number
        of_party[party] += tally.number
    named = {party for party, _ in of_party.most_common(MOST_PARTIES)} & known
    told: Counter[tuple[str, str, str]] = Counter()
    for (party, direction, outcome), number in sums.items():
        told[party if party in named else OTHERS, direction, outcome] += number
    for labels, number in sorted(told.items()):
        family.add_metric(labels, number)
    return family
