"""Refusals of the admin API: an HTTP status, a word that stays, and a sentence (RFC 9457)."""

from http import HTTPStatus

from hub.views import Problem


def invalid(detail: str) -> Problem:
    """400: something in the request cannot be read, or means nothing."""
    return Problem(HTTPStatus.BAD_REQUEST, "INVALID", detail)


def not_found(detail: str) -> Problem:
    """404: there is nothing such that this key may see."""
    return Problem(HTTPStatus.NOT_FOUND, "NOT_FOUND", detail)


def conflict(detail: str) -> Problem:
    """409: it cannot be done as things are."""
    return Problem(HTTPStatus.CONFLICT, "CONFLICT", detail)
