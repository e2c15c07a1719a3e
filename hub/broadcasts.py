"""Broadcast Push: keep what was pushed, and owe it to everybody of the opposite role.

transport_and_format, Broadcast Push: FROM is the hub, TO each receiver; the URL keeps the owner.
"""

from collections.abc import Callable
from urllib.parse import unquote, urlencode

from django.db import transaction
from django.http import HttpResponse
from rest_framework.request import Request

from hub import outbox, routing
from hub.directory import Directory, holder
from hub.models import Delivery
from hub.ocpi import headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.party import PartyId
from hub.store import Pushed
from hub.views import answer, exchange_of

Keep = Callable[[Pushed], bool]


def read(request: Request) -> Pushed:
    """What was asked of a Receiver interface: owner and ids out of the URL, query and body."""
    exchange = exchange_of(request)
    country_code, party_id, *ids = map(unquote, exchange.place.ids.values())
    return Pushed(
        method=request.method or "",
        owner=PartyId.of(country_code, party_id),
        ids=tuple(ids),
        query=request.query_params.dict(),
        body=exchange.body,
    )


def push(request: Request, keep: Keep) -> HttpResponse:
    """Keep a push and owe it to its receivers, in one transaction; the answer follows the commit.

    An older update than what is kept is neither stored nor sent on (1000, with a message).
    """
    exchange = exchange_of(request)
    pushed = read(request)
    with transaction.atomic():
        is_news = keep(pushed)
        if is_news:
            path = "/".join(exchange.place.ids.values())
            spread(
                exchange.place.module,
                exchange.caller,
                pushed,
                path,
                exchange.correlation_id,
                holder.snapshot,
            )
    return answer(message=None if is_news else "The hub has a newer version; this one is ignored.")


def spread(
    module: str,
    sender: PartyId,
    pushed: Pushed,
    path: str,
    correlation_id: str,
    directory: Directory,
) -> None:
    """Owe a push to every connected party of the opposite role; in the caller's transaction."""
    receivers = routing.broadcast_receivers(directory, sender, module)
    query = urlencode({name: value for name, value in pushed.query.items() if name == "type"})
    ordering_key = f"{module}:{pushed.owner}/{pushed.ids[0]}?{query}".upper()
    outbox.enqueue(
        [
            Delivery(
                receiver_id=receiver.platform.id,
                ordering_key=ordering_key[:160],
                module=module,
                method=pushed.method,
                interface_role=InterfaceRole.RECEIVER,
                path=f"{path}?{query}" if query else path,
                body=pushed.body,
                from_country_code=directory.hub.country_code,
                from_party_id=directory.hub.party_id,
                to_country_code=receiver.country_code,
                to_party_id=receiver.party_id,
                correlation_id=correlation_id or headers.new_id(),
            )
            for receiver in receivers
        ]
    )
