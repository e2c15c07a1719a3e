"""A profile as a limit over time, however it is spelled (flex/knowledge/profiles.py)."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from flex.knowledge.facts import by_their_clock
from flex.knowledge.profiles import Profile
from flex.life.judging import limits_since, same
from flex.sites.limits import Asking, Limits, excess
from flex.switching.sight import may_bind, sight

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)
PERIODS = [{"start_period": 0, "limit": 16.0}, {"start_period": 900, "limit": "6"}]
INNER = {"charging_rate_unit": "A", "charging_profile_period": PERIODS, "min_charging_rate": 6}


def read(found: object) -> Profile | None:
    return Profile.read(json.dumps(found).encode(), T0)


def test_each_of_the_three_documents_is_read():
    told = {"start_date_time": "2026-03-01T11:00:00+00:00", "charging_profile": INNER}
    assert read({"charging_profile": INNER, "response_url": "https://a.b"}) == read(INNER)
    result = read([{"result": "ACCEPTED", "profile": told}])
    assert result == read(told)
    assert result is not None
    assert result.start == T0 + timedelta(hours=1)
    assert (result.unit, result.minimum, result.duration) == ("A", 6, None)


def test_the_time_of_computation_goes_before_the_profiles_own():
    inner = INNER | {"start_date_time": "2026-03-01T08:00:00Z"}
    told = {"start_date_time": "2026-03-01T11:00:00Z", "charging_profile": inner}
    for document, hour in ((told, 11), ({"charging_profile": inner}, 8), (INNER, 10)):
        found = read(document)
        assert found is not None
        assert found.start.hour == hour


def test_limits_hold_from_their_start_to_the_next_and_to_the_end_of_the_profile():
    profile = read(INNER | {"duration": 1800})
    assert profile is not None
    seconds = (-1, 0, 899, 900, 1799, 1800)
    found = [profile.at(T0 + timedelta(seconds=each)) for each in seconds]
    assert found == [None, 16, 16, 6, 6, None]
    cut = profile.limits(T0 + timedelta(seconds=600), T0 + timedelta(hours=2))
    assert [(one.begin - T0, one.end and one.end - T0, one.value) for one in cut] == [
        (timedelta(seconds=600), timedelta(seconds=900), Decimal(16)),
        (timedelta(seconds=900), timedelta(seconds=1800), Decimal(6)),
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"charging_rate_unit": "kW"},
        {"charging_profile_period": []},
        {"charging_profile_period": None},
        {"charging_profile_period": [{"start_period": 0, "limit": "much"}]},
        {"charging_profile_period": [{"start_period": -5, "limit": 3}]},
        {"charging_profile_period": [3]},
    ],
)
def test_what_cannot_be_read_is_no_profile(changed):
    assert read({"charging_profile": INNER | changed}) is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"[" * 3000, b'{"profile":null}'])
def test_what_is_not_even_an_object_is_no_profile(body):
    assert Profile.read(body, T0) is None


FAR = [("year 9999", "9999-12-31T23:59:59Z", 0), ("year 1", "0001-01-01T00:00:00Z", 6)]


@pytest.mark.parametrize(("start", "active"), [one[1:] for one in FAR], ids=[one[0] for one in FAR])
def test_a_start_beyond_all_times_is_read_and_overflows_nothing(start, active):
    profile = read({"charging_profile": INNER | {"start_date_time": start}})
    beside = read(INNER)
    assert profile is not None
    assert beside is not None
    assert (profile.at(T0) or 0) == active
    assert max(limits_since(profile, T0), default=0) <= 16
    assert may_bind(profile, beside, T0) is (active == 6)
    assert sight(profile, beside, [profile]) is not None
    assert same(profile, beside, T0) is False
    assert by_their_clock(T0, [(T0 - timedelta(hours=1), profile.start)]) != T0
    site = Limits.read("A", [{"start": "2026-01-01T00:00:00Z", "limit": 5}])
    assert (excess(site, [Asking((profile,))], T0) is not None) is (active == 6)


def test_a_limit_beyond_all_rates_is_no_limit_and_stays_a_number_that_can_be_kept():
    body = b'{"charging_rate_unit":"W","charging_profile_period":[{"start_period":0,"limit":%b}]}'
    for told, found in (
        (b"1e400", 10**9),
        (b"-1e400", -(10**9)),
        (b'"1e400"', 10**9),
        (b"1e1000", 10**9),
        (b"-1.5E+5000", -(10**9)),
        (b"1e99999999999999999999", 10**9),
        (b'"2e1000"', 10**9),
        (b"1e-5000", 0),
        (b"9" * 5000, 10**9),
    ):
        profile = Profile.read(body % told, T0)
        assert profile is not None
        assert profile.at(T0) == found
