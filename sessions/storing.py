"""The statements by which Sessions are kept, each a single one (sessions/models.py).

Names in them are those of our own table and columns.
"""

IDENTITY = ("country_code", "party_id", "session_id")
EMSP = ("emsp_country_code", "emsp_party_id")
LOOKED_UP = ("token_uid", "token_type", "location_id", "evse_uid", "status")
TOLD = ("last_updated", "put_last_updated", "document", "received_at", "unanswered_by")
UNDERWAY = ("is_accepted", "underway_to", "underway_until", "has_waiting")
STORED = (*IDENTITY, *EMSP, *LOOKED_UP, *TOLD, "sent_to", "created_at", *UNDERWAY)
RETURNED = ("id", *EMSP, *LOOKED_UP, "sent_to", "has_waiting")
CHANGED = (
    *EMSP,
    *LOOKED_UP,
    *("last_updated", "document", "received_at", "sent_to", "is_accepted", "unanswered_by"),
)
_INSERT = f"""
    INSERT INTO ocpi_sessions_session AS kept ({", ".join(STORED)})
    VALUES ({", ".join(f"%({name})s" for name in STORED)})
    ON CONFLICT (upper(country_code), upper(party_id), upper(session_id)) DO UPDATE SET
"""  # noqa: S608 - names of ours
# No row comes back if the receiver has it already.
LEAVES = f"""
    {_INSERT}
        underway_to = CASE WHEN kept.underway_to @> excluded.underway_to THEN kept.underway_to
                           ELSE kept.underway_to || excluded.underway_to END,
        underway_until = greatest(kept.underway_until, excluded.underway_until)
    WHERE NOT (kept.is_accepted AND kept.sent_to @> excluded.underway_to)
    RETURNING kept.xmax = 0
"""
# One statement: two first PUTs at once meet in the index, and no lock is held over a round trip.
# What a document does not say, or spells unreadably, stays as it was known.
KEEP = f"""
    {_INSERT}
        {", ".join(f"{name} = excluded.{name}" for name in TOLD)},
        {
    ", ".join(
        f"{name} = CASE WHEN %(tells_emsp)s OR kept.{name} = '' THEN excluded.{name} "
        f"ELSE kept.{name} END"
        for name in EMSP
    )
},
        {
    ", ".join(f"{name} = coalesce(nullif(excluded.{name}, ''), kept.{name})" for name in LOOKED_UP)
},
        sent_to = CASE WHEN kept.sent_to @> excluded.sent_to THEN kept.sent_to
                       ELSE kept.sent_to || excluded.sent_to END,
        underway_to = array_remove(kept.underway_to, %(receiver)s),
        is_accepted = true
    WHERE NOT kept.is_accepted OR kept.last_updated <= excluded.last_updated
       OR kept.last_updated > %(ahead)s
    RETURNING {", ".join(RETURNED)}
"""
SENT_TOO = """
    UPDATE ocpi_sessions_session SET
        sent_to = CASE WHEN sent_to @> %(sent_to)s::varchar[] THEN sent_to
                       ELSE sent_to || %(sent_to)s::varchar[] END,
        underway_to = array_remove(underway_to, %(receiver)s)
    WHERE upper(country_code) = upper(%(country_code)s) AND upper(party_id) = upper(%(party_id)s)
      AND upper(session_id) = upper(%(session_id)s)
      AND (NOT sent_to @> %(sent_to)s::varchar[] OR underway_to @> %(sent_to)s::varchar[])
"""
CHANGE = f"""
    UPDATE ocpi_sessions_session
    SET {", ".join(f"{name} = %({name})s" for name in CHANGED)} WHERE id = %(id)s
"""  # noqa: S608 - names of ours


# --- From the event loop: of a Session that is known, where nothing else is to be written ---------

_SENT_TO = """
    sent_to = CASE WHEN kept.sent_to @> %(sent_to)s::varchar[] THEN kept.sent_to
                   ELSE kept.sent_to || %(sent_to)s::varchar[] END
"""
# What else the same statement writes needs these.
_KEPT = "kept.id, kept.document"
# A row that another transaction holds is left to a thread, which waits.
_FREE = """(
    SELECT id FROM ocpi_sessions_session
    WHERE upper(country_code) = upper(%(country_code)s::text)
      AND upper(party_id) = upper(%(party_id)s::text)
      AND upper(session_id) = upper(%(session_id)s::text)
    FOR NO KEY UPDATE SKIP LOCKED
)"""


def will_be(name: str) -> str:
    """A column of the Session `kept` once what is told now is in it: EMSP or LOOKED_UP."""
    if name in EMSP:
        return (
            f"CASE WHEN %(tells_emsp)s::boolean OR kept.{name} = '' THEN %({name})s::text "
            f"ELSE kept.{name} END"
        )
    return f"coalesce(nullif(%({name})s::text, ''), kept.{name})"


def keep_known(unless: str) -> str:
    """Keep as KEEP does, a Session that is there, `unless` something depends on it."""
    return f"""
        UPDATE ocpi_sessions_session AS kept SET
            {", ".join(f"{name} = %({name})s" for name in TOLD)},
            {", ".join(f"{name} = {will_be(name)}" for name in (*EMSP, *LOOKED_UP))},
            {_SENT_TO},
            underway_to = array_remove(kept.underway_to, %(receiver)s::varchar),
            is_accepted = true
        WHERE kept.id = {_FREE}
          AND (NOT kept.is_accepted OR kept.last_updated <= %(last_updated)s::timestamptz
               OR kept.last_updated > %(ahead)s::timestamptz)
          AND NOT kept.has_waiting AND NOT ({unless})
        RETURNING {_KEPT}
    """  # noqa: S608 - names of ours


# What a PATCH is merged with, and which version of the row that was.
FIND = """
    SELECT xmin::text, document, last_updated::text, put_last_updated::text
    FROM ocpi_sessions_session
    WHERE upper(country_code) = upper(%(country_code)s::text)
      AND upper(party_id) = upper(%(party_id)s::text)
      AND upper(session_id) = upper(%(session_id)s::text) AND NOT has_waiting
"""


def change_known(unless: str) -> str:
    """Change as CHANGE does, if the row has that version, `unless` something depends on it."""
    return f"""
        UPDATE ocpi_sessions_session AS kept SET
            last_updated = %(last_updated)s, document = %(document)s, received_at = %(received_at)s,
            {", ".join(map(_unless_empty, (*EMSP, *LOOKED_UP)))},
            {_SENT_TO},
            unanswered_by = '', is_accepted = true
        WHERE kept.id = {_FREE} AND kept.xmin = %(version)s::xid
          AND NOT kept.has_waiting AND NOT ({unless})
        RETURNING {_KEPT}
    """  # noqa: S608 - names of ours


def _unless_empty(name: str) -> str:
    return f"{name} = coalesce(nullif(%({name})s::text, ''), kept.{name})"
