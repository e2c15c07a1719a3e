"""Searching the record: newest first, page by page, whatever its size."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Q, QuerySet

from hub.ocpi.datatypes import utc
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.party import PartyId
from hub.record.models import Message
from hub.record.note import Direction

LIMIT: Final = 50
MOST: Final = 500
_LARGEST: Final = 2**63
_MOST_DIGITS: Final = 30


class WrongCriterion(ValueError):
    """The message names the criterion, and how it should look."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """The criteria of a search: all must fit; None fits everything."""

    party: PartyId | None = None
    module: str | None = None
    code: int | None = None
    kind: str | None = None
    failed: bool = False
    correlation_id: str | None = None
    # IN: came to the hub, OUT: sent by it.
    direction: str | None = None
    # A Session, another object, or a reservation by its id, in upper case.
    object_id: str | None = None
    # Exchanges that are about that object, though their URLs do not name it.
    exchanges: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    # Where the previous page ended: the time and id of its last row.
    before: tuple[datetime, int] | None = None
    limit: int = LIMIT
    # Whose messages the asker may see, leg by leg; None: all. No query string says it.
    only: frozenset[PartyId] | None = None

    @classmethod
    def read(cls, query: Mapping[str, str], only: frozenset[PartyId] | None = None) -> "Criteria":
        """Read criteria from a query string; WrongCriterion says what is wrong."""
        text = {name: value.strip() for name, value in query.items() if value.strip()}
        if odd := [name for name, value in text.items() if "\0" in value]:
            raise WrongCriterion(f"{odd[0]} has a NUL in it.")
        return cls(
            party=_party(text.get("party")),
            module=text.get("module", "").lower() or None,
            code=_number("code", text.get("code"), _LARGEST),
            kind=text.get("kind"),
            failed=text.get("failed", "") in {"1", "yes", "true", "on"},
            correlation_id=text.get("correlation_id"),
            direction=_direction(text.get("direction")),
            object_id=text.get("object", "").upper() or None,
            since=_moment("from", text.get("from")),
            until=_moment("to", text.get("to")),
            before=_before(text.get("before")),
            limit=min(_number("limit", text.get("limit"), _LARGEST) or LIMIT, MOST),
            only=only,
        )


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Some messages, and the `before` that asks for the next ones ("" at the end)."""

    messages: list[Message]
    before: str


def search(criteria: Criteria) -> SearchPage:
    """One more row than asked for tells whether there is a next page."""
    wanted = criteria.limit + 1
    parts = [rows.order_by("-at", "-id")[:wanted] for rows in _parts(criteria)]
    rows = parts[0]
    if len(parts) > 1:
        # Each side by its own index: an OR would sort everything that either finds.
        rows = parts[0].union(*parts[1:], all=True).order_by("-at", "-id")[:wanted]
    found = list(rows)
    messages = found[: criteria.limit]
    return SearchPage(messages, _after(messages[-1]) if len(found) == wanted else "")


def own_legs(parties: Iterable[PartyId]) -> Q:
    """What these parties themselves have sent to the hub and got from it."""
    named = [str(party) for party in parties]
    return Q(direction=Direction.IN, sender__in=named) | Q(
        direction=Direction.OUT, receiver__in=named
    )


def of_exchange(correlation_id: str) -> QuerySet[Message]:
    """All messages of one exchange, also those that carry an id of their own, oldest first."""
    return Message.objects.filter(
        Q(correlation_id=correlation_id) | Q(related_id=correlation_id) & ~Q(related_id="")
    ).order_by("at", "id")


def _parts(criteria: Criteria) -> Iterator[QuerySet[Message]]:
    rows = Message.objects.all()
    if criteria.correlation_id is not None:
        rows = of_exchange(criteria.correlation_id)
    equal: dict[str, Any] = {
        "module": criteria.module,
        "ocpi_code": criteria.code,
        "kind": criteria.kind,
        "direction": criteria.direction,
        "at__gte": criteria.since,
        "at__lt": criteria.until,
    }
    rows = rows.filter(**{name: value for name, value in equal.items() if value is not None})
    if criteria.failed or (criteria.code is not None and not 1000 <= criteria.code <= 1999):
        rows = rows.filter(is_failed=True)
    if criteria.before is not None:
        at, last = criteria.before
        rows = rows.filter(at__lte=at).exclude(at=at, id__gte=last)
    for part in _about(rows, criteria):
        if criteria.only is not None:
            yield from _of_parties(part, criteria.only, criteria.party)
        elif criteria.party is None:
            yield part
        else:
            party = str(criteria.party)
            yield part.filter(sender=party)
            yield part.filter(receiver=party).exclude(sender=party)


def _about(rows: QuerySet[Message], criteria: Criteria) -> Iterator[QuerySet[Message]]:
    """By what the URL names, and by what is known of its exchanges; each has an index."""
    if criteria.object_id is None:
        yield rows
        return
    yield rows.filter(object_id=criteria.object_id)
    if criteria.exchanges:
        others = rows.exclude(object_id=criteria.object_id)
        by_id = Q(correlation_id__in=criteria.exchanges)
        yield others.filter(by_id)
        yield others.filter(Q(related_id__in=criteria.exchanges) & ~Q(related_id="")).exclude(by_id)


def _of_parties(
    rows: QuerySet[Message], own: frozenset[PartyId], with_: PartyId | None
) -> Iterator[QuerySet[Message]]:
    """Each side by its own index, as above; `with_` is at either end."""
    if with_ is not None:
        rows = rows.filter(Q(sender=str(with_)) | Q(receiver=str(with_)))
    if not own:
        yield rows.none()
    for party in sorted(map(str, own)):
        yield rows.filter(sender=party, direction=Direction.IN)
        yield rows.filter(receiver=party, direction=Direction.OUT)


def _after(last: Message) -> str:
    at = last.at.astimezone(UTC)
    return f"{int(at.replace(microsecond=0).timestamp())}{at.microsecond:06}.{last.pk}"


def _before(text: str | None) -> tuple[datetime, int] | None:
    if text is None:
        return None
    at, _, last = text.partition(".")
    parts = (at, last)
    if not all(part.isascii() and part.isdigit() and len(part) <= _MOST_DIGITS for part in parts):
        raise WrongCriterion("before is not what a page before gave.")
    try:
        moment = datetime.fromtimestamp(int(at[:-6] or "0"), UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise WrongCriterion("before is not what a page before gave.") from error
    return moment.replace(microsecond=int(at[-6:])), min(int(last), _LARGEST - 1)


def _party(text: str | None) -> PartyId | None:
    if text is None:
        return None
    try:
        return PartyId.parse(text.replace("*", "-", 1) if "-" not in text else text)
    except ValueError as error:
        raise WrongCriterion(f"party {text!r} is not of the form NL-ABC.") from error


def _direction(text: str | None) -> str | None:
    if text is None or text.upper() in {Direction.IN, Direction.OUT}:
        return text and text.upper()
    raise WrongCriterion(f"direction {text!r} is not in or out.")


def _number(name: str, text: str | None, most: int) -> int | None:
    if text is None:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    if not is_number or not 0 < int(text) < most:
        raise WrongCriterion(f"{name} {text!r} is not a number.")
    return int(text)


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return utc(datetime.fromisoformat(text))
    except (ValueError, InvalidParameters) as error:
        raise WrongCriterion(
            f"{name} {text!r} is not a time such as 2026-03-01T10:00:00Z."
        ) from error
