"""A push on a Receiver interface, as the store keeps it (transport_and_format, Client Owned Object
Push).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final, NamedTuple, Self
from urllib.parse import unquote

import msgspec
from django.utils import timezone

from hub.ocpi import heads
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.lenient import Deviation
from hub.ocpi.party import PartyId
from hub.ocpi.reading import Essentials, Reading, glance, read
from hub.routing.owners import in_url
from hub.routing.request import OcpiRequest

# A clock that runs ahead must not block every later update of the object.
FUTURE_TOLERANCE: Final = timedelta(minutes=5)
# The audience of what was broadcast.
EVERYBODY: Final = ""
# The document of an object that one party alone was told to forget.
ENDED: Final = b""
# `told_by` of an object that its owner itself told.
ITS_OWNER: Final = ""


class PushOutcome(IntEnum):
    """The outcome of a push; falsy when it told nothing new."""

    OLDER = 0
    CHANGED = 1
    CREATED = 2


class PushResult(NamedTuple):
    """The outcome of a push, and the body that tells others of it."""

    kept: PushOutcome
    body: bytes


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push on a Receiver interface, as a module keeps it.

    `ids` are those behind country_code and party_id in the URL, not percent-encoded any more;
    `told_by` is the aggregator ("NL-NAP") that pushes it in its owner's stead.
    """

    method: str
    owner: PartyId
    ids: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes
    audience: str = EVERYBODY
    told_by: str = ITS_OWNER
    # The operator wants deviations of this sender refused.
    is_strict: bool = False
    # What was found to differ from the text; the caller counts it.
    deviations: list[Deviation] = field(default_factory=list, compare=False)

    @classmethod
    def to_hub(cls, request: OcpiRequest) -> Self:
        """The push of a request that tells the hub something for everybody."""
        owner, own = in_url(request.place), request.platform.parties
        return cls(
            method=request.method,
            owner=owner,
            ids=_ids(request),
            query=request.query_params,
            body=request.body,
            told_by=ITS_OWNER if owner in own else str(request.sender),
            is_strict=request.platform.is_strict,
        )

    @classmethod
    def to_one(cls, request: OcpiRequest) -> Self:
        """The push of a request that a single party has accepted."""
        return cls(
            method=request.method,
            owner=in_url(request.place),
            ids=_ids(request),
            query=request.query_params,
            # In a list of one, as some send it, it is an object all the same.
            body=heads.object_of(request.body) or request.body,
            audience=str(request.receiver),
        )

    def read(self, essentials: Essentials) -> Reading:
        """Read the body; InvalidParameters (2001) where the hub cannot answer for it.

        Nothing is refused of a push that one party has accepted.
        """
        is_patch = self.method == "PATCH"
        if self.audience != EVERYBODY:
            if not self.body.lstrip().startswith(b"{"):
                raise InvalidParameters("The body is not an object.")
            found = glance(self.body, essentials, timezone.now(), is_patch=is_patch)
        else:
            found = read(self.body, essentials, is_patch=is_patch)
            if self.is_strict:
                found.refuse_deviations()
        self.deviations.extend(found.deviations)
        return found


def _ids(request: OcpiRequest) -> tuple[str, ...]:
    _country_code, _party_id, *ids = map(unquote, request.place.ids.values())
    return tuple(ids)


def check_ids(pushed: Pushed, sent: Any, key: str = "id") -> None:
    """Refuse (2001) a body that names another object than its URL; a PATCH may name none."""
    if pushed.audience != EVERYBODY:
        return  # Its receiver has taken it as what the URL says.
    in_url = {"country_code": pushed.owner.country_code, "party_id": pushed.owner.party_id}
    for name, expected in (in_url | {key: pushed.ids[0]}).items():
        check_id(sent, name, expected)


def check_id(sent: Any, name: str, expected: str) -> None:
    """Refuse (2001) another `name` in the body than its URL has, or one that cannot be read."""
    value = getattr(sent, name, None)
    if value is msgspec.UNSET or (value is not None and str(value).upper() == expected.upper()):
        return
    said = "cannot be read" if value is None else f"is {str(value)[:80]!r}"
    raise InvalidParameters(f"{name} {said} in the body, it is {expected!r} in the URL.")


def is_older(last_updated: datetime, kept: datetime) -> bool:
    """Whether an update is older than what is kept; a time far ahead guards nothing."""
    return last_updated < kept and not is_far_ahead(kept)


def is_far_ahead(moment: datetime) -> bool:
    """Whether the clock that this time comes from must be wrong."""
    return moment > timezone.now() + FUTURE_TOLERANCE
