"""A site whose CPO wants that a profile which breaks its limit is rejected (SCALE D2.3, 8.4).

What has not left or may have been carried out counts beside what is in force, of each session the
highest; and what cars without a profile take. One profile is judged at a time, and is written
before the next one is.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from charging_profiles.models import ProfileCommand
from flex.journal import Topic, note
from flex.knowledge.profiles import Profile
from flex.sites import keeping, without_profile
from flex.sites.connectors import Connectors
from flex.sites.keeping import AT
from flex.sites.limits import NOTHING, Asking, excess
from flex.sites.models import Site
from hub.db import leases, sql
from sessions.models import Session

_NONE: Final[Mapping[int, Asking]] = {}
_COMMANDS: Final = ProfileCommand._meta.db_table
TAKES_ALL: Final = """
    NOT EXISTS (
        SELECT FROM flex_api_site AS site WHERE site.rejects_breaches
          AND upper(site.country_code) = upper(kept.country_code)
          AND upper(site.party_id) = upper(kept.party_id))
"""
# Of each session that goes on there: the last change that the CPO has taken, where that is a PUT,
# and the PUTs since then of which nobody knows that they have no effect.
_ASKED: Final = f"""
    SELECT kept.id, command.body, command.created_at, command.id IS NOT DISTINCT FROM last.id
    FROM ocpi_sessions_session AS kept
    LEFT JOIN LATERAL (
        SELECT id, created_at FROM {_COMMANDS}
        WHERE session_id = kept.id AND method <> 'GET'
          AND state IN ('ACCEPTED', 'RESULT_ACCEPTED', 'EXPIRED')
        ORDER BY created_at DESC LIMIT 1
    ) AS last ON true
    JOIN {_COMMANDS} AS command ON command.session_id = kept.id AND command.method = 'PUT'
         AND command.created_at >= coalesce(last.created_at, '-infinity')
    WHERE (command.id = last.id OR command.state IN ('WAITING', 'SENDING')
           OR command.sent_at IS NOT NULL
              AND command.state IN ('TIMED_OUT', 'UNREACHABLE', 'NO_RESULT', 'RESULT_OTHER'))
      AND EXISTS (
        SELECT FROM flex_api_sitemember AS member JOIN flex_api_site AS site
            ON site.id = member.site_id
        WHERE site.id = %(site)s AND {AT})
      AND upper(kept.location_id) IN (
        SELECT upper(location_id) FROM flex_api_sitemember WHERE site_id = %(site)s)
      AND NOT kept.status IN ('COMPLETED', 'INVALID')
"""  # noqa: S608 - names of ours


def rejects(session: Session, body: bytes) -> str | None:
    """Why the CPO wants this profile to be rejected: alone or with what is in force it breaks.

    In a transaction that writes it where the answer is None: until it ends nobody else's at these
    sites is judged. Cheap where none rejects. What cannot be read is the CPO's to judge.
    """
    around = [site for site in Site.around(session) if site.rejects_breaches]
    if not around:
        return None
    now = leases.now()
    profile = Profile.read(body, now)
    if profile is None:
        return None
    # A few queries for each car: before the lock, under which others wait.
    cars = _cars_around(around, session.pk, now)
    rows = Site.objects.select_for_update(no_key=True)
    for site in rows.filter(pk__in=[one.pk for one in around]).order_by("pk"):
        reason = _why(site, session.pk, profile, now, cars)
        if reason is not None:
            note(session.pk, Topic.SITE, f"Rejected for {site.owner}: {reason}", site=site.name)
            return reason
    return None


def breaks(session: Session, profile: Profile) -> str | None:
    """The same of what the hub itself is about to send; nobody waits for another's."""
    now = leases.now()
    for site in Site.around(session):
        if site.rejects_breaches and (reason := _why(site, session.pk, profile, now)) is not None:
            return reason
    return None


def _why(
    site: Site, session: int, profile: Profile, now: datetime, cars: Mapping[int, Asking] = _NONE
) -> str | None:
    """Where it takes more than its session's former one: what takes less makes nothing worse.

    `cars` are those without a profile, as far as they have been looked at.
    """
    if not (limited := keeping.limits_of(site)):
        return None
    others, former = _asked(site, session)
    connectors = Connectors([session, *others])
    mine = Asking((profile,), connectors.most(session))
    before = NOTHING if former is None else Asking((former,), connectors.most(session))
    beside = [Asking(tuple(them), connectors.most(pk)) for pk, them in others.items()]
    without = _living(site) - {session} - others.keys()
    there = without_profile.asking(without - cars.keys(), now)
    there |= {pk: cars[pk] for pk in without & cars.keys()}
    all_there = "and what goes on there ask" if there else "and those in force ask"
    beside += there.values()
    for limits in limited:
        for who, together in (("asks", [mine]), (all_there, [mine, *beside])):
            found = excess(limits, together, now, (mine, before))
            if found is not None:
                name = f"site {site.name} of {site.owner}"
                return f"This profile {who} for {found.in_words}: the limit of {name} is broken."
    return None


def _cars_around(sites: Sequence[Site], session: int, now: datetime) -> dict[int, Asking]:
    """What the cars without a profile take at sites with a limit; who comes later is not there."""
    without: set[int] = set()
    for site in sites:
        if keeping.limits_of(site):
            others, _ = _asked(site, session)
            without |= _living(site) - {session} - others.keys()
    return without_profile.asking(without, now)


def _living(site: Site) -> set[int]:
    return {one.pk for one in keeping.live_at(site)}


def _asked(site: Site, session: int) -> tuple[dict[int, list[Profile]], Profile | None]:
    """What the other sessions may have been asked by, and what is in force of this one."""
    others: dict[int, list[Profile]] = defaultdict(list)
    former = None
    rows: list[Any] = sql.run(_ASKED, {"site": site.pk})
    for pk, body, at, is_last in rows:
        profile = Profile.read(bytes(body), at)
        if profile is None:
            continue
        if pk != session:
            others[pk].append(profile)
        elif is_last:
            former = profile
    return others, former
