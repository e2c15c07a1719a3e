"""What odd spellings of times and numbers mean (types: DateTime, number)."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from hub.ocpi import lenient

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00",
        "2026-01-01t12:00:00z",
        "2026-01-01T12:00:00+00:00",
        "2026-01-01 12:00:00+00:00",
        "2026-01-01 12:00:00",
        "2026-01-01T12:00Z",
        "2026-01-01T13:00:00+01:00",
        "2026-01-01T13:00:00+0100",
        "2026-01-01T13:00:00+01",
        "2026-01-01T07:00:00-05:00",
        "2026-01-01T12:00:00.000Z",
        "2026-01-01T12:00:00.000000000Z",
        "2026-01-01T12:00:00,000Z",
        " 2026-01-01T12:00:00Z ",
    ],
)
def test_each_spelling_of_noon_is_noon(text):
    assert lenient.moment(text) == NOON


def test_of_a_fraction_six_digits_count():
    assert lenient.moment("2026-01-01T12:00:00.1234567Z") == NOON.replace(microsecond=123456)
    assert lenient.moment("2026-01-01T12:00:00.5Z") == NOON.replace(microsecond=500000)


@pytest.mark.parametrize(
    "value",
    [
        *("", "tomorrow", "2026-01-01", "12:00", "2026-02-31T12:00:00Z", "2026-01-01T25:00:00Z"),
        *("0001-01-01T00:00:00+14:00", "2026-01-01T12:00:00+99:99", "2026-01-01T12:00:00ZZ"),
        *("٢٠٢٦-01-01T12:00:00Z", None, 1767268800, True, [], {}, "2" * 100_000),
    ],
)
def test_what_is_not_a_time_is_none(value):
    assert lenient.moment(value) is None


@pytest.mark.parametrize("value", [230, 230.0, Decimal("230.0"), "230", "230.0", " 230 ", "2.3e2"])
def test_a_number_without_a_fraction_is_a_whole_number(value):
    assert lenient.whole_number(value) == 230
    assert lenient.number(value) == 230


@pytest.mark.parametrize("value", [230.5, "230.5", Decimal("0.1")])
def test_a_fraction_is_a_number_but_not_a_whole_one(value):
    assert lenient.whole_number(value) is None
    assert lenient.number(value) == Decimal(str(value))


@pytest.mark.parametrize(
    "value",
    [
        *("", "many", "0x10", "1_000", "NaN", "Infinity", "1" * 100_000, "1e99999", "٢٣٠"),
        *(None, True, False, [], {}, float("nan"), float("inf"), Decimal("1e5000")),
    ],
)
def test_what_is_not_a_number_is_none(value):
    assert lenient.number(value) is None
    assert lenient.whole_number(value) is None


def test_a_number_of_very_many_digits_is_not_made_an_integer():
    assert lenient.whole_number(Decimal("1e900")) is None
