"""Who asks in a check: sends its calls, gives out its response_urls, waits for results.

A hub that checks a party asks as itself (hub/conformance); a party that checks itself is asked by
party/check/asker.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.party import PartyId


@dataclass(slots=True)
class Target:
    """The platform of the party under check; `authorization` is the header that it takes."""

    versions_url: str
    authorization: str
    parties: tuple[PartyId, ...]
    endpoints: Mapping[tuple[str, InterfaceRole], str] = field(default_factory=dict)


class Came(NamedTuple):
    """An HTTP answer; header names in lower case, the body without a content coding."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Result(NamedTuple):
    """What was posted to a response_url, and the query with which it was."""

    body: bytes
    query: str


class NoAnswer(Exception):
    """Nothing came back; the message says why. `is_too_long`: more came than is read."""

    def __init__(self, message: str, *, is_too_long: bool = False) -> None:
        super().__init__(message)
        self.is_too_long = is_too_long


class Asker(Protocol):
    """Its methods are called from the thread of the check, and block it."""

    @property
    def party(self) -> PartyId:
        """The FROM of all calls."""

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        module: str,
        seconds: float,
    ) -> Came:
        """One request, exactly this, within `seconds`; follows no redirect. NoAnswer."""

    def response_url(self) -> str:
        """A new URL with a query, to which the party may post a result."""

    def result(self, response_url: str, seconds: float) -> Result | None:
        """The first result posted there, None when none has come within `seconds`."""
