"""How the hub knows itself: URLs that lead to it, and messages that it has sent.

A URL of a party's below the hub's own /ocpi/ would have the hub call itself, in a circle where it
is an endpoint's. What leads back in a way that no URL shows (another name, a proxy) is known by its
mark when it comes in.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings

from hub.db import secret_box
from hub.ocpi import own_paths
from hub.ocpi.errors import InvalidParameters


class LeadsHere(InvalidParameters):
    """A URL that a party has named leads to the hub itself."""


# Everything that the hub sends has this header. Who learns the mark can spoil only what it sends
# itself, and tells nothing by it.
HEADER: Final = "X-Flexhub-Mark"
_RAW_HEADER: Final = HEADER.lower().encode()
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# A proxy may decode what a server decodes again.
_MOST_DECODINGS: Final = 3
REASON: Final = (
    "This message was sent by this hub itself and has come back: the URL that it was sent to leads "
    "to the hub. It is not sent on."
)


@cache
def mark() -> str:
    """What the hub knows its own messages by; the same in all of its processes."""
    identity = f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}"
    return secret_box.keyed_hash(identity, "mark of own messages")[:32]


@cache
def _raw_mark() -> bytes:
    return mark().encode()


def is_own_message(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request that came in is one that the hub has sent."""
    found = headers.get(_RAW_HEADER)
    return found is not None and _raw_mark() in found


def is_own_url(parts: SplitResult, found: Sequence[str]) -> bool:
    """Whether a URL leads to the hub's own /ocpi/; `found`: the addresses of a host that is one.

    On this machine there is nobody else at the hub's own port: there every path is the hub's.
    """
    own = urlsplit(settings.BASE_URL)
    port, own_port = _port(parts), _port(own)
    here = {_plain_address(address) for address in found}
    own_host = _name(own)
    if any(address.is_loopback or address.is_unspecified for address in here):
        return port == settings.PORT or (port == own_port and _is_this_machine(own_host))
    if _name(parts) != own_host and own_host not in {str(address) for address in here}:
        return False
    # Behind a default port the other one leads to the same place, at most by a redirect.
    is_there = port == own_port or {port, own_port} <= set(_DEFAULT_PORTS.values())
    return is_there and _path(parts.path).startswith(_path(own.path + own_paths.ROOT))


def _port(parts: SplitResult) -> int:
    return parts.port or _DEFAULT_PORTS[parts.scheme]


def _name(parts: SplitResult) -> str:
    return unquote(parts.hostname or "").lower().rstrip(".")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _plain_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Without a zone, and as IPv4 where IPv6 only wraps it."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def _path(path: str) -> str:
    """As servers and proxies read it, with a slash at either end: decoded, its dots resolved."""
    for _ in range(_MOST_DECODINGS):
        path = unquote(path)
    steps: list[str] = []
    for step in path.replace("\\", "/").split("/"):
        name = step.partition(";")[0].strip().lower()
        if name == "..":
            del steps[-1:]
        elif name not in {"", "."}:
            steps.append(name)
    return f"/{'/'.join(steps)}/" if steps else "/"
