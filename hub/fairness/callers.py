"""Who calls, by address: all that is known of a stranger, and no more than a hint.

Behind a proxy every request comes from the proxy's address. Whom it names in X-Forwarded-For is
believed only of TRUSTED_PROXIES: anybody can write that header.
"""

import time
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

from django.conf import settings

# Proxies before one another; whoever writes a longer list is not one of them.
_MOST_PROXIES: Final = 16
UNKNOWN: Final = "?"
OTHERS: Final = "others"


def address_of(scope: Mapping[str, Any]) -> str:
    """The address that an ASGI request came from: the last one that no trusted proxy has."""
    client = scope.get("client")
    address = str(client[0]) if client else UNKNOWN
    if not settings.TRUSTED_PROXIES or not _is_trusted(address):
        return address
    named = b",".join(
        value for name, value in scope["headers"] if name == b"x-forwarded-for"
    ).decode("latin-1")
    for text in reversed(named.rsplit(",", _MOST_PROXIES)[-_MOST_PROXIES:]):
        if (found := _read(text)) is None:
            break
        address = str(found)
        if not _is_trusted(address):
            break
    return address


def group_of(address: str) -> str:
    """Whose address it is: one line has a /64 of IPv6, and may call from any address of it."""
    found = _read(address)
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found) if found is not None else address[:45]


def _is_trusted(address: str) -> bool:
    found = _read(address)
    return found is not None and any(found in network for network in settings.TRUSTED_PROXIES)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    """An address, also with a port behind it as some proxies write it."""
    text = text.strip()
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


class FirstOfMinute:
    """Tells the first call of each address and minute from the others, in bounded memory."""

    MOST: Final = 1_000

    def __init__(self) -> None:
        self._minute = 0
        self._seen: set[str] = set()

    def look(self, group: str) -> tuple[int, str, bool]:
        """The minute (Unix time), the address to count it under, whether it is the first one."""
        minute = int(time.time()) // 60 * 60
        if minute != self._minute:
            self._minute = minute
            self._seen.clear()
        if group in self._seen:
            return minute, group, False
        if len(self._seen) >= self.MOST:
            # Nobody reads single addresses of a crowd of that size.
            group = OTHERS
            if group in self._seen:
                return minute, group, False
        self._seen.add(group)
        return minute, group, True
