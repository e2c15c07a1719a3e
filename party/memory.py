"""A registration that outlives its process, so that a restart needs no new handshake."""

import os
from pathlib import Path

import aiohttp
import msgspec

from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.party import PartyId
from party import registration
from party.connection import Connection
from party.ocpi_platform import Platform
from party.registration import RegistrationFailed


class Remembered(msgspec.Struct):
    """What the file holds; it contains credentials tokens, so only its owner may read it."""

    port: int
    our_versions_url: str
    versions_url: str
    sends: str
    accepts: str
    base64_encoded: bool
    roles: list[tuple[str, str, Role]]


def read(path: Path) -> Remembered | None:
    """None when nothing was remembered, or nothing that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Remembered)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write(platform: Platform, connection: Connection, path: Path) -> None:
    """Replaces the file in one step."""
    remembered = Remembered(
        port=platform.port,
        our_versions_url=platform.versions_url,
        versions_url=connection.versions_url,
        sends=connection.sends,
        accepts=connection.accepts,
        base64_encoded=connection.base64_encoded,
        roles=[(party.country_code, party.party_id, role) for party, role in connection.roles],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(remembered)))
    beside.replace(path)


async def resume(platform: Platform, remembered: Remembered) -> Connection | None:
    """The former connection, when the other side still knows it; else None and nothing is kept.

    A network failure raises: then nobody knows whether the registration still holds.
    """
    connection = Connection(
        remembered.versions_url,
        sends=remembered.sends,
        accepts=remembered.accepts,
        base64_encoded=remembered.base64_encoded,
        roles={(PartyId.of(country, party), role) for country, party, role in remembered.roles},
    )
    platform.by_token[connection.accepts] = connection
    try:
        await registration.discover(platform, connection)
        answer = await platform.call(
            "credentials", InterfaceRole.SENDER, "GET", connection=connection
        )
        if not answer.is_success:
            raise RegistrationFailed("the credentials are no longer valid", answer)
        if remembered.our_versions_url != platform.versions_url:
            await registration.update(platform, connection)
    except RegistrationFailed:
        platform.by_token.pop(connection.accepts, None)
        return None
    except (aiohttp.ClientError, TimeoutError):
        platform.by_token.pop(connection.accepts, None)
        raise
    platform.connections.append(connection)
    return connection
