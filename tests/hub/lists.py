"""A Sender interface's lists as a test wants them served, page by page (Pagination)."""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from hub.ocpi.party import PartyId
from party.messages import Received
from tests.hub.strangers import Stranger, raw

Document = dict[str, Any]


class Lists:
    """Serves `documents` of each module; `asked` are the requests, oldest first.

    `link` makes the Link header of a page out of where the next one begins, None without; `total`
    says whether X-Total-Count is told. `answers` may answer a request instead.
    """

    def __init__(self, stranger: Stranger, size: int = 2, **documents: list[Document]) -> None:
        self.stranger = stranger
        self.size = size
        self.documents = documents
        self.asked: list[Received] = []
        self.total = True
        self.link: Callable[[Received, int | None], str | None] = self.honest_link
        self.answers: Callable[[Received], web.Response | None] = lambda message: None
        stranger.says = self.say

    def honest_link(self, message: Received, following: int | None) -> str | None:
        """As the text asks."""
        if following is None:
            return None
        query = dict(message.query) | {"offset": str(following)}
        told = "&".join(f"{name}={value}" for name, value in query.items())
        return f"{self.stranger.url}{message.path}?{told}"

    def say(self, message: Received) -> web.Response:
        """One page."""
        if message.method != "GET":
            return raw()
        self.asked.append(message)
        if (answer := self.answers(message)) is not None:
            return answer
        since = message.query.get("date_from", "")
        documents = self.documents.get(message.module, [])
        found = [one for one in documents if one.get("last_updated", "") >= since]
        offset = int(message.query.get("offset", 0))
        following = offset + self.size if offset + self.size < len(found) else None
        sent = {"X_Total_Count": str(len(found))} if self.total else {}
        if (link := self.link(message, following)) is not None:
            sent["Link"] = f'<{link}>; rel="next"'
        return page_of(found[offset : offset + self.size], **sent)

    def offsets(self, module: str = "") -> list[int]:
        """Where the pages began that were asked for, of this module or of all."""
        return [
            int(message.query.get("offset", 0))
            for message in self.asked
            if module in ("", message.module)
        ]


def page_of(documents: list[Document], **headers: str) -> web.Response:
    """An answer with these objects."""
    body = {"status_code": 1000, "timestamp": "2026-01-01T00:00:00Z", "data": documents}
    return raw(json.dumps(body).encode(), 200, **headers)


def location(party: PartyId, location_id: str, **more: Any) -> Document:
    """A Location without EVSEs."""
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
        "last_updated": "2026-01-01T00:00:00Z",
    } | more


def tariff(party: PartyId, tariff_id: str, **more: Any) -> Document:
    """The simplest Tariff."""
    return {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "id": tariff_id,
        "currency": "EUR",
        "elements": [{"price_components": [{"type": "ENERGY", "price": 0.25, "step_size": 1}]}],
        "last_updated": "2026-01-01T00:00:00Z",
    } | more


def token(party: PartyId, uid: str, **more: Any) -> Document:
    """A Token of an app's user."""
    return {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "uid": uid,
        "type": "APP_USER",
        "contract_id": f"{party.country_code}-{party.party_id}-C1",
        "issuer": "Issuer",
        "valid": True,
        "whitelist": "ALLOWED",
        "last_updated": "2026-01-01T00:00:00Z",
    } | more
