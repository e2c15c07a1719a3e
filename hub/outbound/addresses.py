"""Where the hub may connect to: no private networks unless the operator allows them.

Checked on the addresses that are really connected to, so that a name which resolves differently the
second time (DNS rebinding) gains nothing.
"""

import ipaddress
import socket
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings

from hub.ocpi.errors import InvalidParameters
from hub.outbound import loops
from hub.startup.quick_settings import setting

# All that is routed in the Internet (RFC 4291, 2.4); the rest is local, reserved, or IPv4 wrapped.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Within it, what is documentation (RFC 9637) or a network's own.
_NOT_ROUTED = tuple(map(ipaddress.ip_network, ("3fff::/20", "2001::/23", "2001:db8::/32")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# How the last half of an address of an ISATAP tunnel begins (RFC 5214, 6.1).
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


class ForbiddenAddress(OSError):
    """The host has no addresses that the hub connects to, or its name can have none at all."""


def is_allowed(address: str) -> bool:
    """Whether the hub may connect to this IP address."""
    if setting("ALLOW_PRIVATE_URLS"):
        return not _is_link_local(address)
    return is_public(address)


@lru_cache(maxsize=4096)
def _is_link_local(address: str) -> bool:
    """No party has such an address; clouds tell secrets there (RFC 3927; RFC 4291, 2.5.6)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    wrapped = None if isinstance(ip, ipaddress.IPv4Address) else ip.ipv4_mapped
    return (wrapped or ip).is_link_local


@lru_cache(maxsize=4096)  # Asked for each message, also over kept-alive connections.
def is_public(address: str) -> bool:
    """Whether it is one of the Internet's, for all to reach, and no part of a private network."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return _is_public_ipv4(ip)
    last = ipaddress.IPv4Address(ip.packed[-4:])
    # An IPv4 address in disguise is where the packets would end.
    wrapped = ip.ipv4_mapped or ip.sixtofour or (last if ip in _NAT64 else None)
    if wrapped is not None:
        return _is_public_ipv4(wrapped)
    if ip.packed[8:12] in _ISATAP and not _is_public_ipv4(last):
        return False
    # Others that wrap one lead nowhere, or into a network of somebody's own: ::a.b.c.d (RFC 4291),
    # ::ffff:0:a.b.c.d (RFC 2765), 64:ff9b:1::/48 (RFC 8215), Teredo's 2001::/32 (RFC 4380).
    return ip in _GLOBAL_UNICAST and ip.is_global and not any(ip in net for net in _NOT_ROUTED)


def _is_public_ipv4(ip: ipaddress.IPv4Address) -> bool:
    return ip.is_global and not ip.is_multicast


def check_url(url: str, what: str) -> None:
    """Raise InvalidParameters when `url` can never be called, naming `what` it is.

    What a name resolves to is judged when it is called: on the address that is connected to.
    """
    if not (url.isascii() and url.isprintable()) or " " in url:
        # urlsplit() would drop some of these, and neither a database nor HTTP takes all.
        raise InvalidParameters(
            f"{what} {url!r} has white space, control characters or non-ASCII characters."
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidParameters(f"{what} {url!r} is not a URL: {error}.") from error
    if parts.scheme not in {"http", "https"} or not host or "\\" in parts.netloc:
        raise InvalidParameters(f"{what} {url!r} is not an absolute http(s) URL.")
    if parts.username or parts.password:
        raise InvalidParameters(f"{what} must not carry a user or password.")
    if parts.scheme == "http" and not settings.ALLOW_HTTP_URLS:
        raise InvalidParameters(f"{what} {url!r} must be https.")
    try:
        known = literal(host)
        if loops.is_own_url(parts, known or ()):
            raise loops.LeadsHere(
                f"{what} {url!r} leads to this hub itself: name a URL of your own system."
            )
        if known is not None:
            allowed(host, known)
    except ForbiddenAddress as error:
        raise InvalidParameters(f"{what} {url!r}: {error}.") from error


def literal(host: str) -> list[str] | None:
    """The addresses of a host that is an address, in any spelling, or this machine; else None.

    No name is looked up for it. ForbiddenAddress for what cannot be a name.
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
        return ["127.0.0.1", "::1"]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except UnicodeError as error:
        # An empty label, or one beyond 63 characters: Python does not ask for such a name.
        raise ForbiddenAddress(f"{host[:80]!r} is not the name of a host") from error
    except socket.gaierror:
        return None
    return [str(address[0]) for *_, address in found]


def allowed(host: str, found: Sequence[str]) -> list[str]:
    """Those of a host's addresses that the hub connects to; ForbiddenAddress when it has none."""
    those = [address for address in found if is_allowed(address)]
    if not those:
        raise ForbiddenAddress(f"{host} is in a private network, which this hub does not call")
    return those
