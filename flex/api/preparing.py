"""Preferences that wait for their session: found, sent once, and until the CPO answers.

ocpi/ocpi#378: an app knows what its driver wants before anybody knows the session. START_SESSION
has no field for it, and gets none: what waits here is PUT as soon as the Session is there. Rows are
the truth: a turn of each second looks, and each step is one conditional statement.
"""

import logging
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from django.db import models, transaction

from flex.api import preferences, wishes
from flex.api.models import Prepared, PreparedState
from flex.api.preferences import Said
from flex.journal import Topic, note
from flex.models import PreferenceCopy
from hub.db import leases, sql
from hub.db.leases import NOW
from hub.ocpi import heads
from hub.ocpi.errors import OcpiError
from hub.ocpi.headers import new_id
from hub.workers import wake
from sessions.models import Session

logger = logging.getLogger(__name__)
# Numbers are given out before their rows are seen: so far back one may still appear.
BEHIND: Final = 500
# Of one CPO at the same time: one that hangs takes no more threads than these.
AT_A_CPO: Final = 2
# Whoever sends has died by then.
_GIVEN_UP: Final = "90 seconds"
# Pauses after no answer: the first, doubled each time, and the most, in seconds.
_PAUSE, _LONGEST = 2, 60
OPEN: Final = (PreparedState.WAITING, PreparedState.DUE, PreparedState.SENDING)
# A session that is this young may have begun while its driver was still typing.
_YOUNG: Final = "15 minutes"
_TABLE: Final = Prepared._meta.db_table


class _Head(msgspec.Struct):
    authorization_reference: Any = None


_read: Final = heads.reader(_Head)


def look_from() -> int:
    """The session from which on one counts as the next."""
    [(first,)] = sql.run(_FIRST)
    return int(first)


_FIRST: Final = f"""
    SELECT coalesce(
        (SELECT min(id) - 1 FROM ocpi_sessions_session WHERE created_at > {NOW} - interval
         '{_YOUNG}'),
        (SELECT max(id) FROM ocpi_sessions_session), 0)
"""  # noqa: S608 - names of ours


def advance() -> None:
    """One turn: what has expired, whose session has come, what is to be sent."""
    if not Prepared.objects.filter(state__in=OPEN).exists():
        return
    _expire()
    _bind()
    for (pk,) in sql.run(_CLAIM, {"most": AT_A_CPO}):
        wake.wake("preferences.send_prepared", pk)


def _expire() -> None:
    now = leases.now()
    over = Prepared.objects.filter(expires_at__lte=now)
    ended = {"state": PreparedState.EXPIRED, "ended_at": now}
    over.filter(state=PreparedState.WAITING).update(**ended, outcome="No session has come in time.")
    # A reservation that has not become a session, or a CPO that has not answered.
    over.filter(state=PreparedState.DUE, outcome="").update(
        **ended, outcome="They could not be sent in time."
    )
    over.filter(state=PreparedState.DUE).update(**ended)


# --- Its session ----------------------------------------------------------------------------------

# Accepted by its eMSP, which alone knows its driver's token; and nobody has asked for it yet.
_FREE: Final = f"""
    kept.is_accepted AND NOT kept.status IN ('COMPLETED', 'INVALID')
    AND NOT EXISTS (SELECT FROM flex_preferencecopy AS told WHERE told.session_id = kept.id)
    AND NOT EXISTS (SELECT FROM {_TABLE} AS other WHERE other.session_id = kept.id)
"""  # noqa: S608 - names of ours
_OF_ITS_EMSP: Final = f"""
    kept.id > waiting.looked_to
    AND upper(kept.emsp_country_code) = upper(waiting.country_code)
    AND upper(kept.emsp_party_id) = upper(waiting.party_id)
    AND kept.created_at > waiting.created_at - interval '{_YOUNG}'
"""
_BY_TOKEN: Final = f"""
    SELECT waiting.id, kept.id
    FROM {_TABLE} AS waiting
    JOIN ocpi_sessions_session AS kept
      ON {_OF_ITS_EMSP} AND upper(kept.token_uid) = upper(waiting.token_uid)
     AND kept.token_type IN ('', waiting.token_type)
    WHERE waiting.state = 'WAITING' AND waiting.token_uid <> '' AND {_FREE}
    ORDER BY waiting.id, kept.id
"""  # noqa: S608 - names of ours
# Which reference a session has stands in its document alone.
_MAY_HAVE_REFERENCE: Final = f"""
    SELECT kept.id, kept.received_at, upper(kept.emsp_country_code), upper(kept.emsp_party_id)
    FROM ocpi_sessions_session AS kept
    WHERE {_FREE} AND EXISTS (
        SELECT FROM {_TABLE} AS waiting
        WHERE waiting.state = 'WAITING' AND waiting.authorization_reference <> ''
          AND {_OF_ITS_EMSP})
    ORDER BY kept.id
"""  # noqa: S608 - names of ours


def _bind() -> None:
    [(newest,)] = sql.run("SELECT coalesce(max(id), 0) FROM ocpi_sessions_session")
    # A Session that nobody took has gone with all that hung on it: it was not theirs.
    Prepared.objects.filter(state=PreparedState.DUE, session__isnull=True).update(
        state=PreparedState.WAITING, due_at=None
    )
    bound: set[int] = set()
    taken: set[int] = set()
    for pk, session in [*sql.run(_BY_TOKEN), *_by_reference()]:
        if pk not in bound and session not in taken and _bound(pk, session):
            bound.add(pk)
            taken.add(session)
    Prepared.objects.filter(state=PreparedState.WAITING, looked_to__lt=newest - BEHIND).update(
        looked_to=newest - BEHIND
    )


def _by_reference() -> list[tuple[int, int]]:
    """Pairs of what waits and a session of the same reference; each document is read once."""
    rows = Prepared.objects.filter(state=PreparedState.WAITING).exclude(authorization_reference="")
    waiting: dict[tuple[str, str, str], int] = {}
    named = rows.order_by("-pk").values_list(
        "pk", "country_code", "party_id", "authorization_reference"
    )
    for pk, country_code, party_id, reference in named:
        waiting[country_code.upper(), party_id.upper(), reference.upper()] = pk
    if not waiting:
        return []
    found = []
    for session, received_at, country_code, party_id in sql.run(_MAY_HAVE_REFERENCE):
        reference = _reference(session, received_at)
        if reference and (country_code, party_id, reference) in waiting:
            found.append((waiting[country_code, party_id, reference], session))
    return found


@lru_cache(maxsize=20_000)
def _reference(session: int, _: datetime) -> str:
    """That of a Session as it was received then, in upper case; empty without one."""
    document = Session.objects.filter(pk=session).values_list("document", flat=True).first()
    told = heads.text(_read(bytes(document or b"{}")).authorization_reference)
    return told.upper()


@transaction.atomic
def _bound(pk: int, session_pk: int) -> bool:
    """It has its session from now on; False: it is not that one, or somebody else was quicker."""
    session = Session.objects.filter(pk=session_pk).first()
    waiting = Prepared.objects.select_for_update(skip_locked=True).filter(
        pk=pk, state=PreparedState.WAITING
    )
    row = waiting.first()
    if row is None or session is None or not session.is_accepted:
        return False
    row.session, row.state, row.due_at = session, PreparedState.DUE, leases.now()
    row.save(update_fields=["session", "state", "due_at"])
    if row.wishes:
        wishes.keep(session, row.wishes)
    return True


# --- To its CPO -----------------------------------------------------------------------------------

# A reservation has no EVSE yet that could be asked; who is over needs nothing any more.
_CLAIM: Final = f"""
    WITH due AS (
        SELECT waiting.id, row_number() OVER (
                   PARTITION BY upper(kept.country_code), upper(kept.party_id)
                   ORDER BY (waiting.state = 'SENDING' AND waiting.due_at > {NOW}) DESC,
                            waiting.due_at
               ) AS place, waiting.due_at <= {NOW} AS is_due
        FROM {_TABLE} AS waiting
        JOIN ocpi_sessions_session AS kept ON kept.id = waiting.session_id
        WHERE waiting.state = 'SENDING'
           OR waiting.state = 'DUE' AND kept.status <> 'RESERVATION' AND waiting.due_at <= {NOW}
    )
    UPDATE {_TABLE} AS waiting
    SET state = 'SENDING', due_at = {NOW} + interval '{_GIVEN_UP}', attempts = attempts + 1
    FROM due
    WHERE due.id = waiting.id AND due.is_due AND due.place <= %(most)s AND waiting.due_at <= {NOW}
    RETURNING waiting.id
"""  # noqa: S608 - names of ours


def send(pk: int) -> None:
    """Send one that was claimed; it is due again where the CPO does not answer."""
    row = (
        Prepared.objects.select_related("session")
        .filter(pk=pk, state=PreparedState.SENDING)
        .first()
    )
    if row is None:
        return
    if row.session is None or row.session.is_over:
        _end(row, PreparedState.ENDED, "The session had ended before they could be sent.")
        return
    if PreferenceCopy.objects.filter(session=row.session, received_at__gt=row.created_at).exists():
        _end(row, PreparedState.REPLACED, "The eMSP has asked for something else meanwhile.")
        return
    attempt, correlation_id = row.attempts, new_id()
    try:
        said = preferences.send_now(row.session, bytes(row.document), correlation_id)
    except OcpiError as error:
        _later(row, attempt, error)
        return
    row.cpo_http_status, row.cpo_status_code = said.http_status, said.status_code
    row.cpo_answer = said.response[:40]
    words = said.shown(str(row.session.owner)).in_words
    _end(row, PreparedState.ANSWERED, words)
    note(
        row.session.pk,
        Topic.PREFERENCES,
        f"Preferences that were given before the session were sent to its CPO: {words}",
        correlation_id=correlation_id,
    )


def _end(row: Prepared, state: PreparedState, outcome: str) -> None:
    row.state, row.outcome, row.ended_at, row.due_at = state, outcome[:400], leases.now(), None
    row.save(
        update_fields=[
            *("state", "outcome", "ended_at", "due_at"),
            *("cpo_http_status", "cpo_status_code", "cpo_answer"),
        ]
    )


def _later(row: Prepared, attempt: int, error: OcpiError) -> None:
    """Once more after a pause; not after its time."""
    said = Said(int(error.http_status), error.code, "")
    owner = str(row.session.owner) if row.session else ""
    words = f"{said.shown(owner).in_words} {error.told}"[:400]
    if row.expires_at <= leases.now():
        _end(row, PreparedState.EXPIRED, words)
        return
    pause = min(_PAUSE * 2 ** min(attempt - 1, 10), _LONGEST)
    sql.run(
        f"UPDATE {_TABLE} SET state = 'DUE', outcome = %s, "  # noqa: S608 - names of ours
        f"due_at = {NOW} + %s * interval '1 second' WHERE id = %s AND state = 'SENDING' "
        "AND attempts = %s",
        (words, float(pause), row.pk, attempt),
    )


# --- By its eMSP ----------------------------------------------------------------------------------


@transaction.atomic
def add(row: Prepared) -> None:
    """Keep it; earlier ones for the same token or reference that still wait are replaced."""
    leases.lock_name(f"prepared of {row.emsp}")
    same = Prepared.objects.filter(
        state=PreparedState.WAITING,
        country_code=row.country_code,
        party_id=row.party_id,
        token_uid__iexact=row.token_uid,
        authorization_reference__iexact=row.authorization_reference,
    )
    if row.token_uid:
        same = same.filter(token_type=row.token_type)
    same.update(
        state=PreparedState.REPLACED, ended_at=leases.now(), outcome="Later ones take their place."
    )
    row.looked_to = look_from()
    row.save(force_insert=True)


def withdraw(rows: "models.QuerySet[Prepared]") -> int:
    """Take back what has not left yet."""
    return rows.filter(state__in=(PreparedState.WAITING, PreparedState.DUE)).update(
        state=PreparedState.WITHDRAWN, ended_at=leases.now(), outcome="Withdrawn."
    )
