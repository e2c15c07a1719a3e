"""Where the hub may connect to: no private networks unless the operator allows them.

Checked on the addresses that are really connected to, so that a name which resolves differently the
second time (DNS rebinding) gains nothing.
"""

import ipaddress
import socket
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings

from hub.ocpi.errors import InvalidParameters

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenAddress(OSError):
    """The host has no addresses that the hub connects to, or its name can have none at all."""


def is_allowed(address: str) -> bool:
    """Whether the hub may connect to this IP address."""
    return settings.ALLOW_PRIVATE_URLS or _is_public(address)


@lru_cache(maxsize=4096)  # Asked for each message, also over kept-alive connections.
def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # An IPv4 address in disguise is where the packets would end.
        nat64 = ipaddress.IPv4Address(ip.packed[-4:]) if ip in _NAT64 else None
        ip = ip.ipv4_mapped or ip.sixtofour or nat64 or ip
    return ip.is_global and not ip.is_multicast


def check_url(url: str, what: str) -> None:
    """Raise InvalidParameters when `url` can never be called, naming `what` it is.

    A name that does not resolve now is let through: the call itself will tell.
    """
    if not (url.isascii() and url.isprintable()) or " " in url:
        # urlsplit() would drop some of these, and neither a database nor HTTP takes all.
        raise InvalidParameters(
            f"{what} {url!r} has white space, control characters or such as are not ASCII."
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidParameters(f"{what} {url!r} is not a URL: {error}.") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise InvalidParameters(f"{what} {url!r} is not an absolute http(s) URL.")
    if parts.username or parts.password:
        raise InvalidParameters(f"{what} must not carry a user or password.")
    if parts.scheme == "http" and not settings.ALLOW_HTTP_URLS:
        raise InvalidParameters(f"{what} {url!r} must be https.")
    try:
        resolve(host, port or 443)
    except ForbiddenAddress as error:
        raise InvalidParameters(f"{what} {url!r}: {error}.") from error
    except OSError:
        return


def resolve(host: str, port: int, family: int = socket.AF_UNSPEC) -> list[tuple[int, str]]:
    """Allowed (family, address) pairs of a host; ForbiddenAddress when it has none."""
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    except UnicodeError as error:
        # An empty label, or one beyond 63 characters: Python does not ask for such a name.
        raise ForbiddenAddress(f"{host[:80]!r} is no name of a host") from error
    allowed = [
        (int(f), str(address[0])) for f, _, _, _, address in found if is_allowed(str(address[0]))
    ]
    if not allowed:
        raise ForbiddenAddress(f"{host} is in a private network, which this hub does not call")
    return allowed
