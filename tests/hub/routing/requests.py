"""Requests of the routing core's tests: who sends what to whom."""

from hub.ocpi.modules import Match
from hub.routing.directory import KnownToken, PlatformEntry
from hub.routing.request import Address, OcpiRequest


def request_of(
    platform: PlatformEntry,
    sender: Address | None,
    to: Address | None,
    method: str,
    match: Match,
    body: bytes,
) -> OcpiRequest:
    """With the routing headers of these addresses."""
    headers = {
        f"ocpi-{direction}-{name}".encode(): value.encode("latin-1")
        for direction, address in (("from", sender), ("to", to))
        if address is not None
        for name, value in zip(("country-code", "party-id"), address, strict=True)
    }
    token = KnownToken(platform, is_token_a=False)
    return OcpiRequest(method=method, path="", headers=headers, token=token, match=match, body=body)
