"""Which broadcasts of Locations are kept without a thread, and told (decision 0030)."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg
import pytest
from django.http import HttpResponse
from msgspec.structs import replace

from hub.db.batch_writer import Writer
from hub.db.django_threads import DjangoThreads
from hub.db.notify import connection_parameters
from hub.gateway import modules
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.modules import match
from hub.outbox.backlog import backlog
from hub.routing.directory import KnownToken, holder
from hub.routing.request import OcpiRequest
from hub.store import who_pushes
from hub.views import REQUEST
from locations.models import Location
from tests.hub.pushing import T1, T2, T3, evse_of, location_of
from tests.hub.strangers import Stranger, until
from tests.locations.test_at_once import CHANGES, columns

T = TypeVar("T")


class Sent:
    """A push of an owner to the hub, in this process."""

    def __init__(self, owner, method: str, ids: list[str], body: dict[str, Any]) -> None:
        if method == "PUT" and len(ids) == 1:
            body = location_of(owner.party, ids[0], last_updated=T2) | body
        path = "/".join((*owner.party, *ids))
        scope = {
            "method": method,
            "path": f"/ocpi/2.2.1/receiver/locations/{path}",
            "query_string": b"",
            "headers": [(b"x-correlation-id", b"correlation-at-once")],
            "http_version": "1.1",
        }
        platform = holder.current().parties[owner.party].platform
        self.request = replace(
            OcpiRequest.of(scope),
            token=KnownToken(platform, is_token_a=False),
            body=json.dumps(body).encode(),
            sent_by=owner.party,
            match=match("locations", InterfaceRole.RECEIVER, path, method),
        )

    def at_once(self, meanwhile: Callable[[], object] | None = None) -> HttpResponse | None:
        """As the gateway asks for it; `meanwhile` is run while it is on its way."""
        backlog.check()
        who_pushes.note(self.request.sender, "locations")

        async def run(django: DjangoThreads) -> HttpResponse | None:
            writer = Writer(modules.STATEMENTS, 1)
            try:
                async with asyncio.timeout(60):
                    while not writer.connections:  # noqa: ASYNC110 - it connects by itself
                        await asyncio.sleep(0.01)
                    answer = asyncio.create_task(
                        modules.answered_at_once(writer, django, self.request)
                    )
                    if meanwhile is not None:
                        await asyncio.sleep(0)  # It has its receivers, and nothing of it has left:
                        with ThreadPoolExecutor(1) as thread:
                            thread.submit(meanwhile).result()  # the loop waits.
                    return await answer
            finally:
                await writer.close()

        return _with_bridge(run)

    def on_a_thread(self) -> HttpResponse:
        """As where it cannot be kept at once."""
        more = {REQUEST: self.request, "HTTP_HOST": "127.0.0.1"}

        async def run(django: DjangoThreads) -> HttpResponse:
            return await django.answer(self.request.scope, self.request.body, **more)

        return _with_bridge(run)


def _with_bridge(run: Callable[[DjangoThreads], Coroutine[Any, Any, T]]) -> T:
    django = DjangoThreads(1)
    try:
        return asyncio.run(run(django))
    finally:
        django.close()


def for_all(owner, name: str, **more: Any) -> None:
    evses = [evse_of("1", last_updated=T2), evse_of("2")]
    body = location_of(owner.party, name, evses=evses, last_updated=T2) | more
    assert owner.put(name, body=body).code == 1000


def test_it_is_answered_kept_and_told_as_by_a_thread(owner, emsp):
    for number, (method, ids, body) in enumerate(CHANGES):
        seen = []
        for name in (f"ALL-1-{number}", f"ALL-2-{number}"):
            for_all(owner, name)
            owner.told(emsp, name, 1)
            sent = Sent(owner, method, [name, *ids], body)
            # A drain may be writing just now what it has told of the first one.
            answer = until(sent.at_once) if name.startswith("ALL-1") else sent.on_a_thread()
            row = columns(name)
            if body.get("last_updated", "").startswith("2199"):
                del row["last_updated"]  # That of its arrival.
            told = owner.told(emsp, name, 2)[1]
            assert told.headers["X-Correlation-ID"] == "correlation-at-once"
            said = told.body.replace(name.encode(), b"ID")
            seen.append((answer.status_code, row, told.method, told.target[-6:].strip("/"), said))
        assert seen[0][0] in {200, 201}
        assert [*seen[0]][:3] == [*seen[1]][:3], (method, ids, body)
        assert seen[0][4] == seen[1][4], (method, ids, body)


def test_everything_else_goes_the_long_way_and_nothing_of_it_is_written(owner, emsp):
    assert Sent(owner, "PUT", ["NONE"], {}).at_once() is None
    assert not Location.objects.filter(object_id="NONE").exists()
    for_all(owner, "BOTH")
    before = columns("BOTH")
    refused = [
        Sent(owner, "PUT", ["BOTH"], {"last_updated": T1}),
        Sent(owner, "PUT", ["BOTH"], {"id": "OTHER", "last_updated": T3}),
        Sent(owner, "PUT", ["BOTH"], {"publish": None, "last_updated": T3}),
        Sent(owner, "PATCH", ["BOTH", "7"], {"status": "CHARGING", "last_updated": T3}),
    ]
    assert [one.at_once() for one in refused] == [None] * len(refused)
    newer = Sent(owner, "PUT", ["BOTH"], {"city": "Nieuw", "last_updated": T3})
    with psycopg.connect(**connection_parameters()) as other:
        other.execute(
            "SELECT FROM ocpi_locations_location WHERE object_id = 'BOTH' FOR NO KEY UPDATE"
        )
        assert newer.at_once() is None
    assert columns("BOTH") == before
    # One party has been told something else of it.
    assert owner.patch("BOTH", body={"city": "Brugge", "last_updated": T2}, to=emsp).code == 1000
    assert newer.at_once() is None
    assert newer.on_a_thread().status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_who_comes_while_it_is_on_its_way_is_told(hub, owner, emsp, method):
    name = f"COMES-{method}"
    for_all(owner, name)
    come = []

    def comes() -> None:
        come.append(hub.join(Stranger(Role.EMSP)))
        holder.current()

    sent = Sent(owner, method, [name], {"city": "Nieuw", "last_updated": T3})
    assert until(lambda: sent.at_once(comes))
    newcomer = come[-1]
    newcomer.wait_for(
        lambda: any(one.json().get("city") == "Nieuw" for one in owner.heard(newcomer, name))
    )
