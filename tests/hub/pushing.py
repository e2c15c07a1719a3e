"""Client owned objects that a test's parties push to the hub, and what others were told of them."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from hub.models import StaleCopy, party_news
from hub.ocpi.party import PartyId
from party.messages import Received
from simulators.testing import Running
from tests.hub.strangers import Reply, Stranger, ask, until
from tests.running_hub import RunningHub

HUB: Final = PartyId("NL", "HUB")
T1, T2, T3 = (f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 3))


def connector_of(connector_id: str = "1", **more: Any) -> dict[str, Any]:
    """A minimal Connector."""
    return {
        "id": connector_id,
        "standard": "IEC_62196_T2",
        "format": "CABLE",
        "power_type": "AC_3_PHASE",
        "max_voltage": 220,
        "max_amperage": 16,
        "last_updated": T1,
    } | more


def evse_of(uid: str = "3256", **more: Any) -> dict[str, Any]:
    """A minimal EVSE with one Connector."""
    return {
        "uid": uid,
        "status": "AVAILABLE",
        "connectors": [connector_of()],
        "last_updated": T1,
    } | more


def location_of(party: PartyId, location_id: str, **more: Any) -> dict[str, Any]:
    """A minimal Location with one EVSE."""
    return {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "id": location_id,
        "publish": True,
        "address": "F.Rooseveltlaan 3A",
        "city": "Gent",
        "country": "BEL",
        "coordinates": {"latitude": "51.047599", "longitude": "3.729944"},
        "time_zone": "Europe/Brussels",
        "evses": [evse_of()],
        "last_updated": T1,
    } | more


def tariff_of(party: PartyId, tariff_id: str, **more: Any) -> dict[str, Any]:
    """A minimal Tariff."""
    return {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "id": tariff_id,
        "currency": "EUR",
        "elements": [{"price_components": [{"type": "TIME", "price": 2.00, "step_size": 300}]}],
        "last_updated": T1,
    } | more


class Owner:
    """A party and its objects of one module at the hub."""

    def __init__(self, hub: RunningHub, running: Running[Stranger], module: str) -> None:
        self.hub = hub
        self.running = running
        self.module = module
        self.party = running.simulator.party

    def path(self, *ids: str) -> str:
        """The URL of an object, or of a part of it, on the Receiver interface."""
        return "/".join(
            ("receiver", self.module, *self.party, *(quote(one, safe="") for one in ids))
        )

    def send(
        self,
        method: str,
        *ids: str,
        body: bytes | Mapping[str, Any] | None = None,
        to: PartyId | Running[Stranger] | None = HUB,
    ) -> Reply:
        """One message about an object."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return ask(self.hub, self.running, method, self.path(*ids), to=to, body=content)

    def put(self, *ids: str, body: Any, to: PartyId | Running[Stranger] | None = HUB) -> Reply:
        """PUT an object or a part."""
        return self.send("PUT", *ids, body=body, to=to)

    def patch(self, *ids: str, body: Any, to: PartyId | Running[Stranger] | None = HUB) -> Reply:
        """PATCH an object or a part."""
        return self.send("PATCH", *ids, body=body, to=to)

    def kept(self, *ids: str, viewer: Running[Stranger] | None = None) -> Any:
        """What the hub has of it; as `viewer` finds it in GET All, where it is another party."""
        if viewer is not None and viewer is not self.running:
            return self._in_list(viewer, *ids)
        answer = ask(self.hub, self.running, "GET", self.path(*ids))
        if answer.status == 404:
            return None
        assert answer.said == (200, 1000), answer
        return answer.envelope["data"]

    def _in_list(self, viewer: Running[Stranger], *ids: str) -> Any:
        wanted = (*self.party, ids[0].upper())
        for page in listed(self.hub, viewer, f"sender/{self.module}?limit=1000"):
            for one in page.envelope["data"]:
                named = (one["country_code"], one["party_id"], one.get("id") or one["uid"])
                if tuple(text.upper() for text in named) == wanted:
                    return _part(one, ids[1:])
        return None

    def told(self, receiver: Running[Stranger], object_id: str, count: int) -> list[Received]:
        """What `receiver` was sent of an object; waits for so many messages."""

        def found() -> list[Received]:
            heard = self.heard(receiver, object_id)
            return heard if len(heard) >= count else []

        told = until(found)
        settled(receiver, object_id)
        return told

    def heard(self, receiver: Running[Stranger], object_id: str) -> list[Received]:
        """What `receiver` has been sent of an object so far."""
        wanted = f"/{quote(object_id, safe='')}/"
        return [
            message
            for message in tuple(receiver.simulator.got)
            if message.module == self.module and wanted in f"{message.target.partition('?')[0]}/"
        ]


def settled(receiver: Running[Stranger] | None = None, object_id: str = "") -> None:
    """Wait until nothing is owed any more: what changes next is told by itself."""
    waiting = StaleCopy.objects.filter(state="WAITING")
    if receiver is not None:
        waiting = waiting.filter(party=str(receiver.simulator.party))
    if object_id:
        waiting = waiting.filter(object_id=object_id.upper())
    is_all = receiver is None and not object_id
    until(lambda: not (waiting.exists() or (is_all and party_news.owed())))


def _part(document: Any, ids: tuple[str, ...]) -> Any:
    """The EVSE or Connector of a Location."""
    for name, key, wanted in zip(("evses", "connectors"), ("uid", "id"), ids, strict=False):
        (document,) = [one for one in document[name] if one[key] == wanted]
    return document


def listed(hub: RunningHub, viewer: Running[Stranger], path: str) -> list[Reply]:
    """All pages of a GET All."""
    pages, url = [], path
    while url:
        pages.append(ask(hub, viewer, "GET", url, to=HUB))
        assert pages[-1].said == (200, 1000), pages[-1]
        url = next_of(pages[-1])
    return pages


def next_of(page: Reply) -> str:
    """The URL of its Link, "" for the last page."""
    return page.headers.get("link", "").partition(">")[0].removeprefix("<")


def ids_of(pages: list[Reply]) -> list[str]:
    """The ids of all objects on these pages."""
    return [one["id"] for page in pages for one in page.envelope["data"]]
