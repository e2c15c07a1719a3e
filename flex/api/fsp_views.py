"""What a flexibility provider reads: its sessions, changes, and sites (SCALE D2.3, 8.4)."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from flex.api import changes, site_views
from flex.api.base import MOST_ON_A_PAGE, FlexView, number_in_query
from flex.api.changes import Cursor, Watch
from flex.api.keys import Caller
from flex.api.models import Use
from flex.api.objects import FspSession, FspSessions
from flex.api.problems import not_found
from flex.api.shown import Shower, briefly, coverage_of
from flex.models import FspAssignment
from hub.db import leases
from hub.ocpi.party import PartyId
from hub.views import NothingYet, answer_json
from sessions.models import Session

logger = logging.getLogger(__name__)
LONGEST_WAIT: Final = 25  # seconds
_MOST: Final = 2**62


def own(fsp: PartyId) -> "QuerySet[FspAssignment]":
    """The open assignments of a party."""
    return FspAssignment.objects.filter(
        fsp_country_code__iexact=fsp.country_code,
        fsp_party_id__iexact=fsp.party_id,
        ended_at__isnull=True,
    )


class FspSessionList(FlexView):
    """GET: the sessions that the caller may steer, a page at a time."""

    use = Use.FSP

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """`?after=` where the last page has ended, `?limit=` at most 100, `?detail=full`.

        Without that they have what the driver wants, and nothing that takes long to find.
        """
        after = number_in_query(request, "after", 0, _MOST)
        limit = number_in_query(request, "limit", MOST_ON_A_PAGE, MOST_ON_A_PAGE) or 1
        cursor = changes.now()
        rows = own(caller.party).filter(session_id__gt=after, session__is_accepted=True)
        page = list(rows.select_related("session").order_by("session_id")[:limit])
        is_full = request.GET.get("detail") == "full"
        shown = _fully(page) if is_full else briefly(page)
        return answer_json(
            FspSessions(
                sessions=shown,
                after=page[-1].session_id if len(page) == limit else None,
                cursor=cursor.text(),
            )
        )


def _fully(page: Sequence[FspAssignment]) -> list[FspSession]:
    """One session of which something cannot be computed does not take the page from the others."""
    shower, found = Shower(), list[FspSession]()
    for one in page:
        try:
            found.append(shower.fsp_session(one.session, one))
        except (ArithmeticError, ValueError):
            # What a party has told is beyond all reckoning: it is shown as in the brief list.
            logger.exception("session %s cannot be shown in full", one.session_id)
            found += briefly([one])
    return found


class FspSessionOne(FlexView):
    """GET: one session that the caller may steer."""

    use = Use.FSP

    def get(
        self,
        caller: Caller,
        request: HttpRequest,
        country_code: str,
        party_id: str,
        session_id: str,
    ) -> HttpResponse:
        """404 where the caller is not its flexibility provider, whoever else is."""
        session = found_session(country_code, party_id, session_id)
        assignment = own(caller.party).filter(session=session).first() if session else None
        if session is None or assignment is None:
            raise not_found(f"{caller.party} is flexibility provider of no such session.")
        return answer_json(Shower().fsp_session(session, assignment))


class FspCoverage(FlexView):
    """GET: which data objects of a session are known, since when, by which message."""

    use = Use.FSP

    def get(
        self,
        caller: Caller,
        request: HttpRequest,
        country_code: str,
        party_id: str,
        session_id: str,
    ) -> HttpResponse:
        """Each of SCALE D2.3, 8.4.1.1 and 11.1; 404 as for the session itself."""
        session = found_session(country_code, party_id, session_id)
        if session is None or not own(caller.party).filter(session=session).exists():
            raise not_found(f"{caller.party} is flexibility provider of no such session.")
        return answer_json(coverage_of(session, leases.now(), caller.party))


class FspChanges(FlexView):
    """GET: what has changed since a cursor."""

    use = Use.FSP

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """At once; with `?wait=` seconds (at most 25) as soon as something has.

        `?topics=` are those that count, with commas between them.
        """
        text = request.GET.get("cursor", "")
        cursor = Cursor.parse(text) if text else changes.now()
        wait = number_in_query(request, "wait", 0, LONGEST_WAIT)
        topics = changes.topics_of(request.GET.get("topics", ""))
        found = changes.since(caller.party, cursor, topics)
        if found.changes or not wait:
            return answer_json(found)
        watch = Watch(caller.party, cursor, topics)
        return NothingYet(answer_json(found), wait, watch, changes.news, partial(_look, watch))


def _look(watch: Watch) -> HttpResponse | None:
    found = changes.since(*watch)
    return answer_json(found) if found.changes else None


class FspSites(FlexView):
    """GET: the sites of the sessions that the caller may steer."""

    use = Use.FSP

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """With the limits in force, and the caller's own sessions of each."""
        return answer_json(site_views.of_fsp(caller.party))


def found_session(country_code: str, party_id: str, session_id: str) -> Session | None:
    """The session of this CPO, once somebody has accepted it."""
    try:
        owner = PartyId.of(country_code, party_id)
    except ValueError:
        return None
    session = Session.find(owner, session_id)
    return session if session is not None and session.is_accepted else None
