"""Fills the message record and searches it: `python -m bench.record_rows ROWS` in the hub's own
environment; prints figures as JSON.
"""

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from django.db import connection  # noqa: E402 - Django is set up first

from hub.ocpi.headers import new_id  # noqa: E402
from hub.record import partitions, stream_to_table  # noqa: E402
from hub.record.note import Row  # noqa: E402
from hub.record.search import Criteria, search  # noqa: E402

DAYS = 7
ROWS_AT_ONCE = 10_000
LOOKS = 5
MODULES = {"locations": 60, "tokens": 20, "sessions": 15, "tariffs": 3, "cdrs": 2}
CODES = {1000: 960, 2001: 10, 2003: 10, 3000: 10, 4002: 4, 4003: 6}
LARGE, SMALL = "NL-CPO", "XX-199"
PARTIES = {LARGE: 60} | {f"XX-{number:03}": 1 for number in range(200)}


def rows(number: int) -> Iterator[Row]:
    """Two for each message, evenly over the days until now; a few parties are very busy."""
    chance = random.Random(1)  # noqa: S311 - the same rows in each run
    now = datetime.now(UTC).timestamp()
    step = DAYS * 86_400 / number
    for index in range(number // 2):
        sender, receiver = chance.choices(list(PARTIES), list(PARTIES.values()), k=2)
        (module,) = chance.choices(list(MODULES), list(MODULES.values()))
        (code,) = chance.choices(list(CODES), list(CODES.values()))
        at, correlation_id = now - 2 * index * step, new_id()
        for direction, milliseconds in (("IN", 9.0), ("OUT", 7.0)):
            yield Row(
                at=at,
                direction=direction,
                kind="forward",
                method="PUT",
                module=module,
                interface_role="RECEIVER",
                path=f"receiver/{module}/{sender.replace('-', '/')}/{index}",
                request_id=new_id(),
                correlation_id=correlation_id,
                related_id="",
                sender=sender,
                receiver=receiver,
                platform_id=1,
                http_status=200,
                ocpi_code=code,
                is_failed=code != 1000,
                milliseconds=milliseconds,
                request_bytes=3_700,
                answer_bytes=90,
                problem="" if code == 1000 else "It did not work.",
                request_body="",
                answer_body="",
            )


def fill(number: int) -> dict[str, Any]:
    """As the drain does it: what a row costs this process, and rows a second with PostgreSQL."""
    today = datetime.now(UTC).date()
    for days in range(DAYS + 1):
        partitions._make(today - timedelta(days=days))
    made = rows(number)
    cpu = seconds = 0.0
    while part := list(islice(made, ROWS_AT_ONCE)):
        began, used = time.perf_counter(), time.process_time()
        stream_to_table._copy(part)
        seconds += time.perf_counter() - began
        cpu += time.process_time() - used
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {partitions.TABLE}")
        cursor.execute(
            "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(%s::regclass)",
            [partitions.TABLE],
        )
        size = int(cursor.fetchone()[0])
    return {
        "rows": number,
        "rows_a_second": round(number / seconds),
        "cpu_microseconds_a_row": round(1e6 * cpu / number, 1),
        "bytes_a_row": round(size / number),
    }


def looks() -> dict[str, dict[str, str]]:
    """What operators ask, and what is worst for the indexes: little or nothing fits."""
    now = datetime.now(UTC)
    hour = {"from": (now - timedelta(days=3, hours=1)).isoformat()}
    hour["to"] = (now - timedelta(days=3)).isoformat()
    correlation_id = search(Criteria()).messages[-1].correlation_id
    return {
        "the newest": {},
        "the newest of a busy party": {"party": LARGE},
        "the newest of a quiet party": {"party": SMALL},
        "a rare module": {"module": "cdrs"},
        "a code": {"code": "4003"},
        "all that failed": {"failed": "1"},
        "a busy party, rare module": {"party": LARGE, "module": "cdrs"},
        "a quiet party, rare module": {"party": SMALL, "module": "cdrs"},
        "a busy party, a code": {"party": LARGE, "code": "4002"},
        "a quiet party, a code": {"party": SMALL, "code": "4002"},
        "party, module, code": {"party": LARGE, "module": "cdrs", "code": "4002"},
        "party, module, code, an hour": {
            "party": LARGE,
            "module": "locations",
            "code": "2001",
            **hour,
        },
        "a code in a module": {"module": "cdrs", "code": "3000"},
        "a busy party, nothing fits": {"party": LARGE, "module": "commands"},
        "module and code, nothing fits": {"module": "commands", "code": "1000"},
        "a code that nobody sends": {"code": "2999"},
        "one exchange": {"correlation_id": correlation_id},
    }


def search_times() -> dict[str, float]:
    """The median of a few looks each, in milliseconds."""
    times = {}
    for name, query in looks().items():
        taken = []
        for _ in range(LOOKS):
            began = time.perf_counter()
            search(Criteria.read(query))
            taken.append(1000 * (time.perf_counter() - began))
        times[name] = round(statistics.median(taken), 1)
    return times


if __name__ == "__main__":
    filled = fill(int(sys.argv[1]))
    print(json.dumps({**filled, "search_ms": search_times()}))  # noqa: T201 - what it is for
