"""The ladder of one exchange: party, hub, party, with times, codes, and what failed and why.

One X-Correlation-ID leads through a request, what the hub sent on or broadcast because of it, and
what came back later on a callback's URL (transport_and_format, Message IDs).
"""

from collections.abc import Iterator, Set
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from charging_profiles.models import CommandState, ProfileCommand
from hub.models import Delivery, DeliveryState, StaleCopy
from hub.models.stale_copies import CopyState
from hub.ocpi.party import PartyId
from hub.record.models import Message
from hub.record.note import Direction
from hub.record.search import of_exchange, own_legs

# A broadcast may reach hundreds: nobody reads a ladder of more steps than this.
MOST_MESSAGES = 500
# Marks that are looked through for those of one exchange.
MOST_MARKS = 20_000
_AROUND = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Step:
    """A request or an answer, between the hub and one party."""

    at: datetime
    milliseconds: float
    party: str
    is_left: bool
    to_hub: bool
    text: str
    failed: bool = False
    why: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Sequel:
    """What became of a push or a profile command that the exchange caused."""

    what: str
    state: str
    failed: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """Steps in the order of time; sequels of what was to be done later."""

    correlation_id: str
    begun_at: datetime
    milliseconds: float
    steps: list[Step]
    sequels: list[Sequel]
    is_cut: bool

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def of(correlation_id: str, only: Set[PartyId] | None = None) -> Trace | None:
    """None when no message of this exchange is recorded (any more).

    `only` leaves what these parties have sent and got themselves, and what was for them.
    """
    found = of_exchange(correlation_id)
    if only is not None:
        found = found.filter(own_legs(only))
    messages = list(found[: MOST_MESSAGES + 1])
    if not messages:
        return None
    is_cut = len(messages) > MOST_MESSAGES
    messages = messages[:MOST_MESSAGES]
    begun_at, first = messages[0].at, _party(messages[0])
    steps = [step for message in messages for step in _steps(message, begun_at, first)]
    steps.sort(key=lambda step: step.at)
    span = (begun_at - _AROUND, steps[-1].at + _AROUND)
    sequels = [
        *_commands(correlation_id, span, only),
        *_deliveries(correlation_id, span, only),
        *_marks(correlation_id, only),
    ]
    return Trace(
        correlation_id,
        begun_at,
        steps[-1].milliseconds,
        steps,
        sequels[:MOST_MESSAGES],
        is_cut,
    )


def _party(message: Message) -> str:
    """Who is at the other end."""
    found = message.sender if message.direction == Direction.IN else message.receiver
    return found or message.address or "?"


def _steps(message: Message, begun_at: datetime, first: str) -> Iterator[Step]:
    party = _party(message)
    is_in = message.direction == Direction.IN
    since = (message.at - begun_at) / timedelta(milliseconds=1)
    size = f", {message.request_bytes} bytes" if message.request_bytes else ""
    if message.times > 1:
        size += f", {message.times} times within the minute"
    yield Step(
        message.at,
        since,
        party,
        party == first,
        is_in,
        f"{message.method} {message.path} ({message.kind}{size})",
        body=message.request_body,
    )
    yield Step(
        message.at + timedelta(milliseconds=message.milliseconds),
        since + message.milliseconds,
        party,
        party == first,
        not is_in,
        f"{outcome(message)}, {message.milliseconds:.0f} ms",
        message.is_failed,
        message.problem,
        message.answer_body,
    )


def outcome(message: Message) -> str:
    """HTTP 200 OCPI 1000."""
    if message.http_status is None:
        return f"no answer, OCPI {message.ocpi_code}"
    if message.ocpi_code is None:
        return f"HTTP {message.http_status}, no OCPI"
    return f"HTTP {message.http_status} OCPI {message.ocpi_code}"


_COMMAND_FAILED = frozenset(
    {
        CommandState.REFUSED,
        CommandState.NO_RESULT,
        CommandState.UNREACHABLE,
        CommandState.TIMED_OUT,
        CommandState.RESULT_REJECTED,
        CommandState.EXPIRED,
    }
)
_DELIVERY_FAILED = frozenset({DeliveryState.REFUSED, DeliveryState.FAILED, DeliveryState.DROPPED})


def _commands(
    correlation_id: str, span: tuple[datetime, datetime], only: Set[PartyId] | None
) -> Iterator[Sequel]:
    for command in ProfileCommand.objects.filter(
        correlation_id=correlation_id, created_at__range=span
    ).order_by("created_at"):
        if only is not None and command.fsp not in only:
            continue
        state = CommandState(command.state)
        yield Sequel(
            f"{command.method} chargingprofiles/{command.session_id_sent} "
            f"from {command.fsp} to {command.cpo}",
            str(state.label),
            state in _COMMAND_FAILED,
            command.problem,
        )


def _deliveries(
    correlation_id: str, span: tuple[datetime, datetime], only: Set[PartyId] | None
) -> Iterator[Sequel]:
    for delivery in (
        Delivery.objects.filter(correlation_id=correlation_id, created_at__range=span)
        .select_related("receiver")
        .defer("body")
        .order_by("id")[:MOST_MESSAGES]
    ):
        state = DeliveryState(delivery.state)
        to = f"{delivery.to_country_code}-{delivery.to_party_id}"
        if only is not None and to.upper() not in map(str, only):
            continue
        yield Sequel(
            f"{delivery.method} {delivery.module} to "
            f"{to if delivery.to_party_id else delivery.receiver.name}",
            str(state.label),
            state in _DELIVERY_FAILED,
            delivery.outcome,
        )


def _marks(correlation_id: str, only: Set[PartyId] | None) -> Iterator[Sequel]:
    """What of it is still to be told, or was refused; a Token's uid is a secret.

    No index has these ids: it would cost each push more than the few that are looked up are worth.
    """
    newest = StaleCopy.objects.order_by("-id").values_list("id", flat=True)
    beyond = newest[MOST_MARKS : MOST_MARKS + 1].first() or 0
    if beyond and only is None:
        yield Sequel(f"objects except the {MOST_MARKS:,} that were marked last", "not looked at")
    told = Q(correlation_id=correlation_id) | Q(merged__contains=[correlation_id])
    found = StaleCopy.objects.filter(told, id__gt=beyond).select_related("receiver")
    if only is not None:
        found = found.filter(party__in=list(map(str, only)))
    for copy in found.order_by("id")[:MOST_MESSAGES]:
        state = CopyState(copy.state)
        part = f" ({copy.shown_part})" if copy.part else ""
        again = f"changed again by {copy.correlation_id}"
        why = [again] if copy.correlation_id != correlation_id else []
        yield Sequel(
            f"{copy.module} {copy.owner} {copy.shown_id}{part} to "
            f"{copy.party or copy.receiver.name}",
            str(state.label),
            state is CopyState.REFUSED,
            "; ".join([*why, *filter(None, [copy.outcome])]),
        )


def lines(ladder: Trace) -> Iterator[str]:
    """The ladder as text: who began on the left, the hub in the middle, all others on the right."""
    yield (
        f"Correlation {ladder.correlation_id}, begun {ladder.begun_at:%Y-%m-%d %H:%M:%S} UTC, "
        f"{ladder.milliseconds:.0f} ms"
    )
    left = max((len(step.party) for step in ladder.steps if step.is_left), default=1)
    right = max((len(step.party) for step in ladder.steps if not step.is_left), default=1)
    for step in ladder.steps:
        mark = "✗ " if step.failed else "  "
        why = f": {step.why}" if step.why else ""
        yield f"{step.milliseconds:>+9.0f} ms  {_arrow(step, left, right)}  {mark}{step.text}{why}"
    if ladder.is_cut:
        yield f"… only the first {MOST_MESSAGES} messages are shown."
    for one in ladder.sequels:
        why = f": {one.why}" if one.why else ""
        yield f"{'✗' if one.failed else '·'} {one.what}: {one.state}{why}"


def _arrow(step: Step, left: int, right: int) -> str:
    if step.is_left:
        arrow = "──▶" if step.to_hub else "◀──"
        return f"{step.party:<{left}} {arrow} hub {'':<{right + 4}}"
    arrow = "◀──" if step.to_hub else "──▶"
    return f"{'':<{left + 4}} hub {arrow} {step.party:<{right}}"
