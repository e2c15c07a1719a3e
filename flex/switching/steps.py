"""The steps of a switch of FSP: where it stands and what is known give what to do next. Pure.

SCALE D2.3, 11.4; docs/flexibility.md, Switching. The EV keeps the former limit until the new one is
in force; nothing is cleared before that has been seen in the active profile. A turn (turn.py) reads
the facts, does what is said here, and comes again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum, auto
from typing import Final

from flex.knowledge.profiles import Profile
from flex.switching.sight import SAME, Sight, may_bind, sight, steady
from hub.ocpi.party import PartyId


class Step(StrEnum):
    """Where a switch stands; from DONE on it has ended."""

    GIVEN = "GIVEN"
    ASKED = "ASKED"
    CLEARING = "CLEARING"
    RELEASING = "RELEASING"
    DONE = "DONE"
    OVER = "OVER"
    FOLLOWED = "FOLLOWED"
    ATTENTION = "ATTENTION"


ENDS: Final = (Step.DONE, Step.OVER, Step.FOLLOWED, Step.ATTENTION)


class Slots(StrEnum):
    """What a CPO keeps of a session: one profile, or one of each sender, of which the least counts.

    mod_charging_profiles, Smart Charging Topologies: "the result will be the minimum of all".
    """

    UNKNOWN = "UNKNOWN"
    ONE = "ONE"
    PER_SENDER = "PER_SENDER"


class Put(Enum):
    """What became of the new FSP's last PUT."""

    NONE = auto()
    ON_ITS_WAY = auto()
    TAKEN = auto()
    REFUSED = auto()
    # No answer, or no result: it may be in force.
    UNSURE = auto()
    # Its last command was a DELETE, which was taken: it wants no limit.
    DELETED = auto()


class Asked(Enum):
    """What became of the GET, or of the DELETE of a former profile, that was sent last."""

    NOT_YET = auto()
    ON_ITS_WAY = auto()
    ANSWERED = auto()
    FAILED = auto()


class Do(Enum):
    """What a turn does next."""

    WAIT = auto()
    ASK = auto()
    SEND_AGAIN = auto()
    CLEAR = auto()
    RELEASE = auto()
    REPLACE = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Former:
    """One that was FSP, and the profile that may be in force in its name; None: unreadable."""

    fsp: PartyId
    command: int
    profile: Profile | None
    # The EVSE has taken it.
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class Setting:
    """How long is waited, and how often something is tried."""

    put_within: timedelta
    most_tries: int = 3
    try_again: timedelta = timedelta(seconds=20)
    # The hub's GET may wait for the spacing that a CPO wants (flex/life/spacing.py: 600 s at most).
    told_within: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a switch."""

    step: Step
    since: datetime
    is_over: bool = False
    # The new FSP is a party through the hub.
    is_party: bool = True
    former: Sequence[Former] = ()
    put: Put = Put.NONE
    # That last command is a DELETE.
    is_delete: bool = False
    # When that came to its end; and whether the CPO has accepted it, which says less than a result.
    put_ended: datetime | None = None
    is_accepted: bool = False
    new: Profile | None = None
    asked: Asked = Asked.NOT_YET
    # When the hub wanted to know it.
    asked_at: datetime | None = None
    active: Profile | None = None
    # The CPO says that no profile is active.
    is_none_active: bool = False
    # Until then something may come into force that the CPO did not answer; of a release, what may
    # have done so since it ended.
    doubt_until: datetime | None = None
    # GETs without an answer, and PUTs that were sent again, since the new FSP's last command.
    tries: int = 0
    sent_again: int = 0
    cleared: frozenset[PartyId] = frozenset()
    slots: Slots = Slots.UNKNOWN
    # By unit, where it is known: what is active without any profile.
    full: Mapping[str, Decimal] = field(default_factory=dict)
    # What has become of the release: None while it goes on.
    is_released: bool | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """What is done, at which step the switch then stands, why, and when to look again."""

    do: Do
    step: Step
    why: str = ""
    due: datetime | None = None
    former: Former | None = None
    learned: Slots | None = None


def next_step(facts: Facts, now: datetime, setting: Setting) -> Next:
    """What follows; the same facts give the same step, however often it is asked."""
    if facts.is_over:
        return Next(Do.END, Step.OVER, "The session has ended.")
    # With its answers of before: a command of the new FSP's since then has forgotten those.
    of_delete = facts.is_delete and facts.asked is Asked.ANSWERED
    if facts.step == Step.RELEASING and (
        facts.is_released is None or of_delete or not facts.is_party
    ):
        return _releasing(facts, now, setting)
    if facts.step == Step.CLEARING:
        return _clearing(facts, now, setting)
    if not facts.former:
        return Next(Do.END, Step.DONE, "No profile of a former FSP is in force.")
    if not facts.is_party:
        why = "Nobody steers the session through the hub any more: it gets its full rate."
        return _release(facts.former[-1], why, now, setting)
    return _given(facts, now, setting)


def _given(facts: Facts, now: datetime, setting: Setting) -> Next:
    """The new FSP is waited for; what it has set is looked at."""
    if facts.put is Put.ON_ITS_WAY:
        return _wait(facts, now + setting.try_again, Step.GIVEN)
    if facts.put is Put.DELETED:
        return _deleted(facts, now, setting)
    if facts.put in {Put.TAKEN, Put.UNSURE}:
        return _looking(facts, now, setting)
    return _waited_for(facts, now, setting)


def _waited_for(facts: Facts, now: datetime, setting: Setting) -> Next:
    until = _until(facts, setting)
    if now < until:
        return Next(Do.WAIT, Step.GIVEN, due=until)
    seconds = int(setting.put_within.total_seconds())
    had = "no profile" if facts.put is Put.NONE else "no profile that its CPO took"
    return Next(Do.REPLACE, Step.FOLLOWED, f"The new FSP has sent {had} within {seconds} s.")


def _until(facts: Facts, setting: Setting) -> datetime:
    """When it is too late; who has sent one that had no result has its time from the end of it."""
    is_unsure = facts.put is Put.UNSURE and facts.put_ended is not None
    begun = max(facts.since, facts.put_ended or facts.since) if is_unsure else facts.since
    return begun + setting.put_within


def _deleted(facts: Facts, now: datetime, setting: Setting) -> Next:
    """The new FSP wants no limit: those of former ones go too."""
    left = [one for one in facts.former if one.fsp not in facts.cleared]
    if not left:
        return Next(Do.END, Step.DONE, "The new FSP has released the session.")
    return _release(left[-1], "The new FSP has released the session.", now, setting)


def _looking(facts: Facts, now: datetime, setting: Setting) -> Next:
    """Its PUT has come to its end: the active profile says whether it is in force."""
    if facts.asked is Asked.ON_ITS_WAY:
        if facts.asked_at is not None and now >= facts.asked_at + setting.told_within:
            why = "The CPO could not be asked which profile is active, or has not told, for long."
            return Next(Do.END, Step.ATTENTION, why)
        return _wait(facts, now + setting.try_again, Step.ASKED)
    if facts.asked is Asked.NOT_YET:
        why = "The active profile is asked for."
        return Next(Do.ASK, Step.ASKED, why, now + setting.try_again)
    if facts.asked is Asked.ANSWERED:
        return _seen(facts, now, setting)
    if facts.tries >= setting.most_tries:
        why = "The CPO does not say which profile is active: nobody knows whether it has changed."
        return Next(Do.END, Step.ATTENTION, why)
    return Next(Do.ASK, Step.ASKED, "It is asked for once more.", now + setting.try_again)


def _seen(facts: Facts, now: datetime, setting: Setting) -> Next:
    if facts.is_delete:
        return _seen_after_delete(facts, now, setting)
    former = [one.profile for one in facts.former if one.profile is not None]
    seen = Sight.NOT_IN_FORCE
    if not facts.is_none_active:
        seen = sight(facts.active, facts.new, former)
    if seen is Sight.NOT_IN_FORCE:
        return _not_in_force(facts, now, setting)
    accepts = (Sight.IN_FORCE, Sight.LIMITED) if facts.is_accepted else (Sight.IN_FORCE,)
    if facts.put is Put.UNSURE and seen not in accepts:
        # The new FSP is told no result: it is its turn, and the former limit stays meanwhile.
        if facts.is_accepted and now >= _until(facts, setting):
            return Next(Do.END, Step.ATTENTION, _NO_RESULT)
        return _waited_for(facts, now, setting)
    if facts.doubt_until is not None and now < facts.doubt_until:
        return _wait(facts, facts.doubt_until, Step.ASKED)
    left = [one for one in facts.former if one.fsp not in facts.cleared and _binds(one, facts, now)]
    if facts.slots == Slots.PER_SENDER and left:
        return _cleared_once_sure(facts, left[0], now, setting)
    learned = _learned(facts)
    if seen is Sight.FORMER_BINDS and facts.slots != Slots.ONE:
        why = _BINDS if facts.slots == Slots.UNKNOWN else _BINDS_STILL
        return Next(Do.END, Step.ATTENTION, why, learned=learned)
    return Next(Do.END, Step.DONE, _DONE[seen], learned=learned)


def _seen_after_delete(facts: Facts, now: datetime, setting: Setting) -> Next:
    """The CPO has told no result of it: what is still active is released."""
    if not facts.is_none_active:
        left = [one for one in facts.former if one.fsp not in facts.cleared]
        why = "The new FSP has released the session, and a profile is active still."
        return _release(left[-1] if left else None, why, now, setting)
    if facts.doubt_until is not None and now < facts.doubt_until:
        return _wait(facts, facts.doubt_until, Step.ASKED)
    return Next(Do.END, Step.DONE, "The new FSP has released the session: no profile is active.")


def _learned(facts: Facts) -> Slots | None:
    """What this switch says of its CPO that is news; what the hub itself has cleared says nothing.

    An end in ATTENTION is taken further by news (CpoSlots.go_on): what is known already is none.
    """
    if facts.put is not Put.TAKEN or facts.cleared:
        return None
    sure = [one.profile for one in facts.former if one.profile is not None and one.is_sure]
    found = learns(facts.active, facts.new, sure, facts.full)
    return None if found == facts.slots == Slots.PER_SENDER else found


_NO_RESULT: Final = (
    "The CPO has accepted the new profile and told no result; nobody knows whether it is in force."
)
_LATE: Final = "A profile that the CPO did not answer may have come into force since the release."
_BINDS: Final = (
    "The former limit still binds, and nobody knows whether this CPO keeps a profile of each "
    "sender: it is cleared only where that is known."
)
# Of the full rate: above that it may be the full rate itself.
_CLEARLY: Final = Decimal("0.9")
_BINDS_STILL: Final = (
    "The former limit still binds, though its profile was cleared: the CPO may ignore DELETE."
)
_DONE: Final = {
    Sight.IN_FORCE: "The new profile is in force.",
    Sight.FORMER_BINDS: "The new profile is in force; another limit is as low as the former one.",
    Sight.LIMITED: "The new profile is in force below another, lower limit.",
    Sight.UNCLEAR: "The CPO has taken the new profile; its active one cannot be compared with it.",
}


def _cleared_once_sure(facts: Facts, former: Former, now: datetime, setting: Setting) -> Next:
    """Nothing is cleared before the EVSE itself has taken the new profile."""
    if facts.put is Put.TAKEN:
        return _clear(former, now, setting)
    if facts.sent_again < setting.most_tries:
        why = "The CPO has told no result: before the former profile is cleared it is sent again."
        return Next(Do.SEND_AGAIN, Step.GIVEN, why, now + setting.try_again)
    why = "The former profile may still bind; without a result of the new one it is not cleared."
    return Next(Do.END, Step.ATTENTION, why)


def _not_in_force(facts: Facts, now: datetime, setting: Setting) -> Next:
    if facts.put is Put.UNSURE and not facts.is_none_active:
        return _waited_for(facts, now, setting)
    if facts.sent_again < setting.most_tries:
        why = "More is active than the new profile allows: it is sent once more."
        learned = Slots.ONE if facts.cleared else None  # The DELETE has cleared both.
        due = now + setting.try_again
        return Next(Do.SEND_AGAIN, Step.GIVEN, why, due, learned=learned)
    why = f"More is active than the new profile allows, after {facts.sent_again} more PUTs of it."
    return Next(Do.END, Step.ATTENTION, why)


def _binds(one: Former, facts: Facts, now: datetime) -> bool:
    return one.profile is None or facts.new is None or may_bind(one.profile, facts.new, now)


def _clear(former: Former, now: datetime, setting: Setting) -> Next:
    why = f"{former.fsp}'s former limit binds or will bind at this CPO: its profile is cleared."
    return Next(Do.CLEAR, Step.CLEARING, why, now + setting.try_again, former)


def _clearing(facts: Facts, now: datetime, setting: Setting) -> Next:
    if facts.asked is Asked.ON_ITS_WAY:
        return _wait(facts, now + setting.try_again)
    if facts.asked is Asked.FAILED and facts.tries >= setting.most_tries:
        why = "The CPO does not clear the former FSP's profile, which may still bind."
        return Next(Do.END, Step.ATTENTION, why)
    why = "The former profile has been cleared: is the new one in force?"
    if facts.asked is Asked.FAILED:
        why = "The former profile may not have been cleared: what is active?"
    return Next(Do.ASK, Step.ASKED, why, now + setting.try_again)


def _release(former: Former | None, why: str, now: datetime, setting: Setting) -> Next:
    """In the name of a former FSP, else of the one that is."""
    return Next(Do.RELEASE, Step.RELEASING, why, now + setting.try_again, former)


def _releasing(facts: Facts, now: datetime, setting: Setting) -> Next:
    """It goes on; or it has ended and nobody has become FSP meanwhile."""
    if facts.is_released is None:
        return _wait(facts, now + setting.try_again)
    if not facts.is_released:
        return Next(Do.END, Step.ATTENTION, "Nobody can say that the CPO has released the session.")
    if facts.doubt_until is not None:
        if now < facts.doubt_until:
            return _wait(facts, facts.doubt_until)
        return _release(None, _LATE, now, setting)
    left = [one for one in facts.former if one.fsp not in facts.cleared]
    if left and facts.slots != Slots.ONE:
        return _release(left[-1], f"{left[-1].fsp}'s profile may bind too.", now, setting)
    return Next(Do.END, Step.DONE, "The session has been released.")


def _wait(facts: Facts, due: datetime, step: Step | None = None) -> Next:
    return Next(Do.WAIT, step or facts.step, due=due)


def learns(
    active: Profile | None,
    new: Profile | None,
    former: Sequence[Profile],
    full: Mapping[str, Decimal],
) -> Slots | None:
    """What a verified switch says of the slots of its CPO; None where it says nothing.

    More than a former limit is active: that one is gone, so there is one slot. Exactly a former
    one, where the new one allows more: it is still there, unless EVSE or site allow no more by
    themselves, so that this says nothing where the full rate is not known to be clearly higher.
    """
    if active is None or new is None or active.unit != new.unit:
        return None
    former = [one for one in former if one.unit == active.unit]
    tells = full[active.unit] * _CLEARLY if active.unit in full else None
    found = None
    for moment in steady(active, [new, *former]):
        offered, allowed = active.at(moment), new.at(moment)
        for limit in (one.at(moment) for one in former):
            if offered is None or allowed is None or limit is None or limit >= allowed - SAME:
                continue
            if offered > limit + SAME:
                return Slots.ONE
            if offered >= limit - SAME and tells is not None and limit <= tells:
                found = Slots.PER_SENDER
    return found
