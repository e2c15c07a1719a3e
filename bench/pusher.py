"""`python -m bench.pusher ACTION`: what the delivery benchmark does with the hub's database.

Reads its options as JSON from standard input, writes its answer as JSON.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402 - the models need the loaded settings
from django.utils import timezone  # noqa: E402

from bench.one_task import deliver  # noqa: E402
from hub.db import secret_box  # noqa: E402
from hub.deliveries.rows import End, Fate  # noqa: E402
from hub.deliveries.shard import Shard  # noqa: E402
from hub.models import (  # noqa: E402
    Delivery,
    DeliveryState,
    Endpoint,
    Party,
    Platform,
    Sharding,
    StaleCopy,
)
from hub.ocpi import headers  # noqa: E402
from hub.outbox import outbox  # noqa: E402
from locations.models import Location  # noqa: E402

# Whose Locations are told.
OWNER = "NL-CPO"
MOMENT = "2026-01-01T00:00:00Z"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def parties(urls: list[str]) -> list[int]:
    """Registered platforms with one eMSP each, made in bulk; their ids."""
    first = Platform.objects.count()
    made = Platform.objects.bulk_create(
        Platform(
            name=f"Receiver {first + number}",
            registered_at=timezone.now(),
            token_b_encrypted=secret_box.encrypt(f"token-{number}"),
            versions_url=f"{url}/versions",
        )
        for number, url in enumerate(urls)
    )
    modules = ("locations", "sessions")
    Endpoint.objects.bulk_create(
        Endpoint(platform=one, identifier=module, role="RECEIVER", url=f"{url}/{module}")
        for one, url in zip(made, urls, strict=True)
        for module in modules
    )
    Party.objects.bulk_create(
        Party(
            platform=one,
            country_code="DE",
            party_id=_party_id(first + number),
            role="EMSP",
            status="CONNECTED",
        )
        for number, one in enumerate(made)
    )
    if not Party.objects.filter(party_id="CPO").exists():
        _owner()
    return [one.pk for one in made]


def _owner() -> None:
    """The party whose Locations are told."""
    own = Platform.objects.create(name="Owner", registered_at=timezone.now())
    Party.objects.create(
        platform=own, country_code="NL", party_id="CPO", role="CPO", status="CONNECTED"
    )


def _party_id(number: int) -> str:
    return LETTERS[number // 676 % 26] + LETTERS[number // 26 % 26] + LETTERS[number % 26]


def body(seq: int) -> bytes:
    """An EVSE's status: 150 bytes."""
    text = f'{{"status":"CHARGING","last_updated":"2026-01-01T00:00:00Z","x_seq":{seq},"x":"'
    return f'{text}{"." * (148 - len(text))}"}}'.encode()


def spread(
    receivers: list[int], updates: int, objects: int, per_second: float = 0, module: str = ""
) -> list[float]:
    """PATCHes to all receivers, each in a transaction of its own; when each was committed.

    Of Locations, which the hub keeps, or of a `module` that is told message by message.
    """
    if not module:
        _locations(objects)

    def write(seq: int) -> None:
        name = f"{'S' if module else 'L'}{seq % objects}"
        with transaction.atomic():
            if module:
                outbox.enqueue([_message(module, name, seq, one) for one in receivers])
            else:
                outbox.mark(_change(name, seq), addressees)

    addressees = [outbox.Addressee(one, f"DE-{_party_id(one - 1)}") for one in receivers]
    return _evenly(write, updates, per_second)


def _change(name: str, seq: int) -> outbox.Change:
    return outbox.Change(
        module="locations",
        owner=OWNER,
        object_id=name,
        spelling=f"NL/CPO/{name}/1",
        correlation_id=headers.new_id(),
        part="1",
        patch=body(seq),
        priority=outbox.URGENT,
    )


def _message(module: str, name: str, seq: int, receiver: int) -> Delivery:
    return Delivery(
        receiver_id=receiver,
        ordering_key=f"{module}{name}",
        module=module,
        method="PATCH",
        interface_role="RECEIVER",
        path=f"NL/CPO/{name}",
        body=body(seq),
        from_country_code="NL",
        from_party_id="CPO",
        to_country_code="DE",
        to_party_id=_party_id(receiver - 1),
        correlation_id=headers.new_id(),
    )


def _locations(number: int) -> None:
    """So many Locations as the hub keeps them."""
    evse = {"uid": "1", "status": "AVAILABLE", "last_updated": MOMENT}
    have = Location.objects.filter(owner=OWNER).count()
    Location.objects.bulk_create(
        Location(
            owner=OWNER,
            object_id=f"L{one}",
            last_updated=MOMENT,
            document=json.dumps(
                {"country_code": "NL", "party_id": "CPO", "id": f"L{one}", "evses": [evse]}
            ).encode(),
        )
        for one in range(have, number)
    )


def one_task(receivers: list[int], updates: int, objects: int) -> list[float]:
    """The same by a row with its body and a Celery task for each receiver."""

    def write(seq: int) -> None:
        name = f"L{seq % objects}"
        rows = Delivery.objects.bulk_create(
            Delivery(
                receiver_id=one,
                ordering_key=name,
                module="locations",
                method="PATCH",
                interface_role="RECEIVER",
                path=f"NL/CPO/{name}/1",
                body=body(seq),
                from_country_code="NL",
                from_party_id="HUB",
                to_country_code="DE",
                to_party_id=_party_id(one - 1),
                correlation_id=headers.new_id(),
            )
            for one in receivers
        )
        for row in rows:
            deliver.delay(row.pk)

    return _evenly(write, updates, 0)


def _evenly(write: Callable[[int], None], updates: int, per_second: float) -> list[float]:
    committed = []
    began = time.monotonic()
    for seq in range(updates):
        if per_second and (wait := began + seq / per_second - time.monotonic()) > 0:
            time.sleep(wait)
        write(seq)
        committed.append(time.monotonic())
    return committed


def claims(receivers: list[int], rows: int) -> float:
    """Seconds a row to claim and mark so many rows of these receivers, as a drain does."""
    return asyncio.run(_claims(receivers, rows, Sharding.number()))


async def _claims(receivers: list[int], rows: int, shards: int) -> float:
    async with Shard(0, shards) as shard:
        if not await shard.take():
            raise RuntimeError("the shard is drained by somebody")
        done, began = 0, time.monotonic()
        while done < rows:
            found, _ = await shard.claim({}, 20, [], [])
            if not found:
                raise RuntimeError(f"only {done} rows wait")
            await shard.end([End(one.id, 1, Fate.TOLD) for one in found])
            done += len(found)
            await shard.renew()
        took = time.monotonic() - began
        await shard.release()
    return took / done


def waiting() -> int:
    """How many rows wait."""
    return StaleCopy.objects.count() + Delivery.objects.filter(state=DeliveryState.WAITING).count()


def clear() -> None:
    """An empty outbox, and everybody connected."""
    Delivery.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE hub_stalecopy")
    Party.objects.update(status="CONNECTED")


ACTIONS: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (parties, spread, one_task, claims, waiting, clear)
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(ACTIONS[sys.argv[1]](**json.load(sys.stdin))))
