"""Refusals of the flex API: an HTTP status, a word that stays, and a sentence (RFC 9457)."""

from http import HTTPStatus

from hub.views import Problem


def not_authenticated(code: str, detail: str) -> Problem:
    """401: without a key that opens anything."""
    headers = {"WWW-Authenticate": 'Bearer realm="flex"'}
    return Problem(HTTPStatus.UNAUTHORIZED, code, detail, headers)


def forbidden(code: str, detail: str) -> Problem:
    """403: the key does not open this."""
    return Problem(HTTPStatus.FORBIDDEN, code, detail)


def not_found(detail: str) -> Problem:
    """404: there is nothing such that this key may see."""
    return Problem(HTTPStatus.NOT_FOUND, "NOT_FOUND", detail)


def invalid(detail: str) -> Problem:
    """400: something in the request cannot be read, or means nothing."""
    return Problem(HTTPStatus.BAD_REQUEST, "INVALID", detail)


def conflict(code: str, detail: str) -> Problem:
    """409: it cannot be done as things are."""
    return Problem(HTTPStatus.CONFLICT, code, detail)
