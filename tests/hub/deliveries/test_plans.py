"""The statements of a drain: how they find their rows, and what they are told."""

import psycopg
import pytest

from hub.db.notify import connection_parameters
from hub.deliveries import rows, shard
from hub.deliveries.rows import Fate

LEASE = {"shard": 0, "shards": 2, "fence": 1}
ROOMS = {"receivers": [2], "modules": ["locations"], "rooms": [100], "priorities": [1]}
HELD = {"room": 500, "held": [1, 2, 3], "held_messages": [4]}
ENDS = {"ids": [1], "raised": [1], "outcomes": [""], "fates": ["TOLD"]}


def plan(statement: str, parameters: dict) -> str:
    with psycopg.connect(**connection_parameters(), cursor_factory=psycopg.ClientCursor) as one:
        one.execute(shard.SETUP)
        return "\n".join(line for (line,) in one.execute(f"EXPLAIN {statement}", parameters))


@pytest.mark.django_db
def test_what_is_held_is_hashed_and_not_compared_with_each_row_that_waits():
    assert plan(rows.CLAIM, {**LEASE, **ROOMS, **HELD}).count("hashed SubPlan") == 2


@pytest.mark.django_db
def test_marks_are_found_by_the_object_and_never_among_all_that_waits():
    receiver = {"receivers": [2], "parties": ["NL-MSP"], "modules": ["locations"]}
    read = plan(rows.MARKS, {**receiver, "owners": ["NL-CPO"], "names": ["LOC1"], "variants": [""]})
    assert "stale_copy_once" in read
    assert "stale_copy_waiting" not in read


@pytest.mark.django_db
@pytest.mark.parametrize("fate", rows.STATEMENTS)
def test_what_became_of_marks_is_written_by_their_ids(fate: Fate):
    written = plan(rows.STATEMENTS[fate], {**LEASE, **ENDS})
    assert "stale_copy_waiting" not in written
    assert "Seq Scan on hub_stalecopy" not in written


@pytest.mark.django_db
@pytest.mark.parametrize("values", [[], [""], ["NULL", 'a"b\\', "{c,d}", " e ", "é\x1f\n"]])
def test_an_array_is_read_as_it_was_written(values: list[str]):
    with psycopg.connect(**connection_parameters()) as one:
        assert one.execute("SELECT %s::text[]", [rows.array(values)]).fetchone() == (values,)
