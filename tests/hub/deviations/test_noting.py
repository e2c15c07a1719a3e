"""Deviations are counted per platform, rule and path, and never grow without end."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import close_old_connections, connection

from hub.celery import app
from hub.deviations import noting
from hub.deviations.models import DeviationCount
from hub.keeping import tasks
from hub.models import Platform
from hub.ocpi.lenient import Deviation
from hub.record.models import Tally
from tests.hub.strangers import until

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform() -> Platform:
    noting.flush()
    Tally.objects.filter(name=noting.TALLY).delete()
    return Platform.objects.create(name="Sender")


def counts(platform: Platform) -> dict[tuple[str, str], int]:
    return {(one.rule, one.path): one.number for one in platform.deviations.all()}


def test_the_same_deviation_is_one_row_with_its_number_and_first_example(platform):
    noting.note(platform.pk, [Deviation("date-time", "Session.last_updated", "12:00+00:00")])
    noting.note(platform.pk, [Deviation("date-time", "Session.last_updated", "other")])
    noting.flush()
    noting.note(platform.pk, [Deviation("date-time", "Session.last_updated", "third")])
    noting.flush()
    [row] = platform.deviations.all()
    assert (row.number, row.example) == (3, "12:00+00:00")
    assert row.first_at < row.last_at


def test_a_platform_has_at_most_two_hundred_rows_and_its_known_ones_go_on_counting(platform):
    noting.note(platform.pk, [Deviation("length", f"Location.a{n}") for n in range(300)])
    noting.flush()
    assert platform.deviations.count() == noting.MOST_ROWS_A_PLATFORM == 200
    noting.note(platform.pk, [Deviation("length", "Location.a0"), Deviation("length", "Tariff.b")])
    noting.flush()
    assert platform.deviations.count() == 200
    assert counts(platform)["length", "Location.a0"] == 2


def test_two_platforms_do_not_share_a_row(platform):
    other = Platform.objects.create(name="Another")
    for one in (platform, other):
        noting.note(one.pk, [Deviation("length", "Location.name")])
    noting.flush()
    assert counts(platform) == counts(other) == {("length", "Location.name"): 1}


def test_of_a_platform_that_is_gone_nothing_is_written_and_nothing_fails(platform):
    noting.note(platform.pk, [Deviation("length", "Location.name")])
    noting.flush()
    gone = platform.pk
    platform.delete()
    assert not DeviationCount.objects.exists()
    noting.note(gone, [Deviation("length", "Location.name")])
    noting.flush()
    assert not DeviationCount.objects.exists()


def test_what_a_stranger_wrote_is_cut_and_stays_on_one_line(platform):
    noting.note(platform.pk, [Deviation("x" * 99, "p" * 999, "a\nb\0c\x1b" + "d" * 999)])
    noting.flush()
    [row] = platform.deviations.all()
    assert (len(row.rule), len(row.path), len(row.example)) == (40, 200, 200)
    assert row.example.startswith("a b c d")


def test_what_no_column_takes_is_in_no_name_either(platform):
    noting.note(platform.pk, [Deviation("len\0gth", "Location.a\0b\ud800", "\ud83d")])
    assert noting.flush()
    [row] = platform.deviations.all()
    assert (row.rule, row.path, row.example) == ("len gth", "Location.a b ", " ")


@pytest.mark.parametrize(
    ("path", "is_hidden"),
    [
        ("Token.contract_id", True),
        ("CDR.cdr_token.uid", True),
        ("Session.cdr_token.contract_id", True),
        ("Token.visual_number", True),
        ("Location.publish_allowed_to[].visual_number", True),
        ("Location.evses[].uid", False),
        ("Location.evses[].connectors[].id", False),
    ],
)
def test_an_example_opens_nothing_and_names_no_driver(platform, path, is_hidden):
    noting.note(platform.pk, [Deviation("length", path, "SECRET-AND-LONG-123")])
    noting.flush()
    example = platform.deviations.get().example
    assert ("SECRET" not in example) == is_hidden
    assert example.endswith("123")


def test_one_platform_does_not_fill_the_memory_of_a_process(platform):
    other = Platform.objects.create(name="Another")
    noting.note(platform.pk, [Deviation("length", f"Location.a{n}") for n in range(5_000)])
    noting.note(other.pk, [Deviation("length", "Location.name")])
    noted = sum(map(len, noting._noted.values()))
    assert noted == noting.MOST_NOTED_A_PLATFORM + 1
    noting.flush()
    assert counts(other) == {("length", "Location.name"): 1}


def test_many_platforms_do_not_either(platform):
    batch = [Deviation("length", f"Location.a{n}") for n in range(noting.MOST_NOTED_A_PLATFORM)]
    for number in range(2 * noting.MOST_NOTED // len(batch)):
        noting.note(-number, batch)
    assert sum(map(len, noting._noted.values())) == noting.MOST_NOTED
    assert noting.flush()
    assert not noting._noted


def test_nothing_is_lost_when_many_threads_note(platform):
    def work() -> None:
        for _ in range(500):
            noting.note(platform.pk, [Deviation("length", "Location.name")])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    noting.flush()
    assert counts(platform) == {("length", "Location.name"): 2_000}


def test_they_are_counted_for_prometheus_by_platform_and_rule(platform):
    found = [Deviation("length", "Location.name"), Deviation("length", "Location.city")]
    noting.note(platform.pk, [*found, Deviation("date-time", "Location.last_updated")])
    noting.flush()
    noting.note(platform.pk, found)
    noting.flush()
    told = Tally.objects.filter(name=noting.TALLY).values_list("labels", "number")
    assert dict(told) == {f"{platform.pk}|length": 4, f"{platform.pk}|date-time": 1}


@pytest.mark.django_db(transaction=True)
def test_a_workers_job_writes_what_it_noted_at_its_end(platform):
    noting.note(platform.pk, [Deviation("length", "Location.name")])
    app.loader.import_default_modules()
    tasks.recount.apply(throw=True)
    assert counts(platform) == {("length", "Location.name"): 1}


# --- When the database cannot ---------------------------------------------------------------------


@pytest.fixture
def beside() -> Iterator["psycopg.Connection"]:
    """Somebody else's connection to the same database."""
    wanted = connection.get_connection_params()
    names = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{name: wanted[name] for name in names if name in wanted}) as other:
        yield other


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_fails_nobody_and_loses_nothing(platform, beside, caplog):
    noting.note(platform.pk, [Deviation("length", "Location.name")])
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    beside.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    assert not noting.flush()
    assert "deviations wait to be written" in caplog.text
    close_old_connections()
    noting.note(platform.pk, [Deviation("length", "Location.name")])
    assert noting.flush()
    assert counts(platform) == {("length", "Location.name"): 2}


@pytest.mark.django_db(transaction=True)
def test_a_platform_that_is_being_registered_is_not_waited_for(platform, beside):
    other = Platform.objects.create(name="Another")
    for one in (platform, other):
        noting.note(one.pk, [Deviation("length", "Location.name", "first")])
    beside.execute("SELECT FROM hub_platform WHERE id = %s FOR UPDATE", [platform.pk])
    assert not noting.flush()
    assert counts(other) == {("length", "Location.name"): 1}
    assert counts(platform) == {}
    noting.note(platform.pk, [Deviation("length", "Location.name", "second")])
    beside.rollback()
    assert noting.flush()
    [row] = platform.deviations.all()
    assert (row.number, row.example) == (2, "first")
    assert counts(other) == {("length", "Location.name"): 1}


@pytest.mark.django_db(transaction=True)
def test_two_processes_that_write_at_once_keep_to_the_most_there_may_be(platform, beside):
    """The second one counts when the first one has written."""
    noting.note(platform.pk, [Deviation("length", f"Location.a{n}") for n in range(150)])
    assert noting.flush()
    beside.execute(noting._ALONE, [platform.pk])
    noting.note(platform.pk, [Deviation("length", f"Location.b{n}") for n in range(60)])
    done = threading.Event()

    def write() -> None:
        noting.flush()
        connection.close()
        done.set()

    threading.Thread(target=write).start()
    assert not done.wait(0.3)
    beside.execute(
        "INSERT INTO deviations_deviationcount (platform_id, rule, path, number, first_at, last_at,"
        " example) SELECT %s, 'length', 'Location.c' || n, 1, now(), now(), '' "
        "FROM generate_series(1, 40) AS n",
        [platform.pk],
    )
    beside.commit()
    assert done.wait(60)
    assert platform.deviations.count() == noting.MOST_ROWS_A_PLATFORM


@pytest.mark.django_db(transaction=True)
def test_whoever_writes_while_another_does_finds_it_written(platform, beside):
    noting.note(platform.pk, [Deviation("length", "Location.name")])
    alone = "SELECT pg_advisory_xact_lock(hashtextextended('deviations', %s))"
    beside.execute(alone, [platform.pk])

    def write() -> bool:
        try:
            return noting.flush()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        try:
            first = threads.submit(write)
            waits = (
                "SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
                "WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
            )
            until(lambda: beside.execute(waits).fetchall())
            second = threads.submit(write)
            with pytest.raises(TimeoutError):
                second.result(0.2)
        finally:
            beside.rollback()
        assert (first.result(60), second.result(60)) == (True, True)
    assert counts(platform) == {("length", "Location.name"): 1}
