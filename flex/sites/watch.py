"""What is in force at a site beside its limit: breaches are told (rejecting.py: or rejected).

The CPO's word wins: nobody's profile is altered. A breach is a fact of all profiles together, and
is told to the CPO, and to the flexibility providers of the sessions that take part in it.
"""

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from charging_profiles.models import ProfileCommand, Purpose
from flex import hub_commands
from flex.full_rate import FullRates
from flex.journal import Topic, note
from flex.knowledge.profiles import Profile
from flex.sites import keeping, without_profile
from flex.sites.connectors import Connectors
from flex.sites.keeping import AT
from flex.sites.limits import Asking, Excess, Limits, excess
from flex.sites.models import Site, SiteLimit
from hub.db import leases, sql
from hub.db.one_by_one import each
from sessions.models import Session

logger = logging.getLogger(__name__)
# Limits and profiles that are as they were are looked at again after so long: time goes on.
AGAIN: Final = timedelta(minutes=1)
# Such a part of a share is worth another command.
NOTEWORTHY: Final = Decimal("0.1")
_COMMANDS: Final = ProfileCommand._meta.db_table
# Of a session `kept`: the last change that the CPO has taken.
_LAST_TAKEN: Final = f"""
    LEFT JOIN LATERAL (
        SELECT command.id, command.method, command.purpose FROM {_COMMANDS} AS command
        WHERE command.session_id = kept.id AND command.method <> 'GET'
          AND command.state IN ('ACCEPTED', 'RESULT_ACCEPTED', 'EXPIRED')
        ORDER BY command.created_at DESC LIMIT 1
    ) AS last ON true
"""  # noqa: S608 - names of ours
# The sessions that go on at these sites, with that.
_IN_FORCE: Final = f"""
    SELECT DISTINCT site.id, kept.id, last.id, last.method, last.purpose
    FROM flex_api_site AS site
    JOIN flex_api_sitemember AS member ON member.site_id = site.id
    JOIN ocpi_sessions_session AS kept ON {AT}
    {_LAST_TAKEN}
    WHERE site.id = ANY(%s)
    ORDER BY 1, 2
"""  # noqa: S608 - names of ours


@dataclass(frozen=True, slots=True)
class InForce:
    """The last profile that the CPO has taken of a session, by the command that set it.

    None: it has none, or none any more.
    """

    session: int
    command: int | None
    is_release: bool


def watch() -> int:
    """Look at all sites with a limit where something has changed; how many were looked at."""
    limited = SiteLimit.objects.filter(is_current=True).values_list("site_id", flat=True)
    found = {pk: list[InForce]() for pk in limited}
    if not found:
        return 0
    for site, *taken_last in sql.run(_IN_FORCE, (list(found),)):
        found[site].append(_in_force(*taken_last))
    now = leases.now()
    looked: list[bool] = []
    each(found, lambda pk: looked.append(_look(pk, found[pk], now)))
    return sum(looked)


def _in_force(
    session: int, command: int | None, method: str | None, purpose: str | None
) -> InForce:
    """None after a DELETE."""
    if method != "PUT":
        return InForce(session, None, is_release=False)
    return InForce(session, command, purpose == Purpose.RELEASE)


def _look(pk: int, taking: Sequence[InForce], now: datetime) -> bool:
    seen = hashlib.sha256(repr(taking).encode()).hexdigest()
    site = Site.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
    if site is None or _is_seen(site, seen, now):
        return False
    profiles = _profiles(taking)
    asking = _all_asking(taking, profiles, now)
    found = _first(keeping.limits_of(site), asking.values(), now)
    _tell(site, found, asking, now, frozenset(profiles))
    released = {one.session for one in taking if one.is_release}
    _share_anew(site, {pk: one for pk, one in profiles.items() if pk in released}, now)
    site.seen, site.looked_at = seen, now
    site.save(update_fields=["seen", "looked_at", "breach"])
    return True


def _is_seen(site: Site, seen: str, now: datetime) -> bool:
    return site.seen == seen and site.looked_at is not None and now - site.looked_at < AGAIN


def _profiles(taking: Iterable[InForce]) -> dict[int, Profile]:
    """By session; one that cannot be read takes no part."""
    by_command = {one.command: one.session for one in taking if one.command is not None}
    rows = ProfileCommand.objects.filter(pk__in=by_command)
    found = {}
    for pk, body, at in rows.values_list("pk", "body", "created_at"):
        profile = Profile.read(bytes(body), at)
        if profile is not None:
            found[by_command[pk]] = profile
    return found


def _asking(profiles: Mapping[int, Profile]) -> dict[int, Asking]:
    connectors = Connectors(profiles)
    return {pk: Asking((one,), connectors.most(pk)) for pk, one in profiles.items()}


_LAST: Final = f"""
    SELECT kept.id, last.id, last.method, last.purpose FROM ocpi_sessions_session AS kept
    {_LAST_TAKEN}
    WHERE kept.id = ANY(%s)
"""  # noqa: S608 - names of ours


def asking_of(sessions: Sequence[int], now: datetime) -> dict[int, Asking]:
    """What these sessions ask for now: by the profile in force, or without one."""
    taking = [_in_force(*row) for row in sql.run(_LAST, (list(sessions),))]
    return _all_asking(taking, _profiles(taking), now)


def _all_asking(
    taking: Sequence[InForce], profiles: Mapping[int, Profile], now: datetime
) -> dict[int, Asking]:
    without = [one.session for one in taking if one.session not in profiles]
    return _asking(profiles) | without_profile.asking(without, now)


def _first(limits: Iterable[Limits], asking: Collection[Asking], now: datetime) -> Excess | None:
    found = [one for each in limits if (one := excess(each, asking, now)) is not None]
    return min(found, key=lambda one: one.at) if found else None


def _tell(
    site: Site,
    found: Excess | None,
    asking: Mapping[int, Asking],
    now: datetime,
    with_profile: frozenset[int],
) -> None:
    """Once where a breach begins, changes, or ends."""
    former = site.breach
    if found is None:
        if former is not None:
            site.breach = None
            _note(site, asking, f"The limit of site {site.name} of {site.owner} is kept again.")
        return
    taking = [pk for pk, one in asking.items() if one.asked(found.unit, found.at)]
    profiles = len(with_profile.intersection(taking))
    kept = _kept(found, now, profiles, len(taking) - profiles)
    if former is not None and _amounts(former) == _amounts(kept):
        return
    site.breach = kept | ({"since": former["since"]} if former else {})
    where = f"at site {site.name} of {site.owner}"
    logger.warning("site %s of %s: %s", site.name, site.owner, kept["in_words"])
    words = _who(profiles, len(taking) - profiles, where)
    _note(site, taking, f"{words} {found.in_words}: the limit is broken.", **kept)


def _who(profiles: int, cars: int, where: str) -> str:
    """Who asks for it: profiles, and cars that have none."""
    if profiles == 1 and not cars:
        return f"The profile in force {where} asks for"
    of_cars = f"{cars} {'car' if cars == 1 else 'cars'} without a profile"
    if not profiles:
        return f"{of_cars} {where} {'takes' if cars == 1 else 'take'}"
    of_profiles = f"{profiles} {'profile' if profiles == 1 else 'profiles'} in force {where}"
    return f"{of_profiles}, and {of_cars}, ask for" if cars else f"{of_profiles} ask for"


def _amounts(breach: dict[str, Any]) -> tuple[Any, ...]:
    return breach["unit"], Decimal(str(breach["limit"])), Decimal(str(breach["sum"]))


def _kept(found: Excess, now: datetime, profiles: int, cars: int) -> dict[str, Any]:
    return {
        "at": _text(found.at),
        "unit": found.unit,
        "limit": float(found.limit),
        "sum": float(found.sum),
        "since": _text(now),
        "in_words": f"{_who(profiles, cars, 'here') if cars else 'The profiles in force ask for'} "
        f"{found.in_words}.",
    }


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _note(site: Site, sessions: Iterable[int], reason: str, **detail: Any) -> None:
    for session in sessions:
        note(session, Topic.SITE, reason, cpo=str(site.owner), site=site.name, **detail)


def _share_anew(site: Site, released: dict[int, Profile], now: datetime) -> None:
    """Sessions that the hub has released get their share as it is now: nobody else raises it."""
    rates = FullRates(now)
    for session in Session.objects.filter(pk__in=released):
        profile = released[session.pk]
        rate, has = rates.of(session).in_unit(profile.unit), profile.at(now)
        if rate is None or has is None or rate == has:
            continue
        if not rate or not has or abs(rate - has) >= NOTEWORTHY * has:
            why = f"Its share of site {site.name} of {site.owner} has changed."
            hub_commands.release(session, why)
