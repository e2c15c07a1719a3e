"""A hub that is updated: what is connected stays agreed, and how it came is worked out."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

BEFORE, AFTER = ("hub", "0015_requests_per_second"), ("hub", "0018_no_is_agreed")


def migrate(target):
    executor = MigrationExecutor(connection)
    executor.migrate([target])
    return MigrationExecutor(connection).loader.project_state([target]).apps


@pytest.fixture
def former(transactional_db):
    """The models of the release before; the newest ones are back when the test ends."""
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
    try:
        yield migrate(BEFORE)
    finally:
        MigrationExecutor(connection).migrate(leaves)


def _platform(apps, name, *parties, is_registered=True):
    platform = apps.get_model("hub", "Platform").objects.create(
        name=name, registered_at=timezone.now() if is_registered else None
    )
    for party_id, role, status, *flags in parties:
        apps.get_model("hub", "Party").objects.create(
            platform=platform,
            country_code="NL",
            party_id=party_id,
            role=role,
            status=status,
            is_agreed="claimed" not in flags,
            is_withdrawn="withdrawn" in flags,
        )


def test_what_is_connected_stays_agreed(former):
    _platform(
        former,
        "registered",
        ("AAA", "CPO", "CONNECTED"),
        ("AAA", "EMSP", "CONNECTED"),
        ("aab", "CPO", "OFFLINE"),
        ("AAC", "EMSP", "PLANNED", "claimed"),
        ("AAD", "CPO", "SUSPENDED", "withdrawn"),
        ("AAE", "CPO", "SUSPENDED"),
    )
    _platform(former, "invited", ("BBB", "CPO", "PLANNED"), is_registered=False)
    _platform(former, "without the invited", ("CCA", "CPO", "PLANNED"), ("CCB", "CPO", "CONNECTED"))
    _platform(former, "left", ("DDD", "CPO", "SUSPENDED", "withdrawn"), is_registered=False)
    party = migrate(AFTER).get_model("hub", "Party")
    rows = party.objects.values_list("party_id", "role", "admission", "is_named", "is_suspended")
    assert set(rows) == {
        ("AAA", "CPO", "INVITED", True, False),
        ("AAA", "EMSP", "INVITED", True, False),
        ("aab", "CPO", "TAKEN", True, False),
        ("AAC", "EMSP", "CLAIMED", True, False),
        ("AAD", "CPO", "TAKEN", False, False),
        ("AAE", "CPO", "TAKEN", True, True),
        ("BBB", "CPO", "INVITED", False, False),
        ("CCA", "CPO", "TAKEN", False, False),
        ("CCB", "CPO", "INVITED", True, False),
        ("DDD", "CPO", "INVITED", False, False),
    }
    agreed = migrate(BEFORE).get_model("hub", "Party").objects.filter(is_agreed=False)
    assert [party.party_id for party in agreed] == ["AAC"]
