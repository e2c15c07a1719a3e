"""Sites as their CPO or the operator sets them, and the sessions that go on there."""

from collections.abc import Iterable
from typing import Any, Final

from django.db import transaction

from flex.journal import Topic, note
from flex.sites.limits import Limits
from flex.sites.models import Site, SiteLimit, SiteMember
from hub.db import sql
from hub.ocpi.party import PartyId
from sessions.models import Session

# Of a session `kept` and a member of a site: it goes on there.
AT: Final = """
    upper(site.country_code) = upper(kept.country_code)
    AND upper(site.party_id) = upper(kept.party_id)
    AND upper(member.location_id) = upper(kept.location_id)
    AND (member.evse_uid = '' OR upper(member.evse_uid) = upper(kept.evse_uid))
    AND NOT kept.status IN ('COMPLETED', 'INVALID')
"""
_LIVE: Final = f"""
    SELECT {sql.columns(Session, "kept")} FROM ocpi_sessions_session AS kept
    WHERE EXISTS (
        SELECT FROM flex_api_sitemember AS member JOIN flex_api_site AS site
            ON site.id = member.site_id
        WHERE site.id = %s AND {AT})
      AND upper(kept.location_id) IN (
        SELECT upper(location_id) FROM flex_api_sitemember WHERE site_id = %s)
      AND NOT kept.status IN ('COMPLETED', 'INVALID')
    ORDER BY kept.id
"""  # noqa: S608 - names of ours


def live_at(site: Site) -> list[Session]:
    """The sessions that go on at a site, the earlier first."""
    return sql.rows(Session, _LIVE, (site.pk, site.pk))


def limits_of(site: Site) -> list[Limits]:
    """Its limits as they were told last, one of each unit at most."""
    rows = SiteLimit.objects.filter(site=site, is_current=True).order_by("unit")
    return [Limits.read(row.unit, row.periods) for row in rows]


@transaction.atomic
def put(
    owner: PartyId, name: str, members: Iterable[tuple[str, str]], *, rejects_breaches: bool
) -> tuple[Site, bool]:
    """Make a site, or give it these members; whether it is new. The name's case does not count."""
    site = Site.of(owner).select_for_update().filter(name__iexact=name).first()
    is_new = site is None
    if site is None:
        site = Site.objects.create(
            country_code=owner.country_code,
            party_id=owner.party_id,
            name=name,
            rejects_breaches=rejects_breaches,
        )
    wanted = {(place.upper(), evse.upper()): (place, evse) for place, evse in members}
    site.members.all().delete()
    SiteMember.objects.bulk_create(
        SiteMember(site=site, location_id=place, evse_uid=evse) for place, evse in wanted.values()
    )
    site.rejects_breaches, site.seen = rejects_breaches, ""
    site.save(update_fields=["rejects_breaches", "seen"])
    return site, is_new


@transaction.atomic
def set_limits(site: Site, unit: str, periods: list[dict[str, Any]], *, told_by: str) -> None:
    """Set the limit of a unit from now on; no periods: it has none in this unit.

    Each session that goes on there gets a line in its journal, which its flexibility provider reads
    among the changes.
    """
    Site.objects.select_for_update().get(pk=site.pk)
    current = SiteLimit.objects.filter(site=site, unit=unit, is_current=True)
    if list(current.values_list("periods", flat=True)) == ([periods] if periods else []):
        return
    current.update(is_current=False)
    if periods:
        SiteLimit.objects.create(site=site, unit=unit, periods=periods, told_by=told_by[:100])
    Site.objects.filter(pk=site.pk).update(seen="")
    said = _said(unit, periods)
    for session in live_at(site):
        note(
            session.pk,
            Topic.SITE,
            f"{told_by} has set the limit of site {site.name} of {site.owner}: {said}.",
            cpo=str(site.owner),
            site=site.name,
            unit=unit,
            periods=periods,
        )


def _said(unit: str, periods: list[dict[str, Any]]) -> str:
    if not periods:
        return f"none in {unit} any more"
    first, more = periods[0], len(periods) - 1
    most = first["limit"]
    limit = "none" if most is None else f"{most:.10g} {unit}"
    then = f", and {more} more after it" if more else ""
    return f"{limit} from {first['start']} on{then}"
