"""The sending party of a request, and whether it may send (transport_and_format, routing)."""

from http import HTTPStatus

from hub.ocpi.datatypes import ConnectionStatus
from hub.ocpi.errors import ClientError, InvalidParameters
from hub.ocpi.party import PartyId
from hub.routing import owners
from hub.routing.directory import Directory, PlatformEntry
from hub.routing.request import Address, OcpiRequest


def sending_party(request: OcpiRequest, directory: Directory) -> PartyId:
    """The sending party: FROM, else the platform's only one, else the owner that the URL names.

    Refuses a FROM that is not a party of the sending platform (2001) and a suspended sender (403).
    """
    sender = _sending_party(request)
    check_may_send(directory, sender)
    return sender


def check_may_send(directory: Directory, sender: PartyId) -> None:
    """Refuse (HTTP 403) a party that the operator has suspended, or has not agreed to."""
    entry = directory.parties.get(sender)
    if entry is not None and entry.status == ConnectionStatus.SUSPENDED:
        raise ClientError(
            f"{sender} is suspended by the operator of this hub.", http_status=HTTPStatus.FORBIDDEN
        )
    if entry is not None and entry.status == ConnectionStatus.PLANNED:
        raise _planned(sender)


def _planned(sender: PartyId) -> ClientError:
    return ClientError(
        f"{sender} is PLANNED: your credentials name it in no role that the operator of this hub "
        "has agreed to.",
        http_status=HTTPStatus.FORBIDDEN,
    )


def named_sender(address: Address, platform: PlatformEntry) -> PartyId:
    """The party in FROM; InvalidParameters (2001) when it is not one of the sending platform."""
    sender = address.party("OCPI-from")
    if sender in platform.claims:
        raise _planned(sender)
    if sender not in platform.parties:
        raise InvalidParameters(
            f"OCPI-from names {sender}, which is not a party of your platform; it has "
            f"{', '.join(map(str, platform.parties))}."
        )
    return sender


def _sending_party(request: OcpiRequest) -> PartyId:
    own = request.platform.parties
    if request.from_address is not None:
        return named_sender(request.from_address, request.platform)
    if len(own) == 1:
        return own[0]
    if not own:
        raise ClientError(
            "No party of your platform is agreed to by the operator of this hub.",
            http_status=HTTPStatus.FORBIDDEN,
        )
    if "country_code" in request.place.ids and (owner := owners.in_url(request.place)) in own:
        return owner
    raise InvalidParameters(
        "OCPI-from-country-code and OCPI-from-party-id are missing, and your platform has several "
        f"parties: {', '.join(map(str, own))}."
    )
