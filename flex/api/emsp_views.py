"""What an eMSP's back-end and its drivers' apps read and ask (SCALE D2.3, 8.4 and 11.1)."""

from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Final

import msgspec
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from flex.api import preferences, preparing, wishes
from flex.api.base import MOST_ON_A_PAGE, FlexView, body_of, nothing, number_in_query
from flex.api.emsp_shown import emsp_session
from flex.api.fsp_views import found_session
from flex.api.keys import Caller
from flex.api.models import Prepared, PreparedState, Use
from flex.api.objects import (
    CpoSaid,
    EmspSessions,
    PreferencesTold,
    PreparedPreferences,
    PreparedShown,
    SessionName,
    WishedPreferences,
    Wishes,
)
from flex.api.preferences import Said
from flex.api.problems import conflict, forbidden, invalid, not_found
from flex.api.shown import Shower
from hub.db import leases
from hub.ocpi import lenient
from hub.ocpi.headers import new_id
from hub.views import MessageFirst, Problem, answer_json
from sessions.models import Session

_MOST: Final = 2**62
# How long preferences wait for their session at most; where nothing is said, a day.
_LONGEST: Final = timedelta(days=31)
_USUAL: Final = timedelta(hours=24)
# Of one eMSP, that wait.
MOST_PREPARED: Final = 100_000
_NO_ANSWER: Final = {4002: HTTPStatus.GATEWAY_TIMEOUT, 4003: HTTPStatus.BAD_GATEWAY}


class EmspSessionList(FlexView):
    """GET: the sessions of the caller's drivers, or of the driver alone, the latest first."""

    use = Use.EMSP
    for_drivers = True

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """`?token_uid=` of one driver, `?before=` where the last page has ended, `?limit=`."""
        before = number_in_query(request, "before", _MOST, _MOST)
        limit = number_in_query(request, "limit", 20, MOST_ON_A_PAGE) or 1
        rows = _of(caller).filter(pk__lt=before)
        if token_uid := request.GET.get("token_uid", ""):
            rows = rows.filter(token_uid__iexact=token_uid)
        page = list(rows.order_by("-pk")[:limit])
        shower = Shower()
        return answer_json(
            EmspSessions(
                sessions=[emsp_session(one, shower) for one in page],
                before=page[-1].pk if len(page) == limit else None,
            )
        )


class EmspSessionOne(FlexView):
    """GET: one session, with plan, progress, cost and saving."""

    use = Use.EMSP
    for_drivers = True

    def get(
        self,
        caller: Caller,
        request: HttpRequest,
        country_code: str,
        party_id: str,
        session_id: str,
    ) -> HttpResponse:
        """404 for another eMSP's, and for a driver another driver's."""
        session = _own(caller, country_code, party_id, session_id)
        return answer_json(emsp_session(session, Shower()))


class SessionPreferences(FlexView):
    """PUT: what the driver wants; it becomes the OCPI call at the CPO, in the eMSP's name."""

    use = Use.EMSP
    for_drivers = True

    def put(
        self,
        caller: Caller,
        request: HttpRequest,
        country_code: str,
        party_id: str,
        session_id: str,
    ) -> HttpResponse:
        """200 with the CPO's answer in words, whatever it is; 502 or 504 without one."""
        session = _own(caller, country_code, party_id, session_id)
        wanted = body_of(request, WishedPreferences)
        if session.is_over:
            raise conflict("SESSION_OVER", "The session is over; nothing can be asked of it.")
        body, wished = preferences.document(wanted), wishes.checked(wanted.wishes)
        wishes.keep(session, wished)
        message = preferences.message(session, body, new_id())
        return MessageFirst(message, partial(_told, session, message.correlation_id))


def _told(session: Session, correlation_id: str, http_status: int, body: bytes) -> HttpResponse:
    said = Said.of(http_status, body)
    shown = said.shown(str(session.owner))
    if http_status < 300 and 4000 <= (said.status_code or 0) <= 4999:
        status = _NO_ANSWER.get(said.status_code or 0, HTTPStatus.BAD_GATEWAY)
        return Problem(status, "NO_ANSWER", shown.in_words).response()
    return answer_json(
        PreferencesTold(
            country_code=session.owner.country_code,
            party_id=session.owner.party_id,
            session_id=session.session_id,
            correlation_id=correlation_id,
            cpo=shown,
        )
    )


def _of(caller: Caller) -> "QuerySet[Session]":
    """The sessions that a caller may see."""
    rows = Session.objects.filter(
        emsp_country_code__iexact=caller.party.country_code,
        emsp_party_id__iexact=caller.party.party_id,
        is_accepted=True,
    )
    if caller.is_driver:
        key = caller.key
        rows = rows.filter(token_uid__iexact=key.token_uid, token_type__in=("", key.token_type))
    return rows


def _own(caller: Caller, country_code: str, party_id: str, session_id: str) -> Session:
    session = found_session(country_code, party_id, session_id)
    if session is None or not _of(caller).filter(pk=session.pk).exists():
        raise not_found("There is no such session that this key may see.")
    return session


# --- Before the session ---------------------------------------------------------------------------


class PreparedList(FlexView):
    """GET: preferences that were given before their session; POST: more of them."""

    use = Use.EMSP
    for_drivers = True

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """The latest first, at most 100; `?token_uid=` of one driver."""
        rows = _prepared(caller)
        if token_uid := request.GET.get("token_uid", ""):
            rows = rows.filter(token_uid__iexact=token_uid)
        page = rows.select_related("session").order_by("-id")[:MOST_ON_A_PAGE]
        return answer_json([_shown(one) for one in page])

    def post(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """201; earlier ones for the same token or reference that still wait are replaced."""
        wanted = body_of(request, PreparedPreferences)
        row = _row(caller, wanted)
        waiting = _prepared(caller).filter(state=PreparedState.WAITING)
        if waiting.count() >= MOST_PREPARED:
            raise conflict("TOO_MANY", f"{MOST_PREPARED} preferences wait already.")
        preparing.add(row)
        return answer_json(_shown(row), HTTPStatus.CREATED)


class PreparedOne(FlexView):
    """GET and DELETE of one of them."""

    use = Use.EMSP
    for_drivers = True

    def get(self, caller: Caller, request: HttpRequest, pk: int) -> HttpResponse:
        """With what came of it."""
        return answer_json(_shown(_found(caller, pk)))

    def delete(self, caller: Caller, request: HttpRequest, pk: int) -> HttpResponse:
        """204; 409 where they have left already."""
        row = _found(caller, pk)
        if not preparing.withdraw(Prepared.objects.filter(pk=row.pk)):
            raise conflict("HAS_LEFT", f"They are {PreparedState(row.state).label}.")
        return nothing()


def _prepared(caller: Caller) -> "QuerySet[Prepared]":
    rows = Prepared.objects.filter(
        country_code=caller.party.country_code, party_id=caller.party.party_id
    )
    if caller.is_driver:
        rows = rows.filter(token_uid__iexact=caller.key.token_uid, token_type=caller.key.token_type)
    return rows


def _found(caller: Caller, pk: int) -> Prepared:
    row = _prepared(caller).select_related("session").filter(pk=pk).first()
    if row is None:
        raise not_found("There are no such preferences that this key may see.")
    return row


def _row(caller: Caller, wanted: PreparedPreferences) -> Prepared:
    token_uid, token_type = wanted.token_uid or "", str(wanted.token_type)
    if caller.is_driver:
        key = caller.key
        if wanted.authorization_reference or token_uid.upper() not in ("", key.token_uid.upper()):
            raise forbidden("NOT_YOUR_TOKEN", "A driver's key is for its own token alone.")
        token_uid, token_type = key.token_uid, key.token_type
    if bool(token_uid) == bool(wanted.authorization_reference):
        raise invalid("Name a token_uid or an authorization_reference, and not both.")
    return Prepared(
        country_code=caller.party.country_code,
        party_id=caller.party.party_id,
        token_uid=token_uid,
        token_type=token_type if token_uid else "",
        authorization_reference=wanted.authorization_reference or "",
        document=preferences.document(wanted),
        wishes=wishes.checked(wanted.wishes),
        made_by=caller.key.prefix,
        expires_at=_expiry(wanted.expires_at),
    )


def _expiry(text: str | None) -> datetime:
    now = leases.now()
    if text is None:
        return now + _USUAL
    moment = lenient.moment(text)
    if moment is None or not now < moment <= now + _LONGEST:
        raise invalid("expires_at must be a time that is to come, within 31 days.")
    return moment


def _shown(row: Prepared) -> PreparedShown:
    session, cpo = row.session, None
    if row.cpo_http_status is not None:
        cpo = CpoSaid(
            http_status=row.cpo_http_status,
            status_code=row.cpo_status_code,
            response=row.cpo_answer or None,
            in_words=row.outcome,
        )
    return PreparedShown(
        id=row.pk,
        token_uid=row.token_uid or None,
        token_type=row.token_type or None,
        authorization_reference=row.authorization_reference or None,
        state=row.state,
        in_words=row.outcome or f"They are {PreparedState(row.state).label}.",
        preferences=msgspec.json.decode(bytes(row.document)),
        wishes=Wishes(**row.wishes) if row.wishes else None,
        created_at=row.created_at,
        expires_at=row.expires_at,
        cpo=cpo,
        session=None
        if session is None
        else SessionName(
            country_code=session.owner.country_code,
            party_id=session.owner.party_id,
            session_id=session.session_id,
        ),
    )
