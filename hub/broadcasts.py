"""Broadcast Push: keep what was pushed, and owe it to everybody of the opposite role.

transport_and_format, Broadcast Push: FROM is the hub, TO each receiver; the URL keeps the owner.
"""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from urllib.parse import unquote, urlencode

from django.db import transaction
from django.http import HttpResponse
from rest_framework.request import Request

from hub import leaving_out, outbox, pushers
from hub.deviations import noting
from hub.directory import PartyEntry, holder
from hub.leaving_out import Choice
from hub.ocpi import headers
from hub.ocpi.datatypes import InterfaceRole, TokenType
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.party import PartyId
from hub.receivers import broadcast_receivers
from hub.store import ITS_OWNER, Kept, Pushed, StoredObject
from hub.views import answer, exchange_of

# No id of an object is longer (types: CiString(36); a CDR's is 39).
LONGEST_ID = 39


def read(request: Request) -> Pushed:
    """What was asked of a Receiver interface: owner and ids out of the URL, query and body."""
    exchange = exchange_of(request)
    country_code, party_id, *ids = map(unquote, exchange.place.ids.values())
    for one in ids:
        if not (one.isascii() and one.isprintable() and len(one) <= LONGEST_ID):
            message = f"No object has the id {one[:80]!r}: that is no CiString(36)."
            raise NotFound(message) if request.method == "GET" else InvalidParameters(message)
    owner = PartyId.of(country_code, party_id)
    return Pushed(
        method=request.method or "",
        owner=owner,
        ids=tuple(ids),
        query=request.query_params.dict(),
        body=exchange.body,
        told_by=ITS_OWNER if owner in exchange.platform.parties else str(exchange.caller),
        is_strict=exchange.platform.is_strict,
    )


def push(request: Request, kind: type[StoredObject]) -> HttpResponse:
    """Keep a push and owe it to its receivers, in one transaction; the answer follows the commit.

    "201 - Created when the object has been newly created" (status_codes). An older update than
    what is kept is neither stored nor sent on (1000, with a message).
    """
    exchange = exchange_of(request)
    pushed = read(request)
    module = exchange.place.module
    receivers = broadcast_receivers(holder.snapshot, exchange.caller, module, pushed.owner)
    # With nobody to tell there is one write, which is a transaction by itself.
    with transaction.atomic() if receivers else nullcontext():
        before = leaving_out.standing(kind, pushed, receivers)
        kept, body = kind.push(pushed)
        if kept and receivers:
            choice = leaving_out.choose(kind, pushed, receivers, before)
            told, ids = replace(pushed, body=body), tuple(exchange.place.ids.values())
            tell(module, told, ids, exchange.correlation_id, choice)
    pushers.note(exchange.caller, module)
    noting.note(exchange.platform.id, pushed.deviations)
    has = "a newer version" if not pushed.told_by else "a newer version, or its owner's own word"
    return answer(
        message=None if kept else f"The hub has {has}; this one is ignored.",
        status=201 if kept is Kept.CREATED else 200,
    )


def tell(
    module: str, pushed: Pushed, segments: Sequence[str], correlation_id: str, choice: Choice
) -> None:
    """Owe a push to those that it is for; `segments` follow the endpoint, as they are sent."""
    spread(module, pushed, "/".join(segments), correlation_id, choice.as_pushed)
    if choice.whole:
        whole = replace(pushed, method="PUT", ids=pushed.ids[:1], body=choice.document)
        spread(module, whole, "/".join(segments[:3]), correlation_id, choice.whole)


def spread(
    module: str, pushed: Pushed, path: str, correlation_id: str, receivers: Iterable[PartyEntry]
) -> None:
    """Owe a push to all of them; in the caller's transaction."""
    query = ""
    if module == "tokens":
        # Said also where it was left out: it is one Token, and its pushes go in one order.
        query = urlencode({"type": pushed.query.get("type", TokenType.RFID).upper()})
    outbox.spread(
        outbox.Broadcast(
            module=module,
            method=pushed.method,
            role=InterfaceRole.RECEIVER,
            path=f"{path}?{query}" if query else path,
            body=pushed.body,
            # All updates of one object and of its parts.
            ordering_key=f"{module}:{pushed.owner}/{pushed.ids[0]}?{query}".upper(),
            sender=holder.snapshot.hub,
            correlation_id=correlation_id or headers.new_id(),
        ),
        [
            outbox.Addressee(entry.platform.id, entry.country_code, entry.party_id)
            for entry in receivers
        ],
    )
