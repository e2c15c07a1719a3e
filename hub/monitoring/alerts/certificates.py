"""Until when the TLS certificates of parties last: looked at twice a day, by a handshake of TLS.

The certificate is read without a judgement of it: one that has ended already, or is of an authority
that nobody knows, has an end too. Only to addresses that the hub may call.
"""

import asyncio
import logging
import ssl
from datetime import datetime, timedelta
from typing import Final, cast
from urllib.parse import urlsplit

from cryptography import x509
from django.utils import timezone

from hub.models import Platform
from hub.monitoring.alerts.models import Certificate
from hub.outbound import addresses
from hub.outbound.resolver import resolver

logger = logging.getLogger(__name__)
SECONDS: Final = 10.0
EVERY: Final = timedelta(hours=12)
# Hosts in one turn; the next turn goes on.
_A_TURN: Final = 50
_AT_ONCE: Final = 10
Place = tuple[int, str, int]


def look() -> int:
    """Look at those that were not looked at for half a day; how many that were."""
    places = _due()
    ends = asyncio.run(_looked(places)) if places else []
    now = timezone.now()
    for (platform, host, port), end in zip(places, ends, strict=True):
        Certificate.objects.update_or_create(
            platform_id=platform,
            host=host,
            port=port,
            defaults={"looked_at": now} | ({"ends_at": end} if end is not None else {}),
        )
    return len(places)


def _due() -> list[Place]:
    """The hosts of registered platforms by https, those never looked at first."""
    known = {
        (one.platform_id, one.host, one.port): one.looked_at for one in Certificate.objects.all()
    }
    wanted: dict[Place, None] = {}
    registered = Platform.objects.filter(registered_at__isnull=False)
    for pk, url in registered.order_by("pk").values_list("pk", "versions_url"):
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            wanted[pk, parts.hostname, parts.port or 443] = None
    gone = [place for place in known if place not in wanted]
    for platform, host, port in gone:
        Certificate.objects.filter(platform_id=platform, host=host, port=port).delete()
    limit = timezone.now() - EVERY
    return [place for place in wanted if known.get(place, limit) <= limit][:_A_TURN]


async def _looked(places: list[Place]) -> list[datetime | None]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(host: str, port: int) -> datetime | None:
        async with room:
            try:
                async with asyncio.timeout(SECONDS):
                    return await _end_of(host, port)
            except (OSError, ValueError) as error:
                # Who cannot be reached is another rule's matter; what was known stays.
                logger.info("the certificate of %s:%s cannot be read: %s", host, port, error)
                return None
            except Exception:  # a certificate may be odd in any way: the others are looked at
                logger.exception("the certificate of %s:%s cannot be read", host, port)
                return None

    return await asyncio.gather(*(one(host, port) for _, host, port in places))


async def _end_of(host: str, port: int) -> datetime:
    found = addresses.allowed(host, await resolver.find(host, host))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection(found[0], port, ssl=context, server_hostname=host)
    try:
        tls = cast(ssl.SSLObject, writer.get_extra_info("ssl_object"))
        der = tls.getpeercert(binary_form=True)
    finally:
        # Nothing was said that somebody waits for.
        writer.transport.abort()
    if not der:
        raise OSError("it shows no certificate")
    return x509.load_der_x509_certificate(der).not_valid_after_utc
