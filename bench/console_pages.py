"""Fills a hub and asks for every page of its console: `python -m bench.console_pages PARTIES
MESSAGES [ONLY]` in the hub's own environment; prints figures as JSON.

Pages are found by the table of URLs: what has no argument is asked for as it is, what shows a row
is asked for with the newest one of its table. A new page needs no line here.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from django.apps import apps  # noqa: E402 - Django is set up first
from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.urls import URLPattern, URLResolver, get_resolver  # noqa: E402

from bench import record_rows  # noqa: E402
from hub.deviations.models import DeviationCount  # noqa: E402
from hub.models import Delivery, Endpoint, Party, Platform, PlatformHealth, StaleCopy  # noqa: E402
from hub.monitoring.alerts.models import Alert  # noqa: E402
from hub.record import minutes  # noqa: E402
from locations.models import Location  # noqa: E402
from sessions.models import Session  # noqa: E402
from tests.hub.console import rows as few  # noqa: E402
from tokens.models import Token  # noqa: E402

LOOKS = 5
# In these nothing is drawn: they act, or are Django's own.
LEFT_OUT = ("logout/", "jsi18n/", "autocomplete/", "password")


def multiply(model: type[models.Model], number: int, **said: str) -> None:
    """Write `number` copies of the newest row; `said` are columns in SQL, `n` counts."""
    table, key = model._meta.db_table, model._meta.pk.column
    columns = [
        str(field.column)
        for field in model._meta.concrete_fields
        if not field.generated
        and not (field.primary_key and isinstance(field, models.BigAutoField))
    ]
    values = ", ".join(said.get(name, f'"{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} "  # noqa: S608 - names of ours
            f"FROM (SELECT * FROM {table} ORDER BY {key} DESC LIMIT 1) AS row, "
            f"generate_series(1, {number}) AS n"
        )


def fill(parties: int, messages: int) -> None:
    """A hub after some busy weeks: parties, what they keep, what waits for them, what passed."""
    few.fill()
    first = few.platform("Party 0", ("XX", "000", "CPO"))
    names = {"name": "'Party ' || n", "token_c_hash": "sha256(('c' || n)::bytea)"}
    multiply(Platform, parties, **names)
    made = list(Platform.objects.filter(pk__gt=first.pk).order_by("pk"))
    Party.objects.bulk_create(
        Party(
            platform=platform,
            country_code="XX",
            party_id=f"{number:03}"[-3:] if number < 1000 else f"Z{number - 1000:02}",
            role="CPO" if number % 2 else "EMSP",
            name=platform.name,
            status="OFFLINE" if number % 50 == 0 else "CONNECTED",
        )
        for number, platform in enumerate(made, 1)
    )
    PlatformHealth.objects.bulk_create(PlatformHealth(platform=platform) for platform in made)
    offered = list(first.endpoints.all())
    Endpoint.objects.bulk_create(
        Endpoint(platform=platform, identifier=one.identifier, role=one.role, url=one.url)
        for platform in made
        for one in offered
    )
    now = datetime.now(UTC)
    DeviationCount.objects.bulk_create(
        DeviationCount(
            platform=platform,
            rule="format",
            path=f"Location.{number}",
            number=number,
            first_at=now - timedelta(hours=number),
            last_at=now,
        )
        for platform in made
        for number in range(1, 11)
    )
    many = messages // 100
    multiply(Session, many, session_id="'S-' || (100000 + n)", key="'S-' || (100000 + n)")
    multiply(Location, many, object_id="'LOC-' || n")
    multiply(Token, 5 * many, object_id="'TOKEN-' || n")
    multiply(Delivery, 5 * many, correlation_id="'d' || n")
    multiply(StaleCopy, 5 * many, object_id="'LOC-' || n", part="''", module="'locations'")
    multiply(Alert, 1000, subject="'platform ' || n", ended_at="began_at")
    record_rows.fill(messages)
    recent = now.timestamp() - 3600
    minutes.add(row for row in record_rows.rows(messages) if row.at > recent)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def addresses() -> Iterator[str]:
    """Every page of the console: lists, forms, and the newest row of each table."""

    def walk(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[str]:
        for one in patterns:
            route = before + str(one.pattern)
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns, route)
            elif route.startswith("admin/"):
                yield route

    for route in dict.fromkeys(walk(get_resolver().url_patterns, "")):
        if any(part in route for part in LEFT_OUT) or "(?P" in route:
            continue
        if "<" not in route:
            yield f"/{route}"
        elif route.endswith(("/change/", "/history/")) and route.count("<") == 1:
            _, app, name, *_ = route.split("/")
            row = apps.get_model(app, name)._default_manager.order_by("-pk").first()
            if row is not None:
                head, _, rest = route.partition("<")
                yield f"/{head}{row.pk}{rest.partition('>')[2]}"


def ask(browser: Client, address: str) -> dict[str, Any]:
    """The median of a few looks, after one that fills what is filled once."""
    with CaptureQueriesContext(connection) as captured:
        status = browser.get(address).status_code
    taken, used = [], []
    for _ in range(LOOKS):
        began, worked = time.perf_counter(), time.process_time()
        browser.get(address)
        taken.append(1000 * (time.perf_counter() - began))
        used.append(1000 * (time.process_time() - worked))
    return {
        "url": address,
        "status": status,
        "ms": round(statistics.median(taken), 1),
        "cpu_ms": round(statistics.median(used), 1),
        "queries": len(captured),
    }


def main() -> None:
    """Fill, look, print."""
    parties, messages, only = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    settings.ALLOWED_HOSTS = ["testserver"]
    fill(parties, messages)
    browser = Client(raise_request_exception=False)
    browser.force_login(User.objects.create(username="bench", is_staff=True, is_superuser=True))
    pages = [ask(browser, address) for address in addresses() if only in address]
    told = {"parties": Party.objects.count(), "messages": messages, "pages": pages}
    print(json.dumps(told))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
