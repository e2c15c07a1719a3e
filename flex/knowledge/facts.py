"""All that the hub has been told of a session and that says something of EV, EVSE and site.

Read at once out of the rows as they are now; bounds, effect and coverage are computed from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.utils import timezone

from charging_profiles.models import CommandState, ProfileCommand
from flex.knowledge import active
from flex.knowledge.active import Seen
from flex.knowledge.metering import Metered, periods_of
from flex.knowledge.profiles import Profile
from flex.models import PreferenceCopy
from hub.db import sql
from hub.ocpi import heads, lenient
from hub.ocpi.comparison import plain
from locations.told import connector_in, location_told
from sessions.models import Session

# Of these the CPO has said that it takes the profile.
ACCEPTED: Final = (CommandState.ACCEPTED, CommandState.EXPIRED, CommandState.RESULT_ACCEPTED)
# A clock that is wrong by less is right.
_SKEW: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Connector:
    """Where the session charges, as the Location of its CPO says; `document` is the Connector."""

    document: dict[str, Any]
    evse: dict[str, Any]
    location: dict[str, Any]
    received_at: datetime

    @property
    def amperes(self) -> Decimal | None:
        """`max_amperage`, per phase."""
        return lenient.number(self.document.get("max_amperage"))

    @property
    def watts(self) -> Decimal | None:
        """`max_electric_power`."""
        return lenient.number(self.document.get("max_electric_power"))

    @property
    def phases(self) -> int | None:
        """What `power_type` says of the connector; it says nothing of the EV."""
        return _PHASES.get(heads.word(self.document.get("power_type")))

    def most_watts(self, amperes: Decimal) -> Decimal | None:
        """The most that so many amperes per phase can be here; None of DC, or unknown voltage.

        A bound, not a guess: no EV has more phases than its connector. `max_voltage` is line to
        neutral by the text, and line to line with many operators.
        """
        volts = lenient.number(self.document.get("max_voltage"))
        if self.phases is None or volts is None or volts <= 0:
            return None
        per_phase = volts if volts <= _LINE_TO_NEUTRAL else volts / _ROOT_OF_3
        return amperes * per_phase * self.phases * _HIGH


# No line to neutral has more volts; mains may be a tenth above what they are called.
_LINE_TO_NEUTRAL: Final = 277
_ROOT_OF_3: Final = Decimal("1.732")
_HIGH: Final = Decimal("1.1")
_PHASES: Final = {"AC_1_PHASE": 1, "AC_2_PHASE": 2, "AC_2_PHASE_SPLIT": 2, "AC_3_PHASE": 3}


@dataclass(frozen=True, slots=True)
class SetProfile:
    """A PUT that the CPO has accepted; `profile` is None where it cannot be read.

    It holds from `accepted_at` (by the hub's clock) to `until`, when the next PUT or DELETE left.
    """

    command: int
    profile: Profile | None
    fsp: str
    correlation_id: str
    sent_at: datetime
    accepted_at: datetime
    until: datetime | None
    # The EVSE itself has said so; not only its CPO.
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known; moments of `metered` and of profiles are the CPO's, all others the hub's."""

    now: datetime
    started_at: datetime
    document: dict[str, Any] = field(default_factory=dict)
    is_over: bool = False
    metered: tuple[Metered, ...] = ()
    received_at: datetime | None = None
    seen: Sequence[Seen] = ()
    baseline: Seen | None = None
    set: Sequence[SetProfile] = ()
    connector: Connector | None = None
    preferences: PreferenceCopy | None = None

    @property
    def latest(self) -> Seen | None:
        """The active profile that was seen last."""
        return self.seen[-1] if self.seen else None

    def by_cpo(self, moment: datetime) -> datetime:
        """A moment of the hub's clock by the CPO's, which its active profiles show."""
        return by_their_clock(moment, [(one.observed_at, one.profile.start) for one in self.seen])


_PREFERENCES: Final = f"""
    SELECT {sql.columns(PreferenceCopy)} FROM {PreferenceCopy._meta.db_table}
    WHERE session_id = %s ORDER BY received_at DESC, id DESC LIMIT 1
"""  # noqa: S608 - names of ours


def by_their_clock(moment: datetime, told: Sequence[tuple[datetime, datetime]]) -> datetime:
    """`moment` by a clock of which pairs (ours, theirs) are known, ordered by ours."""
    earlier = [pair for pair in told if pair[0] <= moment]
    later = [pair for pair in told if pair[0] > moment]
    if earlier and later:
        (mine, theirs), (mine_then, theirs_then) = earlier[-1], later[0]
        found = theirs + (moment - mine) * ((theirs_then - theirs) / (mine_then - mine))
    elif earlier or later:
        mine, theirs = earlier[-1] if earlier else later[0]
        found = theirs + (moment - mine)
    else:
        return moment
    return found if abs(found - moment) > _SKEW else moment


def of(session: Session, now: datetime | None = None) -> Facts:
    """All of one session, by four queries."""
    document = plain(bytes(session.document))
    document = document if isinstance(document, dict) else {}
    started = _moment(document.get("start_date_time")) or session.created_at
    commands = active.commands_of(session)
    seen = active.seen_in(session, commands)
    facts = Facts(
        now=now or timezone.now(),
        started_at=started,
        document=document,
        is_over=session.is_over,
        received_at=session.received_at,
        seen=seen,
        baseline=active.baseline_in(seen, commands),
        set=tuple(_set(commands, started)),
        connector=connector_of(session, document),
        preferences=next(iter(sql.rows(PreferenceCopy, _PREFERENCES, (session.pk,))), None),
    )
    until = _moment(document.get("end_date_time")) or facts.by_cpo(session.received_at)
    return _with_periods(facts, periods_of(document.get("charging_periods"), until))


def _moment(value: Any) -> datetime | None:
    found = lenient.moment(value)
    return None if found is None else lenient.clamped(found)


def _with_periods(facts: Facts, metered: tuple[Metered, ...]) -> Facts:
    named = {name: getattr(facts, name) for name in Facts.__slots__}
    return Facts(**named | {"metered": metered})


def _set(changes: Sequence[ProfileCommand], started: datetime) -> "list[SetProfile]":
    """The accepted PUTs among all changes, each until the next that may have had an effect."""
    left = [one for one in changes if one.method != "GET" and active.may_have_effect(one)]
    found = []
    for index, command in enumerate(left):
        if command.method != "PUT" or command.state not in ACCEPTED or not command.answered_at:
            continue
        following = left[index + 1] if index + 1 < len(left) else None
        found.append(
            SetProfile(
                command=command.pk,
                profile=Profile.read(bytes(command.body), started),
                fsp=str(command.fsp),
                correlation_id=command.correlation_id,
                sent_at=command.sent_at or command.created_at,
                accepted_at=command.result_at or command.answered_at,
                until=None if following is None else following.sent_at or following.created_at,
                is_confirmed=command.state == CommandState.RESULT_ACCEPTED,
            )
        )
    return found


def connector_of(session: Session, document: dict[str, Any]) -> Connector | None:
    """The Connector that the Session names, as its eMSP sees the Location."""
    location = location_told(str(session.owner), session.location_id, str(session.emsp))
    evse = None if location is None else location.evse(session.evse_uid)
    if location is None or evse is None:
        return None
    connector = connector_in(evse, heads.text(document.get("connector_id")))
    return Connector(connector or {}, evse, location.head, location.received_at)
