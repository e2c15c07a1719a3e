"""What the hub reads of another platform during registration (credentials, Registration)."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import msgspec

from hub import addresses, outbound
from hub.ocpi import envelope, headers
from hub.ocpi.configuration import VERSION, Endpoint, Version, VersionDetails
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import (
    HubError,
    InvalidParameters,
    NoMatchingEndpoints,
    UnableToUseClientApi,
    UnsupportedVersion,
)
from hub.ocpi.modules import CONFIGURATION_MODULES
from hub.record.calls import noted
from hub.record.note import Kind

SECONDS = 10.0
MAX_IDENTIFIER = 64
T = TypeVar("T")


class TokenRefused(UnableToUseClientApi):
    """HTTP 401: the other side does not know the token, or not in this form."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The endpoints that a platform offers for 2.2.1."""

    endpoints: dict[tuple[str, InterfaceRole], str]


def fetch_offer(versions_url: str, authorization: str) -> Offer:
    """GET versions and version details of a platform.

    UnableToUseClientApi (3001) when a GET fails, UnsupportedVersion (3002) without 2.2.1,
    NoMatchingEndpoints (3003) without any module to exchange.
    """
    versions = _get(versions_url, authorization, list[Version], "versions")
    url = next((v.url for v in versions if v.version == VERSION), None)
    if url is None:
        offered = ", ".join(v.version for v in versions) or "none"
        raise UnsupportedVersion(
            f"This hub speaks {VERSION}; the versions endpoint {versions_url} has: {offered}."
        )
    _check(url, "The URL of version 2.2.1")
    details = _get(url, authorization, VersionDetails, "version details")
    endpoints = {}
    for endpoint in details.endpoints:
        identifier = endpoint.identifier.strip().lower()
        if not (identifier.isprintable() and 0 < len(identifier) <= MAX_IDENTIFIER):
            raise UnableToUseClientApi(f"{endpoint.identifier[:80]!r} cannot be a ModuleID.")
        if identifier == "credentials":
            _check(endpoint.url, "The URL of credentials")
            endpoints[identifier, InterfaceRole.SENDER] = endpoint.url
        elif endpoint.role is not None:
            _check(endpoint.url, f"The URL of {identifier} {endpoint.role}")
            endpoints[identifier, endpoint.role] = endpoint.url
    if not any(module not in CONFIGURATION_MODULES for module, _ in endpoints):
        raise NoMatchingEndpoints(
            f"The version details at {url} offer no module to exchange: "
            f"{_listed(details.endpoints)}."
        )
    return Offer(endpoints)


def _listed(endpoints: list[Endpoint]) -> str:
    return ", ".join(f"{e.identifier} {e.role or 'without role'}" for e in endpoints) or "nothing"


def _check(url: str, what: str) -> None:
    try:
        addresses.check_url(url, what)
    except InvalidParameters as error:
        raise UnableToUseClientApi(error.message) from error
    if len(url) > 255:
        raise UnableToUseClientApi(f"{what} has more than 255 characters.")


def _get(url: str, authorization: str, expected: type[T], what: str) -> T:
    """GET one object; real parties also send it as a list of one, or a list for one."""
    sent = {
        "Authorization": authorization,
        headers.REQUEST_ID: headers.new_id(),
        headers.CORRELATION_ID: headers.new_id(),
    }
    try:
        with noted(Kind.HANDSHAKE, "GET", sent, None, module="versions") as call:
            response = call.answered(outbound.call("GET", url, sent, seconds=SECONDS))
    except HubError as error:
        raise UnableToUseClientApi(f"GET {what} at {url}: {error.message}") from error
    answer = envelope.read_answer(response.body)
    if response.status >= 400 or not answer.is_success:
        kind = TokenRefused if response.status == HTTPStatus.UNAUTHORIZED else UnableToUseClientApi
        raise kind(
            f"GET {what} at {url} was answered with HTTP {response.status} and OCPI status "
            f"{answer.status_code}: {answer.status_message or 'no message'}."
        )
    return lenient(
        bytes(answer.data),
        expected,
        lambda reason: UnableToUseClientApi(f"GET {what} at {url}: {reason}"),
    )


def lenient(data: bytes, expected: type[T], error: Callable[[str], Exception]) -> T:
    """Read `data` as `expected`, also out of a list of one."""
    try:
        return msgspec.json.decode(data, type=expected)
    except ValueError as first:
        try:
            found = msgspec.json.decode(data, type=list[expected])  # type: ignore[valid-type]
        except ValueError:
            raise error(f"data is not as the specification says: {first}.") from first
        if len(found) != 1:
            raise error(f"data is a list of {len(found)}, expected one object.") from first
        return found[0]
