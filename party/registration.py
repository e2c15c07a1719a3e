"""The credentials handshake from both sides (credentials, versions)."""

import secrets
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

import aiohttp
import msgspec

from hub.ocpi.configuration import Credentials, Version, VersionDetails
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.errors import MethodNotAllowed, UnableToUseClientApi, UnsupportedVersion
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import VERSION
from party.connection import Connection
from party.messages import Answered, Handler, Received, Reply

if TYPE_CHECKING:
    from party.ocpi_platform import Platform

T = TypeVar("T")


class RegistrationFailed(Exception):
    """The handshake did not come about; `answer` is what the other side said last."""

    def __init__(self, message: str, answer: Answered | None = None) -> None:
        super().__init__(message)
        self.answer = answer


async def register(
    platform: "Platform", versions_url: str, token_a: str, base64_encoded: bool
) -> Connection:
    """Versions, version details, POST of our credentials."""
    connection = Connection(versions_url, sends=token_a, base64_encoded=base64_encoded)
    await discover(platform, connection)
    await _exchange(platform, connection, "POST")
    platform.connections.append(connection)
    return connection


async def update(platform: "Platform", connection: Connection) -> Connection:
    """Versions, version details, PUT of our credentials with a new token."""
    await discover(platform, connection)
    former = connection.accepts
    await _exchange(platform, connection, "PUT")
    platform.by_token.pop(former, None)
    return connection


async def unregister(platform: "Platform", connection: Connection) -> Answered:
    """DELETE; the connection is gone when the other side agrees."""
    answer = await platform.call(
        "credentials", InterfaceRole.SENDER, "DELETE", connection=connection
    )
    if answer.is_success:
        _drop(platform, connection)
    return answer


async def discover(platform: "Platform", connection: Connection) -> None:
    """Fetch the version details, the only source of the other side's URLs."""
    versions = await _get(platform, connection, connection.versions_url, list[Version])
    urls = [version.url for version in versions if version.version == VERSION]
    if not urls:
        raise UnsupportedVersion(f"{connection.versions_url} does not offer {VERSION}.")
    details = await _get(platform, connection, urls[0], VersionDetails)
    connection.endpoints = details.endpoints


async def _get(platform: "Platform", connection: Connection, url: str, expected: type[T]) -> T:
    answer = await platform.send("GET", url, connection=connection)
    return _data(answer, expected, f"GET {url}")


async def _exchange(platform: "Platform", connection: Connection, method: str) -> None:
    accepts = secrets.token_urlsafe(32)
    # The other side calls back with this token before it answers.
    platform.by_token[accepts] = connection
    try:
        answer = await platform.call(
            "credentials",
            InterfaceRole.SENDER,
            method,
            connection=connection,
            body=platform.credentials(accepts),
        )
        theirs = _data(answer, Credentials, f"{method} credentials")
    except (RegistrationFailed, aiohttp.ClientError, TimeoutError):
        del platform.by_token[accepts]
        raise
    connection.accepts = accepts
    _take(connection, theirs)


def _take(connection: Connection, theirs: Credentials) -> None:
    connection.sends = theirs.token
    connection.versions_url = theirs.url
    connection.roles = {
        (PartyId.of(role.country_code, role.party_id), Role(role.role)) for role in theirs.roles
    }


def _data(answer: Answered, expected: type[T], what: str) -> T:
    if not answer.is_success:
        said = (answer.envelope or {}).get("status_message", "")
        raise RegistrationFailed(
            f"{what}: HTTP {answer.http_status}, OCPI {answer.status_code} {said}", answer
        )
    data: Any = answer.data
    if isinstance(data, list) and len(data) == 1 and get_origin(expected) is not list:
        data = data[0]
    try:
        return msgspec.convert(data, expected)
    except msgspec.ValidationError as error:
        raise RegistrationFailed(f"{what}: {error}", answer) from error


def _drop(platform: "Platform", connection: Connection) -> None:
    platform.by_token.pop(connection.accepts, None)
    if connection in platform.connections:
        platform.connections.remove(connection)


def handlers(platform: "Platform") -> dict[str, Handler]:
    """The credentials module as Receiver."""

    def known(message: Received) -> Connection:
        if message.connection is None:
            raise MethodNotAllowed("There is no registration.")
        return message.connection

    def is_invited(connection: Connection) -> bool:
        return connection.accepts in platform.invitations

    async def accept(connection: Connection, message: Received) -> Reply:
        theirs = message.read(Credentials)
        candidate = Connection(
            theirs.url, sends=theirs.token, base64_encoded=connection.base64_encoded
        )
        try:
            await discover(platform, candidate)
        except (RegistrationFailed, aiohttp.ClientError, TimeoutError) as error:
            raise UnableToUseClientApi(str(error)) from error
        _take(connection, theirs)
        connection.endpoints = candidate.endpoints
        former, connection.accepts = connection.accepts, secrets.token_urlsafe(32)
        platform.by_token[connection.accepts] = connection
        platform.by_token.pop(former, None)
        platform.invitations.discard(former)
        return Reply(platform.credentials(connection.accepts))

    async def get(message: Received) -> Reply:
        return Reply(platform.credentials(known(message).accepts))

    async def post(message: Received) -> Reply:
        connection = known(message)
        if not is_invited(connection):
            raise MethodNotAllowed("Already registered; use PUT.")
        reply = await accept(connection, message)
        platform.connections.append(connection)
        return reply

    async def put(message: Received) -> Reply:
        connection = known(message)
        if is_invited(connection):
            raise MethodNotAllowed("Not registered yet; use POST.")
        return await accept(connection, message)

    async def delete(message: Received) -> Reply:
        connection = known(message)
        if is_invited(connection):
            raise MethodNotAllowed("Not registered.")
        _drop(platform, connection)
        return Reply()

    return {"GET": get, "POST": post, "PUT": put, "DELETE": delete}
