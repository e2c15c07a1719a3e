"""What is known of a switch, out of the rows of commands, asks and assignments."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from charging_profiles.models import CommandState, ProfileCommand, Purpose
from charging_profiles.verification import DOUBT, DOUBTFUL
from flex.full_rate import full_rate
from flex.knowledge.active import baseline
from flex.knowledge.profiles import Profile
from flex.life import means
from flex.life.models import HubCommand
from flex.life.models import Step as Life
from flex.models import FspAssignment
from flex.switching.models import CpoSlots, FspSwitch
from flex.switching.steps import Asked, Facts, Former, Put, Slots, Step
from hub.ocpi.party import PartyId
from sessions.models import Session

_MOST: Final = 300
_ON_ITS_WAY: Final = (CommandState.WAITING, CommandState.SENDING, CommandState.ACCEPTED)
_WITHOUT_EFFECT: Final = (
    *(CommandState.REFUSED, CommandState.SUPERSEDED, CommandState.RESULT_REJECTED),
)
_DONE: Final = (CommandState.RESULT_ACCEPTED, CommandState.RESULT_UNKNOWN)


class Known:
    """The facts of one switch, and the commands that they came from."""

    def __init__(self, switch: FspSwitch, now: datetime) -> None:
        session = switch.session
        self.current = FspAssignment.current(session)
        fsp = None if self.current is None else self.current.fsp
        slots = CpoSlots.of(session.owner)
        sent = list(reversed(_changes(session.pk)))
        self.put = None if self.current is None else _last_of(sent, self.current, switch.since)
        if self.put is not None and self.put.pk != switch.looked_at:
            self._begins_anew(switch)
        doubt_until = _doubt_until(sent, self.put)
        if switch.step == Step.RELEASING:
            doubt_until = _doubt_after(sent, switch.release)
        asked, active, is_none = _asked(switch)
        if asked is Asked.ANSWERED and _is_too_old(switch, doubt_until, now):
            asked = Asked.NOT_YET
        self.facts = Facts(
            step=Step(switch.step),
            since=_since(switch, self.current),
            is_over=session.is_over,
            is_party=fsp is not None,
            former=_former(sent, fsp, switch, slots),
            put=_put(self.put),
            is_delete=self.put is not None and self.put.method == "DELETE",
            put_ended=_ended(self.put),
            is_accepted=self.put is not None and self.put.state == CommandState.EXPIRED,
            new=_profile(self.put),
            asked=asked,
            asked_at=switch.ask.since if switch.ask else None,
            active=active,
            is_none_active=is_none,
            doubt_until=doubt_until,
            tries=switch.tries,
            sent_again=switch.sent_again,
            cleared=frozenset(PartyId.parse(one) for one in switch.cleared),
            slots=slots,
            full=_full(session, now) if asked is Asked.ANSWERED else {},
            is_released=_is_released(switch),
        )
        self.is_cleared = switch.step == Step.CLEARING and asked is Asked.ANSWERED

    def _begins_anew(self, switch: FspSwitch) -> None:
        """The new FSP has sent another command: what was asked of the one before says nothing."""
        assert self.put is not None  # noqa: S101 - narrows for mypy
        switch.looked_at, switch.ask, switch.clear = self.put.pk, None, None
        switch.tries = 0
        if self.put.purpose != Purpose.AGAIN:
            switch.sent_again = 0
        if switch.step in {Step.ASKED, Step.CLEARING}:
            switch.step = Step.GIVEN.value


def _changes(session: int) -> list[ProfileCommand]:
    """PUTs and DELETEs of a session, the last first."""
    found = ProfileCommand.objects.filter(session=session).exclude(method="GET")
    return list(found.order_by("-created_at", "-pk")[:_MOST])


def _since(switch: FspSwitch, current: FspAssignment | None) -> datetime:
    """Since when the FSP may have acted: after nobody, later than the switch."""
    return switch.since if current is None else max(switch.since, current.started_at)


def _last_of(
    sent: Sequence[ProfileCommand], current: FspAssignment, since: datetime
) -> ProfileCommand | None:
    """The last command of the FSP; one that had an effect before one that was refused.

    Who became FSP by its first accepted PUT has sent that under no assignment, since nobody was.
    """

    def is_own(one: ProfileCommand) -> bool:
        is_first = current.is_first_put and not one.epoch and one.fsp == current.fsp
        return one.epoch == current.epoch or (is_first and one.created_at >= since)

    own = [one for one in sent if is_own(one) and one.purpose in {"", Purpose.AGAIN}]
    for command in reversed(own):
        if command.state in _ON_ITS_WAY or _put(command) is not Put.REFUSED:
            return command
    return own[-1] if own else None


def _put(command: ProfileCommand | None) -> Put:
    if command is None:
        return Put.NONE
    if command.state in _ON_ITS_WAY:
        return Put.ON_ITS_WAY
    said = command.result  # Also one that came late.
    if command.state in _WITHOUT_EFFECT or said == "REJECTED":
        return Put.REFUSED
    if command.state == CommandState.UNREACHABLE and command.sent_at is None:
        return Put.REFUSED
    if command.method == "DELETE":
        return Put.DELETED if said in {"ACCEPTED", "UNKNOWN"} else Put.UNSURE
    return Put.TAKEN if said == "ACCEPTED" else Put.UNSURE


def _ended(command: ProfileCommand | None) -> datetime | None:
    """When a command without a result came to its end."""
    return None if command is None else command.result_by or command.answered_at


def _profile(command: ProfileCommand | None) -> Profile | None:
    if command is None or command.method != "PUT":
        return None
    return Profile.read(bytes(command.body), command.created_at)


def _former(
    sent: Sequence[ProfileCommand], fsp: PartyId | None, switch: FspSwitch, slots: Slots
) -> list[Former]:
    """Who else has set a profile that may be in force; on one slot only the last."""
    found: dict[PartyId, Former] = {}
    has_deleted = any(_is_told_deleted(one) for one in sent)
    ignores_delete = has_deleted and means.ignores_delete(switch.session)
    for command in sent:
        outcome = _put(command)
        if outcome is Put.REFUSED or command.state == CommandState.WAITING:
            continue
        is_done = outcome in {Put.TAKEN, Put.DELETED}
        if command.purpose == Purpose.CLEAR and command.epoch == switch.epoch:
            continue  # It is still to be seen whether that has had an effect.
        if command.method == "DELETE" or command.purpose == Purpose.RELEASE:
            is_unproved = ignores_delete or (fsp is None and not command.purpose)
            if is_unproved and _is_told_deleted(command):
                continue  # Some CPOs ignore DELETE: where nobody steers any more, it is verified.
            if is_done and slots == Slots.ONE:
                found.clear()
            elif is_done:
                found.pop(command.fsp, None)
            continue
        if is_done and slots == Slots.ONE and command.fsp != fsp:
            found.clear()
        profile, is_sure = _profile(command), outcome is Put.TAKEN
        found[command.fsp] = Former(command.fsp, command.pk, profile, is_sure)
    return [one for party, one in found.items() if party != fsp]


def _is_told_deleted(command: ProfileCommand) -> bool:
    """Its CPO says that it has cleared a profile, not that there was none."""
    return command.method == "DELETE" and command.result == "ACCEPTED"


def _doubt_until(sent: Sequence[ProfileCommand], put: ProfileCommand | None) -> datetime | None:
    """Until when something may come into force that was sent before the new FSP's PUT."""
    ends = [
        one.answered_at + DOUBT
        for one in sent
        if put is not None
        and one.pk < put.pk
        and one.state in DOUBTFUL
        and one.answered_at is not None
        and not one.result
    ]
    return max(ends, default=None)


def _doubt_after(sent: Sequence[ProfileCommand], release: HubCommand | None) -> datetime | None:
    """Until when a PUT that the CPO did not answer may come into force after the release."""
    ended = None if release is None else release.ended_at
    ends = [
        until
        for one in sent
        if ended is not None
        and one.method == "PUT"
        and one.purpose != Purpose.RELEASE
        and one.state in DOUBTFUL
        and one.answered_at is not None
        and not one.result
        and (until := one.answered_at + DOUBT) > ended
    ]
    return max(ends, default=None)


def _asked(switch: FspSwitch) -> tuple[Asked, Profile | None, bool]:
    """What became of the DELETE or GET; the active profile; or that the CPO says there is none."""
    if switch.step == Step.CLEARING:
        return _cleared(switch.clear), None, False
    ask = switch.ask
    if ask is None:
        return Asked.NOT_YET, None, False
    if ask.is_open:
        return Asked.ON_ITS_WAY, None, False
    command = ask.command
    if ask.step == Life.FAILED or command is None:
        return Asked.FAILED, None, False
    active = Profile.read(bytes(command.result_body), command.result_at or command.created_at)
    return Asked.ANSWERED, active, command.result == "UNKNOWN"


def _is_too_old(switch: FspSwitch, doubt_until: datetime | None, now: datetime) -> bool:
    """What was asked while something might still come into force counts until that is over."""
    ask = switch.ask
    return (
        ask is not None
        and doubt_until is not None
        and ask.since < doubt_until <= now
        and switch.step != Step.CLEARING
    )


def _cleared(command: ProfileCommand | None) -> Asked:
    if command is None:
        return Asked.NOT_YET
    if command.state in _ON_ITS_WAY:
        return Asked.ON_ITS_WAY
    return Asked.ANSWERED if _put(command) is Put.DELETED else Asked.FAILED


def _full(session: Session, now: datetime) -> dict[str, Decimal]:
    """By unit: as its Location says, or as was active before any profile; the lower one."""
    rate, before = full_rate(session, now), baseline(session)
    found = {unit: value for unit in ("A", "W") if (value := rate.in_unit(unit)) is not None}
    if before is not None:
        unit, highest = before.profile.unit, before.profile.highest
        found[unit] = min(found.get(unit, highest), highest)
    return found


def _is_released(switch: FspSwitch) -> bool | None:
    """None while the release goes on, or there is none."""
    row: HubCommand | None = switch.release
    if row is None or row.is_open:
        return None
    return row.step == Life.DONE and not row.is_told
