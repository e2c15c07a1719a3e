"""Asking a CPO for the active profile of a session: one GET serves all who ask.

mod_charging_profiles, Receiver, GET; docs/decisions/0037.
"""

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from charging_profiles import verification
from charging_profiles.models import ProfileCommand, Purpose
from flex.journal import Topic, note
from flex.life import means, spacing, unknown
from flex.life.locking import lock
from flex.life.models import OPEN, HubCommand, Step, Wish
from flex.life.sending import CannotSend, in_whose_name, newest_epoch, send
from flex.life.table import follows, how_it_ended
from hub.db import leases, sql
from hub.ocpi.party import PartyId
from sessions.models import Session

# A GET that went so short a time ago serves as well as a new one.
JUST_NOW: Final = timedelta(seconds=5)
# What a CPO did not answer, or not yet, is asked so often, after so many seconds.
ATTEMPTS: Final = 3
PAUSE: Final = 10.0
# Whoever waits behind a newer wish looks again after so long.
PATIENCE: Final = timedelta(seconds=1)
_AGAIN: Final = frozenset({"TOO_OFTEN", "UNREACHABLE", "TIMED_OUT"})


def ask_active(
    session: Session, why: str, *, since: datetime | None = None, former: PartyId | None = None
) -> HubCommand:
    """As flex.hub_commands says."""
    since = since or leases.now() - JUST_NOW
    with transaction.atomic():
        lock(session.pk)
        row = _that_serves(session, since)
        if row is None:
            row = new(session, Wish.ASK, why, since, former)
            note(session.pk, Topic.COMMAND, f"The hub asks for the active profile: {why}")
        elif row.step == Step.DUE and row.since < since:
            row.since, row.why = since, why[:300]
            row.save(update_fields=["since", "why"])
    return row


def _that_serves(session: Session, since: datetime) -> HubCommand | None:
    """An open ask whose GET has not left, or left late enough."""
    for row in HubCommand.objects.filter(session=session, wish=Wish.ASK, step__in=OPEN):
        sent = row.command.sent_at if row.command else None
        if row.step == Step.DUE or (row.command and (sent is None or sent >= since)):
            return row
    return None


def new(
    session: Session, wish: Wish, why: str, since: datetime, former: PartyId | None
) -> HubCommand:
    """A wish that is due."""
    fsp, now = former or in_whose_name(session), leases.now()
    return HubCommand.objects.create(
        session=session,
        wish=wish,
        why=why[:300],
        fsp_country_code=fsp.country_code,
        fsp_party_id=fsp.party_id,
        epoch=newest_epoch(session),
        since=since,
        due_at=now,
        asked_at=now,
    )


# --- Step by step ---------------------------------------------------------------------------------


def go_on(row: HubCommand) -> None:
    """One step of an ask; in the caller's transaction, which has its row locked."""
    if row.step == Step.DUE:
        _ask(row)
    else:
        _judge(row)


def _ask(row: HubCommand) -> None:
    if row.session.is_over:
        row.end(Step.DONE, "the session has ended")
        return
    serving = _on_its_way(row)
    if serving is not None:
        row.sent(serving)
        return
    if unknown.is_unknown(row.session):
        _fail(row, "The CPO does not know the session.")
        return
    if means.is_not_taken(row.session, "GET"):
        _fail(row, "The EVSE or the CPO does not support it (NOT_SUPPORTED).")
        return
    wait = 0.0 if _has_just_cleared(row.session_id) else spacing.seconds_until_get(row.session)
    if wait > 0:
        row.again(wait)  # A newer wish meanwhile is this one.
        return
    try:
        row.sent(send(row, "GET", {"duration": verification.DURATION}))
    except CannotSend as why:
        _fail(row, str(why))


_CLEARED: Final = f"""
    SELECT EXISTS (
        SELECT FROM {ProfileCommand._meta.db_table}
        WHERE session_id = %(session)s AND purpose = 'CLEAR' AND id > coalesce((
            SELECT max(id) FROM {ProfileCommand._meta.db_table}
            WHERE session_id = %(session)s AND method = 'GET'), 0))
"""  # noqa: S608 - names of ours


def _has_just_cleared(session: int) -> bool:
    """The hub has cleared a profile and not asked since: it may have taken the other one away."""
    return bool(sql.run(_CLEARED, {"session": session})[0][0])


_SERVES: Final = f"""
    SELECT id FROM {ProfileCommand._meta.db_table}
    WHERE session_id = %s AND method = 'GET'
      AND (state IN ('WAITING', 'SENDING') OR sent_at >= %s
           AND (state = 'ACCEPTED' OR result IN ('ACCEPTED', 'UNKNOWN')))
    ORDER BY created_at DESC LIMIT 1
"""  # noqa: S608 - names of ours


def _on_its_way(row: HubCommand) -> ProfileCommand | None:
    """A GET of anybody's that has left late enough and may still tell, or has told."""
    found = sql.run(_SERVES, (row.session_id, row.since))
    return ProfileCommand.objects.filter(pk=found[0][0]).first() if found else None


def _judge(row: HubCommand) -> None:
    command = row.command
    if command is None:
        _again(row, 0.0)
        return
    if command.result in {"ACCEPTED", "UNKNOWN"}:
        told = "it has told it" if command.result == "ACCEPTED" else "no profile is active"
        row.end(Step.DONE, told)
        note(row.session_id, Topic.COMMAND, f"The CPO was asked for the active profile: {told}.")
        return
    how = how_it_ended(command)
    if command.purpose != Purpose.ASK or command.verifies_id is not None:
        _again(row, 0.0)  # That of another party did not tell: the hub asks itself.
    elif how in _AGAIN and row.attempts < ATTEMPTS:
        _again(row, PAUSE)
    else:
        _fail(row, f"{how}: {follows('GET', how).reason}")


def _again(row: HubCommand, seconds: float) -> None:
    """It is sent once more; where a newer wish waits to be sent, after that, whose GET may serve.

    One wish of a session waits at a time: this one stands where it does, without a request.
    """
    waiting = HubCommand.objects.filter(session=row.session_id, wish=Wish.ASK, step=Step.DUE)
    newer = waiting.exclude(pk=row.pk).first()
    if newer is None:
        row.again(seconds)
    else:
        row.command, row.due_at = None, max(newer.due_at, leases.now() + PATIENCE)
        row.save(update_fields=["command", "due_at"])


def _fail(row: HubCommand, why: str) -> None:
    row.end(Step.FAILED, why)
    note(row.session_id, Topic.COMMAND, f"The active profile cannot be asked for. {why}")
