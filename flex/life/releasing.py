"""The hub releases a session to its full rate, until the CPO has taken it (decision 0037).

By DELETE, or where this CPO does not take that, by a full-rate profile. Not held up by what a CPO
refused as TOO_OFTEN: only by the command that is on its way (charging_profiles/order.py).
"""

import logging
from typing import Any, Final

import msgspec
from django.db import transaction

from charging_profiles import order
from charging_profiles.models import ProfileCommand
from flex.full_rate import FullRates
from flex.journal import Topic, note
from flex.knowledge.profiles import Profile
from flex.life import asking, means, unknown
from flex.life.judging import Released, released
from flex.life.locking import lock
from flex.life.models import OPEN, HubCommand, Step, WhyNot, Wish
from flex.life.sending import CannotSend, newest_epoch, send
from flex.life.table import RELEASE, Next, how_it_ended
from flex.sites import rejecting
from hub.db import leases, sql
from hub.ocpi.party import PartyId
from sessions.models import Session

logger = logging.getLogger(__name__)
# Seconds before it is sent once more: the first, doubled each time, and the most.
PAUSE: Final = 5.0
LONGEST: Final = 60.0


def release(session: Session, why: str, *, former: PartyId | None = None) -> HubCommand:
    """As flex.hub_commands says."""
    with transaction.atomic():
        lock(session.pk)
        row = HubCommand.objects.filter(session=session, wish=Wish.RELEASE, step__in=OPEN).first()
        if row is not None and row.epoch == newest_epoch(session):
            return row
        if row is not None:
            row.end(Step.DONE, "replaced by one under a later assignment")
        row = asking.new(session, Wish.RELEASE, why, leases.now(), former)
        note(session.pk, Topic.RELEASE, f"The hub releases the session: {why}", fsp=str(row.fsp))
    return row


def pause(attempts: int) -> float:
    """Seconds until it is sent once more, after so many attempts."""
    return float(min(PAUSE * 2 ** min(max(attempts - 1, 0), 10), LONGEST))


# --- Step by step ---------------------------------------------------------------------------------


def go_on(row: HubCommand, rates: FullRates) -> None:
    """One step of a release; in the caller's transaction, which has its row locked."""
    if row.session.is_over:
        _end(row, Step.DONE, "The session has ended.")
    elif row.step == Step.DUE:
        _send(row, rates)
    elif row.step == Step.AT_CPO:
        _answered(row)
    else:
        _verified(row, rates)


_NEWER: Final = f"""
    SELECT state IN ('WAITING', 'SENDING'), state, method
    FROM {ProfileCommand._meta.db_table} AS command
    WHERE lane = %(lane)s AND method <> 'GET' AND purpose = '' AND created_at > %(asked_at)s
      AND state NOT IN ('REFUSED', 'UNREACHABLE', 'RESULT_REJECTED', 'SUPERSEDED')
      AND {{is_current}}
    ORDER BY id DESC LIMIT 1
"""  # noqa: S608 - names of ours


def _send(row: HubCommand, rates: FullRates) -> None:
    if unknown.is_unknown(row.session):
        row.again(LONGEST)
        return
    if newest_epoch(row.session) > row.epoch:
        _end(row, Step.DONE, "Another assignment has begun meanwhile; it decides.")
        return
    newer = sql.run(
        _NEWER.format(is_current=order.is_current("command")),
        {
            "lane": order.lane_of(row.session.owner, row.session.session_id),
            "asked_at": row.asked_at,
        },
    )
    if newer and newer[0][0]:
        row.again(1.0)  # Its end says whether there is anything left to release.
    elif newer:
        _end(row, Step.DONE, f"Its FSP has sent a {newer[0][2]} of its own meanwhile.")
    else:
        _send_by(row, means.of(row, rates))


def _send_by(row: HubCommand, chosen: means.Means | None) -> None:
    if chosen is None:
        _tell(row, "this CPO takes no DELETE, and the full rate of the session is not known.")
        row.attempts += 1
        row.refused_means = ""  # A CPO may change its mind.
        row.again(pause(row.attempts))
        return
    if (why_not := _breaks(row, chosen)) is not None:
        _tell(row, why_not)
        row.attempts += 1
        row.again(pause(row.attempts))
        return
    try:
        row.sent(send(row, chosen.method, chosen.body))
    except CannotSend as why:
        _tell(row, str(why))
        row.attempts += 1
        row.again(pause(row.attempts))


def _breaks(row: HubCommand, chosen: means.Means) -> str | None:
    """Whether a site whose CPO rejects what breaks its limit has no room for it yet."""
    if chosen.method != "PUT":
        return None
    profile = Profile.read(msgspec.json.encode(chosen.body), leases.now())
    return None if profile is None else rejecting.breaks(row.session, profile)


def _answered(row: HubCommand) -> None:
    command = row.command
    if command is None:
        row.again(0.0)
        return
    how = how_it_ended(command)
    then = RELEASE.get(how)
    if then is None:
        return  # Still on its way.
    note(
        row.session_id,
        Topic.RELEASE,
        f"The hub's {command.method} to release the session ended as {how}: it is {then}.",
        attempts=row.attempts,
    )
    if then == Next.VERIFY:
        why = f"whether the session is released by the {command.method}"
        row.step, row.verified_by = (
            Step.VERIFYING,
            asking.ask_active(row.session, why, since=leases.now(), former=row.fsp),
        )
        row.save()
    elif then == Next.WHEN_HEARD:
        _tell(row, "the CPO does not know the session.")
        unknown.mark(row.session)
        row.again(pause(row.attempts))
    elif then == Next.OTHER_MEANS:
        _by_other_means(row, command.method, f"it ended as {how}")
    elif then == Next.RECONSIDER:
        row.again(0.0)
    else:
        if row.attempts > 2:
            _tell(row, f"its {command.method} ended as {how}; the hub goes on trying.")
        row.again(pause(row.attempts))


def _by_other_means(row: HubCommand, method: str, why: str) -> None:
    first = not row.refused_means
    if method not in row.refused_means:
        row.refused_means = f"{row.refused_means} {method}".strip()
    if not first:
        _tell(row, f"neither DELETE nor a full-rate profile is taken: {why}.")
    row.again(0.0 if first else pause(row.attempts))


def _verified(row: HubCommand, rates: FullRates) -> None:
    ask, session, now = row.verified_by, row.session, leases.now()
    if ask is None or ask.step == Step.FAILED or ask.command is None:
        why = "" if ask is None else ask.outcome
        _tell(row, f"the CPO has taken it, but it cannot be verified: {why}")
        _end(row, Step.DONE, "The CPO has taken it; that cannot be verified.")
        return
    active = None
    if ask.command.result == "ACCEPTED":
        active = Profile.read(bytes(ask.command.result_body), ask.command.result_at or now)
    former = means.profile_before(row)
    found = released(active, former, rates.of(session), now)
    if found == Released.STILL_LIMITED:
        by = "" if row.command is None else row.command.method
        if by == "DELETE":
            means.learn(session, by, WhyNot.IGNORED)
        _by_other_means(row, by, "the former profile is active still")
        note(session.pk, Topic.RELEASE, f"The hub has verified its {by}: {found}.")
        return
    _end(row, Step.DONE, f"Verified by a GET of the active profile: {found}.")


def _end(row: HubCommand, step: Step, outcome: str, **detail: Any) -> None:
    row.end(step, outcome)
    note(row.session_id, Topic.RELEASE, f"The release by the hub has ended. {outcome}", **detail)


def _tell(row: HubCommand, why: str) -> None:
    """Tell the operator, once a release."""
    if row.is_told:
        return
    row.is_told = True
    text = f"The hub cannot release the session as it should: {why}"
    note(row.session_id, Topic.RELEASE, text, attention=True)
    logger.warning("session %s of %s: %s", row.session.session_id, row.session.owner, text)
