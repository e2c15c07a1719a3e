"""Nothing acknowledged is lost when processes die: the short form of `script/bench faults`."""

import asyncio

import pytest

from bench.faults import TARGETS, Report, drive
from simulators.testing import hang_up_all

pytestmark = pytest.mark.long


@pytest.mark.timeout(1800)
def test_each_kind_of_process_may_be_killed_and_nothing_is_lost_or_out_of_order(
    tmp_path, record_property
):
    kills = len(TARGETS)

    async def driven() -> Report:
        try:
            return await drive(tmp_path, kills=kills, receivers=2, evses=6, hangs=4, rounds=1)
        finally:
            await hang_up_all()

    report = asyncio.run(driven())
    record_property("counts", str(report))
    assert not report.problems, report
    assert set(report.kills) == set(TARGETS)
    assert report.updates > 20
    assert report.cdrs > 5
    assert report.tariffs > 5
    assert report.commands > 5
    assert (len(report.hung), report.absences, report.registrations) == (1, 1, 1)
