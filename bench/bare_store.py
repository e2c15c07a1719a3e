"""What keeping one Location costs at least: the hub's own gateway and threads, then one statement.

No Django, no routing beyond the gateway's, no answer but a fixed one.
"""

import os
from datetime import UTC, datetime
from typing import Any

import django
import msgspec
import psycopg

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from django.db import connection  # noqa: E402 - Django's parts need the loaded settings

from hub.gateway.answer import Outgoing  # noqa: E402
from hub.gateway.gateway import Gateway  # noqa: E402
from hub.gateway.outcome import Outcome  # noqa: E402
from hub.routing.request import OcpiRequest  # noqa: E402
from locations.objects import Location  # noqa: E402

_read = msgspec.json.Decoder(Location).decode
_UPSERT = """
    INSERT INTO ocpi_locations_location AS old
        (owner, object_id, audience, last_updated, document, received_at)
    VALUES (%s, %s, '', %s, %s, %s)
    ON CONFLICT (owner, object_id, audience) DO UPDATE SET
        last_updated = EXCLUDED.last_updated, document = EXCLUDED.document,
        received_at = EXCLUDED.received_at
    WHERE old.last_updated <= EXCLUDED.last_updated
"""


def keep(body: bytes) -> None:
    """Read and store a Location."""
    location = _read(body)
    connection.ensure_connection()
    http: Any = connection.connection
    with psycopg.Cursor(http) as cursor:
        owner = f"{location.country_code}-{location.party_id}"
        values = [owner, location.id, location.last_updated, body, datetime.now(UTC)]
        cursor.execute(_UPSERT, values, prepare=True)


class BareStore(Gateway):
    """The gateway, with nothing behind it but `keep`."""

    async def _answer(self, request: OcpiRequest, outcome: Outcome) -> Outgoing:
        await self._worker.django.run(keep, request.body)
        return Outgoing(200, b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}')


application = BareStore()
