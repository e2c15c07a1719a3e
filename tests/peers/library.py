"""Starts a party made of a published library, and speaks with its engineer's hands."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId

PROJECT: Final = Path(__file__).parent.parent.parent
LIBRARIES: Final = ("extrawest", "py_ocpi")
_START_SECONDS: Final = 60


@dataclass(frozen=True)
class LibraryParty:
    """One running process of a library."""

    library: str
    role: Role
    identity: PartyId
    token_a: str
    port: int

    @property
    def versions_url(self) -> str:
        """What it tells others."""
        return f"http://127.0.0.1:{self.port}/ocpi/versions"

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        answer = requests.request(
            method, f"http://127.0.0.1:{self.port}/test/{path}", timeout=60, **more
        )
        assert answer.status_code == 200, (self, answer.text)
        return answer.json()

    def register(self, versions_url: str, token_a: str, *, is_plain: bool) -> Any:
        """Begin the handshake with the hub, the token in Base64 or plain; what the hub answered."""
        asked = {"url": versions_url, "token": token_a, "is_plain": is_plain}
        return self._ask("POST", "register", json=asked)

    def keep(self, module: str, key: str, data: dict[str, Any]) -> None:
        """Put an object into its store, where it tells nobody of it."""
        self._ask("PUT", f"store/{module}/{key}", json=data)

    def push(self, module: str, key: str, data: dict[str, Any]) -> Any:
        """Put an object into its store and push it by the library's function; the answer."""
        self.keep(module, key, data)
        return self._ask("POST", f"push/{module}/{key}")

    def holds(self, module: str) -> dict[str, Any]:
        """The objects in its store by their ids in upper case."""
        found: dict[str, Any] = self._ask("GET", "store").get(module, {})
        return found

    def listed(self, module: str) -> list[dict[str, Any]]:
        """All pages of the hub's list."""
        said = self._ask("GET", f"list/{module}")
        assert said["status_code"] == 1000, said
        found: list[dict[str, Any]] = said["data"]
        return found


@contextmanager
def serve(library: str, role: Role, identity: PartyId) -> Iterator[LibraryParty]:
    """The party while the block lasts; makes the library's environment at its first use."""
    subprocess.run([PROJECT / "script" / "peers"], check=True, stdin=subprocess.DEVNULL)
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    party = LibraryParty(library, role, identity, f"token-a-of-{identity}", port)
    process = subprocess.Popen(
        [
            PROJECT / ".venv" / "peers" / library / "bin" / "python",
            Path(__file__).with_name("party.py"),
            *(role.value, identity.country_code, identity.party_id, str(port), party.token_a),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(process, port)
        yield party
    finally:
        process.terminate()
        process.wait(60)


def _await(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Until it listens."""
    for _ in range(_START_SECONDS * 10):
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    return
        else:
            break
    raise RuntimeError("the library's party did not start")
