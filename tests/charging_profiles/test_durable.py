"""Which commits of a command wait for the disk (docs/decisions/0041)."""

import psycopg
import pytest

from charging_profiles import carrier
from charging_profiles.models import ProfileCommand
from hub.db import sql
from hub.db.batch_writer import Statement
from hub.db.notify import connection_parameters
from hub.gateway import modules
from hub.models import Platform

NOBODY = {"cpos": [], "open": [], "most": 16}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("methods", "waits"), [(["GET"], "off"), (["PUT"], "on"), (["GET", "PUT", "GET"], "on")]
)
def test_a_claim_waits_for_the_disk_unless_all_of_it_may_be_asked_again(methods, waits):
    platform = Platform.objects.create(name="Both")
    for number, method in enumerate(methods):
        ProfileCommand(
            method=method,
            session_id_sent=f"S{number}",
            lane=f"NL-CPO/S{number}",
            fsp_platform=platform,
            cpo_platform=platform,
        ).add()
    with psycopg.connect(**connection_parameters()) as one, one.transaction():
        one.execute("SET LOCAL synchronous_commit = off")
        assert len(one.execute(carrier.CLAIM, NOBODY).fetchall()) == len(methods)
        assert one.execute("SHOW synchronous_commit").fetchall() == [(waits,)]


def test_who_shares_a_commit_that_does_not_wait_does_not_wait_either():
    def is_soon(one: Statement) -> bool:
        return sql.SOON.encode() in one.prepare

    soon = [one for one in modules.STATEMENTS if is_soon(one)]
    assert {one.name for one in soon} >= {b"command_add", b"command_passed_on", b"session_leaves"}
    for one in soon:
        assert one.may_wait or all(
            is_soon(other) for other in modules.STATEMENTS if other.shared_by == one.shared_by
        )
