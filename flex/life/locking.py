"""The order of locks of the hub's own commands.

Session (shared, so that it stays), then the name of its commands, then rows of this room. Whoever
has the Session's row already takes the name after it, too.
"""

from hub.db import leases, sql


def lock(session: int) -> None:
    """Nobody else changes the hub's own commands of a session until the transaction ends."""
    sql.run("SELECT FROM ocpi_sessions_session WHERE id = %s FOR KEY SHARE", (session,))
    leases.lock_name(f"hub command {session}")
