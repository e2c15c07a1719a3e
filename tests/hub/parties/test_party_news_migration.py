"""A hub that is updated: who waited for a party's ClientInfo is told of it, and nobody else."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

BEFORE, AFTER = ("hub", "0031_deletions"), ("hub", "0032_party_news")


def _migrate(target):
    executor = MigrationExecutor(connection)
    executor.migrate([target])
    return MigrationExecutor(connection).loader.project_state([target]).apps


@pytest.fixture
def former(transactional_db):
    """The models of the release before; the newest ones are back when the test ends."""
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
    try:
        yield _migrate(BEFORE)
    finally:
        MigrationExecutor(connection).migrate(leaves)


def test_marks_become_positions(former):
    platforms = former.get_model("hub", "Platform").objects
    parties = former.get_model("hub", "Party").objects
    ids = {}
    for name in ("AAA", "bbb", "CCC"):
        ids[name] = platforms.create(name=name, registered_at=timezone.now()).pk
        parties.create(
            platform_id=ids[name], country_code="NL", party_id=name, role="CPO", status="OFFLINE"
        )
    mark = {"receiver_id": ids["AAA"], "module": "hubclientinfo", "object_id": "CPO"}
    marks = former.get_model("hub", "StaleCopy").objects
    marks.create(owner="NL-BBB", correlation_id="c", **mark)
    marks.create(owner="NL-GON", correlation_id="c", is_deleted=True, **mark)
    marks.create(owner="NL-CCC", correlation_id="c", state="REFUSED", **mark)
    marks.create(receiver_id=ids["bbb"], module="tariffs", owner="NL-AAA", object_id="T")
    apps = _migrate(AFTER)
    news, positions = (
        apps.get_model("hub", name).objects for name in ("PartyNews", "NewsPosition")
    )

    def lacks(name: str) -> set[tuple[str, str]]:
        after = news.filter(version__gt=positions.get(receiver_id=ids[name]).version)
        return set(after.values_list("owner", "status"))

    assert lacks("AAA") == {("NL-BBB", "OFFLINE"), ("NL-GON", "SUSPENDED")}
    assert lacks("bbb") == lacks("CCC") == set()
    assert news.get(owner="NL-BBB").party_id == "bbb"
    assert news.count() == 4
    left = apps.get_model("hub", "StaleCopy").objects
    assert set(left.values_list("module", "state")) == {
        ("hubclientinfo", "REFUSED"),
        ("tariffs", "WAITING"),
    }
