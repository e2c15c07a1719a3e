"""The arithmetic of a site: limits over time, what profiles ask for together, shares of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from flex.knowledge.profiles import Profile
from flex.sites.limits import Asking, Claim, Excess, Limits, excess, shares
from tests.cases import case

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def limits(*steps: tuple[int, int | None], unit: str = "W") -> Limits:
    """From so many minutes after NOW on."""
    periods = [
        {"start": (NOW + timedelta(minutes=minutes)).isoformat(), "limit": limit}
        for minutes, limit in steps
    ]
    return Limits.read(unit, periods)


def profile(*steps: tuple[int, int], unit: str = "W", duration: int | None = None) -> Profile:
    return Profile(unit, NOW, tuple((s, Decimal(limit)) for s, limit in steps), duration)


def test_a_limit_holds_from_its_start_until_the_next():
    site = limits((-60, 20_000), (30, None), (60, 5_000))
    found = [site.at(NOW + timedelta(minutes=minutes)) for minutes in (-61, 0, 29, 30, 60, 9_999)]
    assert found == [None, 20_000, 20_000, None, 5_000, 5_000]


def excess_of(site: Limits, profiles: list[Profile]) -> Excess | None:
    """Of sessions with one profile each, whose connectors nobody knows."""
    return excess(site, [Asking((one,)) for one in profiles], NOW)


def test_profiles_that_ask_for_more_than_the_limit_are_found_when_they_first_do():
    site = limits((-60, 20_000), (60, 12_000))
    with case("within"):
        assert excess_of(site, [profile((0, 11_000)), profile((0, 1_000))]) is None
    with case("from the moment the limit falls"):
        found = excess_of(site, [profile((0, 11_000)), profile((0, 5_000))])
        assert found is not None
        assert (found.at, found.sum, found.limit) == (NOW + timedelta(hours=1), 16_000, 12_000)
    with case("one alone, in its second period"):
        found = excess_of(site, [profile((0, 0), (1_800, 21_000))])
        assert found is not None
        assert found.at == NOW + timedelta(minutes=30)
    with case("ended before"):
        assert excess_of(site, [profile((0, 15_000), duration=1_800)]) is None
    with case("another unit"):
        assert excess_of(site, [profile((0, 99_000), unit="A")]) is None
    with case("who discharges makes no room"):
        assert excess_of(site, [profile((0, -9_000)), profile((0, 21_000))]) is not None
    with case("no limit"):
        assert excess_of(limits((-60, None)), [profile((0, 99_000))]) is None


def test_a_session_takes_what_its_connector_gives_whichever_of_its_profiles_is_in_force():
    site = limits((-60, 30_000))
    greedy = profile((0, 999_999))
    with case("what the connector cannot give is taken from nobody"):
        known = Asking((greedy,), {"W": Decimal(22_000), "A": None}.get)
        assert excess(site, [known, Asking((profile((0, 8_000)),))], NOW) is None
        found = excess(site, [known, Asking((profile((0, 8_001)),))], NOW)
        assert found is not None
        assert found.sum == 30_001
    with case("the highest of those that may be in force"):
        doubtful = Asking((profile((0, 1_000)), profile((0, 1_000), (60, 31_000))))
        found = excess(site, [doubtful], NOW)
        assert found is not None
        assert (found.at, found.sum) == (NOW + timedelta(minutes=1), 31_000)


def test_a_profile_is_more_than_its_former_where_that_falls_or_ends():
    site = limits((-60, 10_000))
    new = Asking((profile((0, 11_000)),))
    for name, former, after in (
        ("as long", profile((0, 11_000)), None),
        ("falls", profile((0, 11_000), (3_600, 5_000)), 60),
        ("ends", profile((0, 11_000), duration=1_800), 30),
        ("in another unit", profile((0, 99_000), unit="A"), 0),
    ):
        with case(name):
            found = excess(site, [new], NOW, (new, Asking((former,))))
            begins = None if after is None else NOW + timedelta(minutes=after)
            assert (found and found.at) == begins


def claim(minimum: int, maximum: int | None, served: str = "0", order: int = 0) -> Claim:
    most = None if maximum is None else Decimal(maximum)
    return Claim(Decimal(minimum), most, Decimal(served), order)


def test_shares_are_equal_and_the_least_served_pause_where_the_minimums_do_not_fit():
    with case("equal"):
        assert shares(Decimal(30), [claim(6, None), claim(6, 32)]) == [15, 15]
    with case("what one cannot use is left to the others"):
        assert shares(Decimal(40), [claim(6, 10), claim(6, 32)]) == [10, 30]
    with case("the least served pauses"):
        three = [claim(6, 32, "0.5"), claim(6, 32, "0.1"), claim(6, 32, "0.9")]
        assert shares(Decimal(16), three) == [8, 0, 8]
    with case("of equal ones the earlier charges"):
        assert shares(Decimal(6), [claim(6, 32, order=2), claim(6, 32, order=1)]) == [0, 6]
    with case("one that needs more than there is does not keep out one that needs less"):
        assert shares(Decimal(8), [claim(10, 32, "1"), claim(6, 32)]) == [0, 8]
    with case("nothing to share"):
        assert shares(Decimal(0), [claim(6, 32)]) == [0]


CLAIMS = st.lists(
    st.builds(
        claim,
        st.integers(0, 16),
        st.none() | st.integers(0, 63),
        st.sampled_from(["0", "0.25", "1"]),
        st.integers(0, 9),
    ),
    max_size=8,
)


@given(st.integers(0, 200), CLAIMS)
def test_shares_never_take_more_than_the_limit(limit: int, claims: list[Claim]):
    found = shares(Decimal(limit), claims)
    assert sum(found) <= limit
    for rate, one in zip(found, claims, strict=True):
        assert rate == 0 or rate >= one.minimum
        assert one.maximum is None or rate <= one.maximum
    # What is left over no one that charges could use.
    if found and limit - sum(found) > Decimal("0.1") * len(claims):
        for rate, one in zip(found, claims, strict=True):
            assert rate in {0, one.maximum} or (one.maximum is None and rate == 0)
