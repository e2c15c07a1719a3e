"""A CPO's sites: set and read with its own key (SCALE D2.3, 8.4)."""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse

from flex.api.base import FlexView, body_of, nothing
from flex.api.keys import Caller
from flex.api.models import Use
from flex.api.objects import (
    Breach,
    LimitPeriod,
    Member,
    NewSite,
    SiteLimits,
    SiteShown,
    Strangers,
)
from flex.api.problems import conflict, invalid, not_found
from flex.sites import keeping, watch
from flex.sites.keeping import AT
from flex.sites.models import MOST_MEMBERS, MOST_PERIODS, Site, SiteLimit
from hub.db import leases, sql
from hub.ocpi import lenient
from hub.ocpi.party import PartyId
from hub.views import answer_json

MOST_SITES: Final = 10_000
_OF_FSP: Final = f"""
    SELECT DISTINCT site.id, kept.session_id
    FROM flex_fspassignment AS mine
    JOIN ocpi_sessions_session AS kept ON kept.id = mine.session_id
    JOIN flex_api_sitemember AS member ON upper(member.location_id) = upper(kept.location_id)
    JOIN flex_api_site AS site ON site.id = member.site_id
    WHERE upper(mine.fsp_country_code) = %s AND upper(mine.fsp_party_id) = %s
      AND mine.ended_at IS NULL AND {AT}
    ORDER BY 1, 2
"""  # noqa: S608 - names of ours


class Sites(FlexView):
    """GET: the caller's sites."""

    use = Use.CPO

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """All of them, by name."""
        sites = Site.of(caller.party).order_by("name")
        return answer_json([shown(site, _all_at(site)) for site in sites])


class SiteOne(FlexView):
    """GET, PUT and DELETE of one site of the caller's."""

    use = Use.CPO

    def get(self, caller: Caller, request: HttpRequest, name: str) -> HttpResponse:
        """With its limits, a breach if there is one, and the sessions that go on there."""
        site = _found(caller.party, name)
        return answer_json(shown(site, _all_at(site)))

    def put(self, caller: Caller, request: HttpRequest, name: str) -> HttpResponse:
        """Make it, or give it these members and limits; 201 where it is new."""
        wanted = body_of(request, NewSite)
        _check_name(name)
        if len(wanted.members) > MOST_MEMBERS:
            raise invalid(f"A site has at most {MOST_MEMBERS} members.")
        limits = [(one.unit, _periods(one)) for one in wanted.limits or ()]
        if len({unit for unit, _ in limits}) < len(limits):
            raise invalid("Tell one list of limits for a unit.")
        is_known = Site.of(caller.party).filter(name__iexact=name).exists()
        if not is_known and Site.of(caller.party).count() >= MOST_SITES:
            raise conflict("TOO_MANY_SITES", f"A CPO has at most {MOST_SITES} sites here.")
        members = [(one.location_id, one.evse_uid or "") for one in wanted.members]
        site, is_new = keeping.put(
            caller.party, name, members, rejects_breaches=wanted.rejects_breaches
        )
        for unit, periods in limits:
            keeping.set_limits(site, unit, periods, told_by=str(caller.party))
        status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
        return answer_json(shown(_found(caller.party, name), _all_at(site)), status)

    def delete(self, caller: Caller, request: HttpRequest, name: str) -> HttpResponse:
        """Forget it, with its limits."""
        site = _found(caller.party, name)
        for unit in SiteLimit.objects.filter(site=site, is_current=True).values_list("unit"):
            keeping.set_limits(site, unit[0], [], told_by=str(caller.party))
        site.delete()
        return nothing()


class LimitOfSite(FlexView):
    """PUT: the limit of one of the caller's sites, as often as it changes."""

    use = Use.CPO

    def put(self, caller: Caller, request: HttpRequest, name: str) -> HttpResponse:
        """The whole list of a unit; an empty one takes the limit away."""
        site = _found(caller.party, name)
        told = body_of(request, SiteLimits)
        keeping.set_limits(site, told.unit, _periods(told), told_by=str(caller.party))
        return answer_json(shown(_found(caller.party, name), _all_at(site)))


def _found(owner: PartyId, name: str) -> Site:
    site = Site.of(owner).filter(name__iexact=name).first()
    if site is None:
        raise not_found(f"{owner} has no site {name!r}.")
    return site


def _check_name(name: str) -> None:
    if not 0 < len(name) <= 64 or not all(c.isalnum() or c in "_.:- " for c in name):
        raise invalid("A site's name has 1 to 64 letters, digits, or any of _ . : - and blanks.")


def _periods(told: SiteLimits) -> list[dict[str, Any]]:
    """As they are kept: in their order, moments in UTC."""
    if len(told.periods) > MOST_PERIODS:
        raise invalid(f"A list has at most {MOST_PERIODS} periods.")
    found: dict[datetime, dict[str, Any]] = {}
    for period in told.periods:
        start = lenient.moment(period.start)
        if start is None:
            raise invalid(f"start is not a time: {period.start!r}.")
        if period.limit is not None and not 0 <= period.limit < 10**12:
            raise invalid("A limit is not below 0; null is none.")
        if start in found:
            raise invalid("Two periods start at the same time.")
        limit = None if period.limit is None else float(period.limit)
        found[start] = {"start": start.isoformat().replace("+00:00", "Z"), "limit": limit}
    # As text a half second would come before the whole one.
    return [found[start] for start in sorted(found)]


# --- As they are shown ----------------------------------------------------------------------------


def of_fsp(fsp: PartyId) -> list[SiteShown]:
    """The sites of the sessions that a party may steer, each with these sessions."""
    found: dict[int, list[str]] = defaultdict(list)
    for pk, session_id in sql.run(_OF_FSP, (fsp.country_code, fsp.party_id)):
        found[pk].append(session_id)
    sites = Site.objects.filter(pk__in=found).order_by("country_code", "party_id", "name")
    return [
        msgspec.structs.replace(
            shown(site, found[site.pk]), strangers=_strangers(site, set(found[site.pk]))
        )
        for site in sites
    ]


def _strangers(site: Site, own: set[str]) -> list[Strangers]:
    """What the other sessions take now, in each unit in which the site has a limit."""
    others = [one.pk for one in keeping.live_at(site) if one.session_id not in own]
    if not others:
        return []
    now = leases.now()
    asking = watch.asking_of(others, now)
    return [
        Strangers(
            unit=limits.unit,  # type: ignore[arg-type]
            taken=sum((one.taken(limits.unit, now) for one in asking.values()), Decimal(0)),
            sessions=len(asking),
        )
        for limits in keeping.limits_of(site)
    ]


def _all_at(site: Site) -> list[str]:
    return [session.session_id for session in keeping.live_at(site)]


def shown(site: Site, sessions: list[str]) -> SiteShown:
    """A site with its limits; `sessions` are those that the reader may know of."""
    limits = SiteLimit.objects.filter(site=site, is_current=True).order_by("unit")
    breach = site.breach
    return SiteShown(
        cpo=str(site.owner),
        name=site.name,
        members=[
            Member(location_id=one.location_id, evse_uid=one.evse_uid or None)
            for one in site.members.order_by("location_id", "evse_uid")
        ],
        rejects_breaches=site.rejects_breaches,
        limits=[
            SiteLimits(
                unit=one.unit,  # type: ignore[arg-type]
                periods=[
                    LimitPeriod(start=period["start"], limit=period["limit"])
                    for period in one.periods
                ],
            )
            for one in limits
        ],
        breach=None if breach is None else Breach(**breach),
        sessions=sessions,
    )
