"""Jobs and turns by the clock: rows of PostgreSQL, run once, whoever dies and whatever fails."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now

from hub.celery import app
from hub.db import leases
from hub.db.leases import Lease
from hub.models import Job, Timer
from hub.workers import jobs, sooner
from hub.workers.threads import Threads
from hub.workers.timers import Timers
from hub.workers.wake import queue_of, wake
from tests.hub.strangers import until

TASK = "tests.workers.noted"
_runs: dict[str, int] = defaultdict(int)
_begun: dict[str, threading.Event] = defaultdict(threading.Event)
_may_end: dict[str, threading.Event] = defaultdict(threading.Event)
_failures: dict[str, int] = {}


@app.task(name=TASK)
def noted(key: str, number: int = 0) -> None:
    """Counts its runs; one that has to wait does, one that is to fail does."""
    _runs[key] += 1
    _begun[key].set()
    if key.startswith("WAITS"):
        assert _may_end[key].wait(60)
    if _failures.get(key, 0) >= _runs[key]:
        raise LookupError(key)


@app.task(name="tests.workers.long_turn")
def long_turn() -> None:
    """One that ends when the test says so."""
    noted("WAITS-TURN")


@app.task(name="tests.workers.turn")
def turn() -> None:
    """The same for a turn by the clock."""
    noted("TURN")


def gone(key: str) -> bool:
    return not Job.objects.filter(task=TASK, arguments__contains=[key]).exists()


def row(key: str, **changes) -> Job:
    """A job that nobody has been told of."""
    values = {"queue": "upkeep", "task": TASK, "arguments": [key, 1]}
    return Job.objects.create(**(values | changes))


def test_a_job_is_run_once_however_often_it_was_asked_for(hub):
    with transaction.atomic():
        for _ in range(3):
            wake(TASK, "MANY", 7)
        wake(TASK, "MANY", 8)
        assert not _runs["MANY"]
    until(lambda: gone("MANY"))
    assert _runs["MANY"] == 2


def test_a_job_that_is_asked_for_while_it_runs_is_run_once_more(hub):
    wake(TASK, "WAITS-1")
    assert _begun["WAITS-1"].wait(60)
    wake(TASK, "WAITS-1")
    wake(TASK, "WAITS-1")
    _may_end["WAITS-1"].set()
    until(lambda: gone("WAITS-1"))
    assert _runs["WAITS-1"] == 2


def test_what_is_rolled_back_is_not_asked_for(hub):
    with transaction.atomic():
        wake(TASK, "NEVER")
        transaction.set_rollback(True)
    wake(TASK, "LATER")
    until(lambda: gone("LATER"))
    assert _runs["NEVER"] == 0


def test_a_job_that_fails_is_tried_again_soon(hub, caplog):
    _failures["FAILS"] = 1
    wake(TASK, "FAILS")
    until(lambda: _runs["FAILS"] == 2)
    until(lambda: gone("FAILS"))
    assert f"{TASK}('FAILS',) failed" in caplog.text


def test_a_job_that_fails_again_and_again_is_given_up(hub, caplog):
    _failures["HOPELESS"] = 99
    row("HOPELESS", attempts=len(jobs.PAUSES))
    until(lambda: gone("HOPELESS"))
    assert "is given up after 5 attempts" in caplog.text
    assert _runs["HOPELESS"] == 1


def test_the_job_of_a_dead_worker_is_run_by_another_and_that_of_a_living_one_is_not(hub):
    row("DEAD", fence=1, lease_until=Now())
    living = row("LIVES", fence=1, lease_until=Now() + timedelta(hours=1))
    until(lambda: gone("DEAD"))
    assert (_runs["DEAD"], _runs["LIVES"]) == (1, 0)
    living.delete()


def test_a_former_holder_takes_no_job_away(hub):
    job = row("FORMER", queue="nobody's", fence=7, lease_until=Now() + leases.LEASE)
    jobs.run(job, Lease(6, leases.clock()))
    assert _runs["FORMER"] == 1
    assert Job.objects.filter(pk=job.pk, fence=7, lease_until__isnull=False).exists()
    job.delete()


@pytest.fixture
def two_workers() -> Iterator[list[Timers]]:
    both = [Threads(f"turn-{number}", 1, lambda: None) for number in range(2)]
    yield [Timers({"tests.workers.turn": 3600.0}, threads) for threads in both]
    for threads in both:
        threads.join(1)


def test_a_turn_by_the_clock_is_taken_by_one_of_many_workers(hub, two_workers):
    for timers in two_workers:
        timers.add()
        timers.begin()
    of_this = Timer.objects.filter(task="tests.workers.turn")
    until(lambda: two_workers[0]._ended)
    assert _runs["TURN"] == 1
    assert of_this.filter(due_at__gt=Now(), lease_until__gt=Now()).count() == 1
    # Who has ended it may take it again at once; others, when it has looked once more.
    of_this.update(due_at=Now())
    for timers in reversed(two_workers):
        timers.begin()
    until(lambda: _runs["TURN"] == 2)
    until(lambda: two_workers[0]._ended)
    two_workers[0].begin()
    assert of_this.filter(due_at__gt=Now(), lease_until__isnull=True).count() == 1
    of_this.update(due_at=Now())
    for timers in reversed(two_workers):
        timers.begin()
    until(lambda: two_workers[1]._ended)
    assert (_runs["TURN"], two_workers[0]._ended) == (3, {})
    two_workers[1].give_back()
    assert of_this.filter(lease_until__isnull=True).exists()


def test_a_turn_that_is_asked_for_comes_before_its_time(hub, two_workers):
    two_workers[0].add()
    of_this = Timer.objects.filter(task="tests.workers.turn")
    of_this.update(due_at=Now() + timedelta(hours=1), lease_until=None)
    before, heard = _runs["TURN"], threading.Event()
    sooner.wake_by(heard.set)
    sooner.ask("tests.workers.turn")
    assert heard.is_set()
    two_workers[0].begin()
    until(lambda: _runs["TURN"] == before + 1)
    until(lambda: two_workers[0]._ended)
    two_workers[0].give_back()
    sooner.wake_no_more(heard.set)
    # Once; and where nobody takes turns, asking for one leaves nothing behind.
    sooner.ask("tests.workers.turn")
    for timers in two_workers:
        timers.begin()
    assert of_this.filter(lease_until__isnull=True).exists()


def test_a_turn_that_ends_after_its_worker_has_left_keeps_nobody_waiting(hub):
    threads = Threads("turn-late", 1)
    timers = Timers({"tests.workers.long_turn": 3600.0}, threads)
    timers.add()
    timers.begin()
    assert _begun["WAITS-TURN"].wait(60)
    timers.give_back()
    of_this = Timer.objects.filter(task="tests.workers.long_turn", lease_until__isnull=True)
    assert not of_this.exists()
    _may_end["WAITS-TURN"].set()
    threads.join(60)
    assert of_this.exists()


def test_each_task_belongs_to_the_workers_of_a_queue():
    assert queue_of("pulls.take_turn") == "pulls"
    assert queue_of("parties.check_platform") == "upkeep"
    assert queue_of("charging_profiles.end_overdue") == "profiles"
    assert queue_of("of.nobody") == "upkeep"
