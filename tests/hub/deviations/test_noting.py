"""Deviations are counted per platform, rule and path, and never grow without end."""

import pytest

from hub.deviations import noting
from hub.deviations.models import DeviationCount
from hub.models import Platform
from hub.ocpi.lenient import Deviation

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform() -> Platform:
    noting.flush()
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
