"""The rows that a party's own staff see: those of their parties, and no others.

Whatever has no line here has no rows for them. What a page shows beside rows (filters, numbers,
names of others) is the page's own matter: the test of all pages looks for it.
"""

from collections.abc import Callable, Collection
from typing import Any, Final, TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet

from hub.conformance.models import ConformanceCheck
from hub.console.access.roles import parties_of
from hub.deviations.models import DeviationCount
from hub.models import Delivery, Party, Platform
from hub.ocpi.party import PartyId
from hub.record.models import Message
from hub.record.search import own_legs

Row = TypeVar("Row", bound=Model)
Named = Collection[str]


def identities(named: Named) -> frozenset[PartyId]:
    """NL-ABC as it is compared."""
    return frozenset(map(PartyId.parse, named))


def _is(named: Named, country_code: str = "country_code", party_id: str = "party_id") -> Q:
    found = Q(pk__in=())
    for one in identities(named):
        found |= Q(
            **{f"{country_code}__iexact": one.country_code, f"{party_id}__iexact": one.party_id}
        )
    return found


def theirs_alone(named: Named) -> QuerySet[Platform]:
    """Platforms that have no other party: what is told of a platform tells of its parties."""
    others = Party.objects.exclude(_is(named)).values("platform")
    return Platform.objects.filter(parties__in=Party.objects.filter(_is(named))).exclude(
        pk__in=others
    )


def _deliveries(named: Named) -> Q:
    to = _is(named, "to_country_code", "to_party_id")
    return to | _is(named, "from_country_code", "from_party_id")


_OF_PARTY: Final[dict[type[Model], Callable[[Named], Q]]] = {
    Party: _is,
    ConformanceCheck: _is,
    Delivery: _deliveries,
    DeviationCount: lambda named: Q(platform__in=theirs_alone(named)),
    Message: lambda named: own_legs(identities(named)),
}


def rows(user: Any, found: QuerySet[Row]) -> QuerySet[Row]:
    """Those that this account may see."""
    named = parties_of(user)
    if named is None:
        return found
    of_party = _OF_PARTY.get(found.model)
    return found.none() if of_party is None else found.filter(of_party(named))


def only(user: Any) -> frozenset[PartyId] | None:
    """For searches: the parties whose messages the account sees; None for all."""
    named = parties_of(user)
    return None if named is None else identities(named)


def to_them(user: Any, found: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """What may be sent again: to themselves, and not to others."""
    named = parties_of(user)
    if named is None:
        return found
    return found.filter(_is(named, "to_country_code", "to_party_id"))


def is_to_them(user: Any, delivery: Delivery) -> bool:
    """Whether it is for the account's own parties, or for anybody where it sees all."""
    named = parties_of(user)
    to = f"{delivery.to_country_code}-{delivery.to_party_id}".upper()
    return named is None or to in named


def sees_platform(user: Any, platform_id: int) -> bool:
    """Whether what is told of a platform as a whole is theirs."""
    named = parties_of(user)
    return named is None or theirs_alone(named).filter(pk=platform_id).exists()


def check(user: Any, permission: str) -> None:
    """PermissionDenied (403) for who may not."""
    if not user.has_perm(permission):
        raise PermissionDenied
