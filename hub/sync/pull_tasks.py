"""Pulling: the hub fetches the lists of parties that do not push (Client Owned Object Pull).

In the order they run: `queue_due` (by the clock: which lists are there, which are due), `take_turn`
(the Celery task: one platform, for some seconds), `_claim`, `_read_on`, `_commit` (a page's objects
and the next page's URL together), `_fail`. A turn is short, so that a long list or a slow party
holds nobody else up; a platform has one at a time.
"""

import logging
import random
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from celery import shared_task
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now

from hub.db import leases
from hub.db.leases import Lease, lock_name
from hub.models.pulls import Pull, PullState, Untold
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole
from hub.ocpi.modules import AGGREGATED
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.parties import still_alive
from hub.routing.directory import Directory, PartyEntry, holder
from hub.store.kinds import broadcast_kinds
from hub.sync import pulled_objects, pulled_page, tell_pulled
from hub.sync.pulled_page import PageFailed, PageRefused, PulledPage

logger = logging.getLogger(__name__)
# A turn ends after the page that is read then; the platform queues up again behind the others.
TURN_SECONDS: Final = 10.0
# So many objects are stored in one transaction.
CHUNK: Final = 200
# Pauses after failures in a row; after the last one the run is given up until it is due again.
PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600))
_AWAY: Final = timedelta(minutes=1)
_WOKEN_AGAIN: Final = timedelta(seconds=15)
_LONGEST_WAIT: Final = 86_400.0  # seconds
_pause = threading.Event()


class NothingToPull(LookupError):
    """The party is not here, or offers no such list."""


# --- Which lists, and when -----------------------------------------------------------------------


@shared_task(name="pulls.queue_due")
def queue_due() -> None:
    """Take up the lists of new parties, and queue the platforms with a list that is due."""
    _take_up()
    now = leases.now()
    due = Pull.objects.due(now).exclude(woken_at__gt=now - _WOKEN_AGAIN)
    platforms = list(due.values_list("platform", flat=True).distinct()[:1000])
    Pull.objects.due(now).filter(platform__in=platforms).update(woken_at=now)
    for platform_id in platforms:
        outbox.wake("pulls.take_turn", platform_id)


def _take_up() -> None:
    """One row for each list that an agreed party offers, due within the next seconds."""
    wanted = " OR ".join(
        ["(endpoint.identifier = %s AND (party.role = ANY(%s) OR %s AND platform.is_aggregator))"]
        * len(broadcast_kinds())
    )
    told = [
        value
        for module in broadcast_kinds()
        for value in (module, [*pulled_objects.roles_with(module)], module in AGGREGATED)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO hub_pull (
                platform_id, country_code, party_id, module, state, due_at, is_requested,
                is_full_wanted, next_url, pages, stored, unchanged, bad, "foreign", removed,
                failures, last_error, fence)
            SELECT DISTINCT ON (platform.id, country_code, party_id, module)
                   platform.id, upper(party.country_code) AS country_code,
                   upper(party.party_id) AS party_id, endpoint.identifier AS module,
                   'WAITING', %s + random() * %s * interval '1 second', false, false, '',
                   0, 0, 0, 0, 0, 0, 0, '', 0
            FROM hub_platform AS platform
            JOIN hub_party AS party ON party.platform_id = platform.id
                 AND party.admission <> 'CLAIMED' AND NOT party.is_withdrawn
            JOIN hub_endpoint AS endpoint ON endpoint.platform_id = platform.id
                 AND endpoint.role = 'SENDER'
            WHERE platform.registered_at IS NOT NULL AND ({wanted})
              AND NOT EXISTS (
                  SELECT FROM hub_pull AS pull
                  WHERE pull.platform_id = platform.id AND pull.module = endpoint.identifier
                    AND pull.country_code = upper(party.country_code)
                    AND pull.party_id = upper(party.party_id))
            ON CONFLICT DO NOTHING
            """,  # noqa: S608 - placeholders alone
            [leases.now(), settings.PULL_SPLAY, *told],
        )


def request(party: PartyId, modules: Sequence[str], *, full: bool = False) -> list[Pull]:
    """Have the lists of a party read now, whatever the platform's rule says.

    NothingToPull when there is no such party, or none of these lists.
    """
    _take_up()
    entry = holder.refresh().parties.get(party)
    if entry is None:
        raise NothingToPull(f"{party} is not a party of this hub.")
    if entry.status != ConnectionStatus.CONNECTED:
        raise NothingToPull(f"{party} is {entry.status}.")
    offered = [m for m in modules if entry.platform.endpoint(m, InterfaceRole.SENDER) is not None]
    wanted = Pull.objects.filter(
        platform=entry.platform.id,
        country_code=party.country_code,
        party_id=party.party_id,
        module__in=offered,
    )
    wanted.update(is_requested=True, due_at=Now(), failures=0)
    if full:
        wanted.update(is_full_wanted=True)
    if not wanted.exists():
        raise NothingToPull(f"{party} offers no list of {' or '.join(modules)}.")
    outbox.wake("pulls.take_turn", entry.platform.id)
    return list(wanted.order_by("module"))


# --- A turn --------------------------------------------------------------------------------------


@shared_task(name="pulls.take_turn")
def take_turn(platform_id: int) -> bool:
    """Read one list of a platform on for some seconds; returns whether there was any to read."""
    claimed = _claim(platform_id)
    if claimed is None:
        return False
    pull, lease = claimed
    with leases.holding(pull, lease):
        _read_on(pull, lease, time.monotonic() + TURN_SECONDS)
    if Pull.objects.due(leases.now()).filter(platform=platform_id).exists():
        outbox.wake("pulls.take_turn", platform_id)
    return True


def _claim(platform_id: int) -> tuple[Pull, Lease] | None:
    """Lease the list that has waited longest, unless another of the platform is being read."""
    with transaction.atomic():
        lock_name(f"pull:{platform_id}")
        now = leases.now()
        rows = Pull.objects.filter(platform=platform_id)
        if rows.filter(lease_until__gt=now).exists():
            return None
        pull = Pull.objects.due(now).filter(platform=platform_id).order_by("due_at", "id").first()
        if pull is None:
            return None
        lease = leases.take(pull)
        if lease is None:
            return None
        # Behind the platform's other lists, if this turn is not the last.
        pull.due_at, pull.woken_at = now, None
        pull.save(update_fields=["due_at", "woken_at"])
        return pull, lease


def _read_on(pull: Pull, lease: Lease, until: float) -> None:
    """Page after page, until the list or the turn is over, or another worker may have it."""
    visited: set[str] = set()
    digest = b""
    while lease.is_held:
        directory = holder.current()
        party = directory.parties.get(pull.identity)
        endpoint = None if party is None else _endpoint(pull, party)
        if party is None or endpoint is None or party.status != ConnectionStatus.CONNECTED:
            _postpone(pull)
            return
        if not pull.next_url:
            pull.begin(leases.now(), "")
            pull.next_url = pulled_page.first_url(endpoint, pull.date_from)
        visited.add(pull.next_url)
        try:
            page = pulled_page.read(pull.next_url, pull.module, party, directory.hub)
            is_over = _commit(pull, lease, page, directory, visited, repeats=page.digest == digest)
        except PageRefused as error:
            _refused(pull, lease, error)
            return
        except PageFailed as error:
            _fail(pull, lease, str(error), error.seconds)
            return
        except DatabaseError as error:
            # The text of the error may quote a Token.
            said = f"the database refuses the page ({type(error).__name__})"
            _fail(pull, lease, said, None)
            return
        digest = page.digest
        if is_over or time.monotonic() > until:
            return
        _pause.wait(settings.PULL_PAUSE)


def _endpoint(pull: Pull, party: PartyEntry) -> str | None:
    """The endpoint of the list; None when the party does not belong to this platform any more."""
    if party.platform.id != pull.platform_id or not party.platform.is_registered:
        return None
    may_tell = party.roles & pulled_objects.roles_with(pull.module) or (
        party.platform.is_aggregator and pull.module in AGGREGATED
    )
    if not party.is_agreed or not may_tell:
        return None
    return party.platform.endpoint(pull.module, InterfaceRole.SENDER)


def _commit(
    pull: Pull,
    lease: Lease,
    page: PulledPage,
    directory: Directory,
    visited: set[str],
    *,
    repeats: bool,
) -> bool:
    """Store a page's objects, some in each transaction, then tell of them; True for the last page.

    The last of its transactions goes on to the next page: a process that dies before reads this
    page again. What it has kept by then is told of all the same (hub/sync/tell_pulled.py).
    """
    objects = [] if repeats else pulled_objects.objects_of(pull, page, directory)
    untold: list[Untold | None] = []
    while len(objects) > CHUNK:
        with transaction.atomic():
            _locked(pull, lease)
            untold.append(pulled_objects.keep(pull, objects[:CHUNK], page.correlation_id))
        del objects[:CHUNK]
    with transaction.atomic():
        before = _locked(pull, lease)
        # An operator may have asked for it meanwhile.
        pull.is_requested, pull.is_full_wanted = before.is_requested, before.is_full_wanted
        untold.append(pulled_objects.keep(pull, objects, page.correlation_id))
        pull.pages += 1
        pull.failures, pull.last_error = 0, ""
        read = pull.stored + pull.unchanged + pull.bad + pull.foreign + pull.over_quota
        followers = [] if repeats else page.followers(read)
        following = next((url for url in followers if url not in visited), None)
        if following is not None:
            pull.next_url = following
        else:
            untold.append(_finish(pull, page, read, is_looping=repeats or bool(followers)))
        _save(pull)
    for one in untold:
        if one is not None:
            _tell(one.pk)
    return following is None


def _locked(pull: Pull, lease: Lease) -> Pull:
    """The row as it is; PageFailed when another worker has it."""
    before = Pull.objects.select_for_update().get(pk=pull.pk)
    if before.fence != lease.fence:
        raise PageFailed("another worker has taken over")
    return before


def _tell(pk: int) -> None:
    """Tell others of the page; the clock tells what this leaves."""
    try:
        while tell_pulled.tell(pk):
            pass
    except DatabaseError as error:
        logger.warning("what was pulled is told later: %s", type(error).__name__)


def _finish(pull: Pull, page: PulledPage, read: int, *, is_looping: bool) -> Untold | None:
    """The list has ended: whole, or in a circle, or before its X-Total-Count.

    Returns what is to be told of objects that it no longer has.
    """
    now = leases.now()
    problem = ""
    if page.is_short(read) and (page.items or pull.date_from is None):
        problem = f"the list ended after {read} of {page.total} objects"
    elif is_looping and page.total is None:
        problem = f"the list leads back to a page that was read, after {read} objects"
    is_whole = not problem and pull.date_from is None
    gone = pulled_objects.remove_gone(pull) if is_whole else None
    pull.finish(now, _due_again(now), problem)
    logger.info(
        "%s: %s pages, %s stored, %s unchanged, %s not valid, %s of others, %s over quota, "
        "%s removed%s",
        pull,
        pull.pages,
        pull.stored,
        pull.unchanged,
        pull.bad,
        pull.foreign,
        pull.over_quota,
        pull.removed,
        f"; {problem}" if problem else "",
    )
    return gone


# --- What goes wrong -----------------------------------------------------------------------------


def _fail(pull: Pull, lease: Lease, message: str, asked: float | None) -> None:
    """Try the page again, after the seconds that the party asked for; after some times give up."""
    now = leases.now()
    pull.refresh_from_db()
    if pull.fence != lease.fence:
        return
    pull.failures += 1
    pull.last_error = message[:300]
    if asked is not None:
        pull.due_at = now + timedelta(seconds=min(asked, _LONGEST_WAIT))
    elif pull.failures <= len(PAUSES):
        pull.due_at = now + PAUSES[pull.failures - 1]
    else:
        _give_up(pull, now)
    _save(pull)
    logger.warning("%s: %s; again at %s", pull, message, f"{pull.due_at:%H:%M:%S}")
    if asked is None:
        still_alive.queue_check(pull.platform_id)


def _refused(pull: Pull, lease: Lease, error: PageRefused) -> None:
    """A later page is refused: its URL has run out, begin anew. The first one: given up."""
    is_first_page = pull.pages == 0
    pull.refresh_from_db()
    if pull.fence != lease.fence:
        return
    now = leases.now()
    pull.last_error = str(error)[:300]
    pull.next_url = ""
    if is_first_page or pull.failures:
        _give_up(pull, now)
    else:
        pull.failures, pull.due_at = 1, now + PAUSES[0]
    _save(pull)
    logger.warning("%s: %s; again at %s", pull, error, f"{pull.due_at:%H:%M:%S}")


def _give_up(pull: Pull, now: datetime) -> None:
    pull.state, pull.is_requested, pull.failures = PullState.FAILED, False, 0
    pull.due_at = _due_again(now)


def _postpone(pull: Pull) -> None:
    """The party is away, or its list is: ask later; the operator's wish stays."""
    pull.due_at = leases.now() + _AWAY
    pull.save(update_fields=["due_at"])


def _due_again(now: datetime) -> datetime:
    """When the next run is due, spread so that not all lists are due together."""
    spread = random.uniform(0.9, 1.0)  # noqa: S311 - no secret
    return now + timedelta(seconds=settings.PULL_EVERY * spread)


def _save(pull: Pull) -> None:
    """Save all fields except those that others write meanwhile; a newer wish stays, too."""
    pull.save(
        update_fields=[
            "state", "due_at", "is_requested", "is_full_wanted", "begun_at", "date_from",
            "next_url", "seen_until", "pages", "stored", "unchanged", "bad", "foreign", "removed",
            "over_quota", "failures", "last_error", "high_water_mark", "finished_at",
            "full_finished_at",
        ]
    )  # fmt: skip
