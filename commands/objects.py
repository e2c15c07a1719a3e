"""Objects of the Commands module (mod_commands, Object description and Data types)."""

from enum import StrEnum
from typing import Final

import msgspec

from hub.ocpi.datatypes import CiString36, DateTime, DisplayText, Id36, Url
from tokens.objects import Token


class CommandResponseType(StrEnum):
    """mod_commands: CommandResponseType ; the Receiver's immediate answer."""

    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    ACCEPTED = "ACCEPTED"
    UNKNOWN_SESSION = "UNKNOWN_SESSION"


class CommandResultType(StrEnum):
    """mod_commands: CommandResultType ; what the Charge Point said, posted later."""

    ACCEPTED = "ACCEPTED"
    CANCELED_RESERVATION = "CANCELED_RESERVATION"
    EVSE_OCCUPIED = "EVSE_OCCUPIED"
    EVSE_INOPERATIVE = "EVSE_INOPERATIVE"
    FAILED = "FAILED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    TIMEOUT = "TIMEOUT"
    UNKNOWN_RESERVATION = "UNKNOWN_RESERVATION"


class CommandType(StrEnum):
    """mod_commands: CommandType."""

    CANCEL_RESERVATION = "CANCEL_RESERVATION"
    RESERVE_NOW = "RESERVE_NOW"
    START_SESSION = "START_SESSION"
    STOP_SESSION = "STOP_SESSION"
    UNLOCK_CONNECTOR = "UNLOCK_CONNECTOR"


class CancelReservation(msgspec.Struct):
    """mod_commands: CancelReservation object."""

    response_url: Url
    reservation_id: Id36


class ReserveNow(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_commands: ReserveNow object."""

    response_url: Url
    token: Token
    expiry_date: DateTime
    reservation_id: Id36
    location_id: Id36
    evse_uid: Id36 | None = None
    authorization_reference: CiString36 | None = None


class StartSession(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_commands: StartSession object."""

    response_url: Url
    token: Token
    location_id: Id36
    evse_uid: Id36 | None = None
    connector_id: Id36 | None = None
    authorization_reference: CiString36 | None = None

    def __post_init__(self) -> None:
        """`evse_uid` is "Required when `connector_id` is set"."""
        if self.connector_id is not None and self.evse_uid is None:
            raise ValueError("evse_uid is required when connector_id is set")


class StopSession(msgspec.Struct):
    """mod_commands: StopSession object."""

    response_url: Url
    session_id: Id36


class UnlockConnector(msgspec.Struct):
    """mod_commands: UnlockConnector object."""

    response_url: Url
    location_id: Id36
    evse_uid: Id36
    connector_id: Id36


Command = CancelReservation | ReserveNow | StartSession | StopSession | UnlockConnector
# The body that each {command} of the URL takes.
COMMANDS: Final[dict[CommandType, type[Command]]] = {
    CommandType.CANCEL_RESERVATION: CancelReservation,
    CommandType.RESERVE_NOW: ReserveNow,
    CommandType.START_SESSION: StartSession,
    CommandType.STOP_SESSION: StopSession,
    CommandType.UNLOCK_CONNECTOR: UnlockConnector,
}


class CommandResponse(msgspec.Struct, omit_defaults=True):
    """mod_commands: CommandResponse object; `timeout` in seconds."""

    result: CommandResponseType
    timeout: int
    message: list[DisplayText] | None = None


class CommandResult(msgspec.Struct, omit_defaults=True):
    """mod_commands: CommandResult object."""

    result: CommandResultType
    message: list[DisplayText] | None = None
