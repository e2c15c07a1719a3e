"""The reference FSP as a process of its own, beside the simulated CPO: it learns, plans, pushes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fsp.provider import PARTY
from simulators.cpo import Cpo
from simulators.documents import session
from simulators.emsp import Emsp
from simulators.testing import PATIENCE, Running
from tests.simulators.conftest import start, wishes

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def cheapest(tmp_path: Path) -> datetime:
    """An hour that is the cheapest one in the prices of the FSP."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    lines = [
        f"{hour + timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ},{10 if n == 3 else 100}" for n in range(12)
    ]
    (tmp_path / "prices.csv").write_text("\n".join(["start_utc,eur_per_mwh", *lines]))
    return hour + timedelta(hours=3)


@pytest.fixture
def cpo(tmp_path: Path) -> Iterator[Running[Cpo]]:
    """With an eMSP for the token, and the FSP."""
    with Running(Cpo()) as cpo, Running(Emsp()) as emsp:
        emsp.register(cpo.versions_url, cpo.simulator.invite())
        told = {"HUB_VERSIONS_URL": cpo.versions_url, "TOKEN_A": cpo.simulator.invite()}
        process = subprocess.Popen(
            [sys.executable, "-m", "fsp"],
            cwd=PROJECT,
            env=os.environ | told | {"PRICES_FILE": str(tmp_path / "prices.csv")},
        )
        try:
            cpo.wait_for(lambda: len(cpo.simulator.connections) == 2)
            yield cpo
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()


def tell(cpo, of, wanted):
    """What a hub does for the FSP of a session: the Session as a full PUT, the preferences."""
    assert cpo.call("sessions", "RECEIVER", "PUT", of.path, to=PARTY, body=session(of)).is_success
    path = f"{of.id}/charging_preferences"
    answer = cpo.call("sessions", "SENDER", "PUT", path, to=PARTY, body=wanted)
    assert answer.data == "ACCEPTED"


def test_the_cheapest_hour_is_pushed_and_after_departure_the_full_rate(cheapest, cpo):
    of = start(cpo)
    wanted = wishes(of, hours=8, energy=2)
    tell(cpo, of, wanted)
    cpo.wait_for(lambda: of.plug.set_profiles)
    [profile] = of.plug.set_profiles
    assert (profile.charging_rate_unit, profile.min_charging_rate) == ("A", 6)
    periods = [
        (profile.start_date_time + timedelta(seconds=p.start_period), p.limit)
        for p in profile.charging_profile_period
    ]
    assert [limit for _, limit in periods] == [0, 16, 0, 16]
    assert (periods[1][0], periods[3][0]) == (cheapest, wanted.departure_time)
    # The same again is no news; a local limit below what is in force is, at once.
    tell(cpo, of, wanted)
    cpo.run(cpo.simulator.set_site_limit(10))
    cpo.wait_for(lambda: len(cpo.received(module="chargingprofiles", method="PUT")) > 1)
    [_, second] = cpo.received(module="chargingprofiles", method="PUT")
    limits = [p["limit"] for p in second.json()["charging_profile"]["charging_profile_period"]]
    assert max(limits) == 10
