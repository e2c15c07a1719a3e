"""A crowd of platforms that come and go: makes their rows, and changes their status.

`python …/bench/crowd.py fill 1000`, `… change 20`, `… all`: in the checkout of the hub that is the
working directory, also in one that has no such file. Writes figures as JSON.
"""

import json
import os
import sys
import time
from importlib import import_module
from typing import Any

import django

sys.path[0] = os.getcwd()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from django.db import connection, connections  # noqa: E402 - the models need the loaded settings
from django.utils import timezone  # noqa: E402

from hub.models import Endpoint, Party, Platform, PlatformHealth  # noqa: E402
from hub.ocpi.modules import INTERFACES  # noqa: E402


def _module(now: str, former: str) -> Any:
    """By its name here, or by the one that an older hub has."""
    try:
        return import_module(now)
    except ModuleNotFoundError:
        return import_module(former)


secret_box = _module("hub.db.secret_box", "hub.secret_box")
party_status = _module("hub.parties.party_status", "hub.party_status")
directory = _module("hub.routing.directory", "hub.directory")

# Messages and marks, where there are any.
OWED = ("hub_delivery", "hub_stalecopy")
# And what says how far each receiver has been told of which party.
WRITTEN = (*OWED, "hub_partynews", "hub_newsposition")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def fill(number: int) -> None:
    """Registered platforms of one party each, which offer everything."""
    token = secret_box.encrypt("a credentials token of common length, as others give them")
    platforms = Platform.objects.bulk_create(
        Platform(
            name=f"Platform {place}",
            registered_at=timezone.now(),
            versions_url=f"http://127.0.0.1:9/{place}/versions",
            token_b_encrypted=token,
            token_c_hash=secret_box.token_hash(f"token {place}"),
        )
        for place in range(number)
    )
    PlatformHealth.objects.bulk_create(PlatformHealth(platform=one) for one in platforms)
    offered = {(module, str(role)) for module, role in INTERFACES}
    offered.add(("hubclientinfo", "RECEIVER"))
    Endpoint.objects.bulk_create(
        Endpoint(platform=one, identifier=module, role=role, url=f"http://127.0.0.1:9/{module}")
        for one in platforms
        for module, role in sorted(offered)
    )
    Party.objects.bulk_create(
        Party(
            platform=one,
            country_code="XX",
            party_id=f"{LETTERS[place // 676]}{LETTERS[place // 26 % 26]}{LETTERS[place % 26]}",
            role="CPO" if place % 2 else "EMSP",
            status="CONNECTED",
        )
        for place, one in enumerate(platforms)
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def change(number: int) -> dict[str, float]:
    """Platforms of which one is away and back, one after the other, each seen by the web process.

    Returns the seconds of one change, and what of this process's CPU.
    """
    platforms = list(Platform.objects.order_by("pk").values_list("pk", flat=True))[:number]
    directory.holder.refresh()
    wall = cpu = 0.0
    for platform_id in platforms:
        for is_away in (True, False):
            began, used = time.monotonic(), time.process_time()
            _change(platform_id, is_away=is_away)
            wall += time.monotonic() - began
            cpu += time.process_time() - used
            directory.wait_until_confirmed()
            _carried()
    return {"changes": 2 * number, "seconds": wall / 2 / number, "cpu": cpu / 2 / number}


def everybody() -> dict[str, float]:
    """All at once away, and all back: the seconds of both, and the rows that it left to send."""
    platforms = list(Platform.objects.order_by("pk").values_list("pk", flat=True))
    began = time.monotonic()
    for is_away in (True, False):
        for platform_id in platforms:
            _change(platform_id, is_away=is_away)
    seconds = time.monotonic() - began
    directory.wait_until_confirmed()
    return {"changes": 2 * len(platforms), "seconds": seconds, "rows": _rows()}


def _change(platform_id: int, *, is_away: bool) -> None:
    if is_away:
        party_status.is_away(platform_id, "it does not answer")
    else:
        party_status.is_back(platform_id)


def _carried() -> None:
    """What is owed is gone, as when the drains have told it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relname = ANY(%s)", [list(OWED)])
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT EXISTS (SELECT FROM {name})")  # noqa: S608 - ours
            if cursor.fetchone()[0]:
                cursor.execute(f"TRUNCATE {name}")


def _rows() -> int:
    """Ever written of what is owed, each time that it was."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd), 0) FROM pg_stat_user_tables "
            "WHERE relname = ANY(%s)",
            [list(WRITTEN)],
        )
        return int(cursor.fetchone()[0])


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "fill":
        fill(int(rest[0]))
    else:
        json.dump(change(int(rest[0])) if what == "change" else everybody(), sys.stdout)
    connections.close_all()
