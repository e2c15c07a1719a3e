"""What a party is told while the database is busy or away (status_codes, 3xxx)."""

import logging

import django.db
import psycopg

from hub.ocpi.errors import ServerError

logger = logging.getLogger(__name__)
# Other transactions held what a statement needs for longer than it may take (hub/settings.py).
_BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
# Classes of SQLSTATE: connection exceptions, no more connections, an operator's intervention.
_AWAY = ("08", "53", "57P")


def refusal_of(error: BaseException, what: str) -> ServerError | None:
    """ServerError (3000) with Retry-After, and a line in the log; None for any other error.

    Whether the database did what it was asked for just before it went is not known.
    """
    cause = error.__cause__ if isinstance(error, django.db.DatabaseError) else error
    if isinstance(cause, _BUSY):
        said = "The hub's database did not get to this in time: send it again in a moment."
    elif _is_away(error, cause):
        said = "The hub's database is away: send it again in a moment."
    else:
        return None
    logger.warning("%s: %s", what, f"{cause or error}".partition("\n")[0])
    return ServerError(said, headers={"Retry-After": "1"})


def _is_away(error: BaseException, cause: BaseException | None) -> bool:
    """Whether a connection could not be made, or was lost."""
    if isinstance(error, django.db.InterfaceError | psycopg.InterfaceError):
        return True  # "the connection is closed"
    if not isinstance(cause, psycopg.OperationalError):
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(_AWAY)
