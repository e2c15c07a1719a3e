"""The hub as its web processes run it, except the resolver: names are asked for on loopback.

`/etc/resolv.conf` is not the benchmark's to change. So a look-up asks the name server at
BENCH_NAMES (a port of 127.0.0.1) as the system's resolver would: on a blocked thread, twice, five
seconds each (resolv.conf(5)). Nobody answers there.
"""

import os
import socket
from typing import Final

from hub.asgi import application
from hub.outbound.resolver import resolver

__all__ = ["application"]
_NAME_SERVER: Final = ("127.0.0.1", int(os.environ["BENCH_NAMES"]))
_SECONDS: Final = 5.0
_ATTEMPTS: Final = 2


def look_up(host: str) -> list[str]:
    """Ask for a name's address (RFC 1035, 4.1); gaierror without an answer."""
    labels = b"".join(bytes([len(one)]) + one for one in host.encode().split(b"."))
    question = b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_SECONDS)
        for _ in range(_ATTEMPTS):
            asking.sendto(question, _NAME_SERVER)
            try:
                answer = asking.recv(512)
            except TimeoutError:
                continue
            raise RuntimeError(f"the silent name server has answered {answer!r}")
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


resolver.look_up = look_up
