"""OCPI status codes as exceptions, one class per code (status_codes)."""

from http import HTTPStatus


class OcpiError(Exception):
    """A refusal that the other side reads as an OCPI envelope.

    `message` tells what to change; where that is for the operator alone, `told` is what the other
    side reads of it. `http_status` stays 200 once a request has reached the OCPI layer: "an HTTP
    error status code MUST NOT be returned" (status_codes).
    """

    code = 2000
    http_status = HTTPStatus.OK

    def __init__(
        self,
        message: str,
        *,
        told: str | None = None,
        http_status: HTTPStatus | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.told = message if told is None else told
        self.headers = headers or {}
        if http_status is not None:
            self.http_status = http_status


class ClientError(OcpiError):
    """2000: generic client error."""

    code = 2000


class InvalidParameters(ClientError):
    """2001: invalid or missing parameters."""

    code = 2001


class QuotaReached(ClientError):
    """2000 for a new object of a party at its quota: nothing is wrong with the object."""


class NotEnoughInformation(ClientError):
    """2002: for example an authorization request without LocationReferences."""

    code = 2002


class UnknownLocation(ClientError):
    """2003: for example START_SESSION at an unknown Location."""

    code = 2003


class UnknownToken(ClientError):
    """2004: for example real-time authorization of an unknown Token."""

    code = 2004


class ServerError(OcpiError):
    """3000: generic server error."""

    code = 3000


class UnableToUseClientApi(ServerError):
    """3001: the hub called back during registration and could not use what it got."""

    code = 3001


class UnsupportedVersion(ServerError):
    """3002: no OCPI version in common."""

    code = 3002


class NoMatchingEndpoints(ServerError):
    """3003: endpoints that a role needs are missing."""

    code = 3003


class HubError(OcpiError):
    """4000: generic error while routing."""

    code = 4000


class UnknownReceiver(HubError):
    """4001: the TO address is unknown."""

    code = 4001


class ForwardTimeout(HubError):
    """4002: the message was forwarded, but the request timed out."""

    code = 4002


class ConnectionProblem(HubError):
    """4003: the receiving party is not connected."""

    code = 4003


class NotTaken(ConnectionProblem):
    """4003 for a message that its receiver certainly has not taken."""


class HeldBack(NotTaken):
    """4003 for a message that the hub itself has not sent: its receiver has too many unanswered."""


class NotJson(InvalidParameters):
    """HTTP 400: "When a message does not contain a valid JSON string" (status_codes)."""

    http_status = HTTPStatus.BAD_REQUEST


class NotAuthenticated(ClientError):
    """HTTP 401: no credentials token, or one that nobody here has (transport_and_format)."""

    http_status = HTTPStatus.UNAUTHORIZED


class NotFound(ClientError):
    """HTTP 404: a GET of what does not exist, or a URL that is not an endpoint."""

    http_status = HTTPStatus.NOT_FOUND


class MethodNotAllowed(ClientError):
    """HTTP 405: the method is n/a here, or the registration rules forbid it (credentials)."""

    http_status = HTTPStatus.METHOD_NOT_ALLOWED


class TooManyRequests(ClientError):
    """HTTP 429: more than this platform may have under way; `limit` names which number it was."""

    http_status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, message: str, *, limit: str, retry_after: int = 1) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after)})
        self.limit = limit


class TooLarge(ClientError):
    """HTTP 413: the body is larger than the hub takes."""

    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
