"""Nothing acknowledged is lost when processes die: the short form of `script/bench faults`."""

import asyncio

import pytest

from bench.faults import TARGETS, drive

pytestmark = pytest.mark.unmeasured


@pytest.mark.timeout(400)
def test_each_kind_of_process_may_be_killed_and_nothing_is_lost_or_out_of_order(
    tmp_path, record_property
):
    report = asyncio.run(drive(tmp_path, kills=len(TARGETS), receivers=3, evses=6))
    record_property("counts", str(report))
    assert not report.problems, report
    assert set(report.kills) == set(TARGETS)
    assert report.updates > 20
    assert report.cdrs > 5
