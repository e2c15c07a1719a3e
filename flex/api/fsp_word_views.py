"""Who is flexibility provider of one session, by the word of its eMSP or its CPO (SCALE D2.3, 8.4).

The word is weighed with all others (flex/choice.py): it may be outweighed, and the answer says so.
"""

from django.http import HttpRequest, HttpResponse

from flex.api.base import FlexView, body_of, nothing
from flex.api.fsp_views import found_session
from flex.api.keys import Caller
from flex.api.models import Use
from flex.api.objects import FspWord, SessionFsp
from flex.api.problems import conflict, invalid, not_found
from flex.api.shown import explained_assignment
from flex.choice import Speaker
from flex.models import Consent, FspAssignment
from flex.set_fsp import CannotSet, set_fsp, take_back
from hub.views import answer_json
from sessions.models import Session


class FspByEmsp(FlexView):
    """GET, PUT and DELETE of the word of the eMSP of the session's token, on that session."""

    use = Use.EMSP

    def get(self, caller: Caller, request: HttpRequest, **ids: str) -> HttpResponse:
        """Who it is, with each word that was weighed."""
        return answer_json(_shown(_of_emsp(caller, **ids)))

    def put(self, caller: Caller, request: HttpRequest, **ids: str) -> HttpResponse:
        """Set it; with its consent, or the driver's (`consent_by`)."""
        return _set(_of_emsp(caller, **ids), request, Speaker.EMSP)

    def delete(self, caller: Caller, request: HttpRequest, **ids: str) -> HttpResponse:
        """Take the word back; 409 where none was said."""
        return _take_back(_of_emsp(caller, **ids), Speaker.EMSP)


class FspByCpo(FlexView):
    """The same by the session's CPO, whose word counts after the operator's and the eMSP's."""

    use = Use.CPO

    def get(self, caller: Caller, request: HttpRequest, **ids: str) -> HttpResponse:
        """Who it is, with each word that was weighed."""
        return answer_json(_shown(_of_cpo(caller, **ids)))

    def put(self, caller: Caller, request: HttpRequest, **ids: str) -> HttpResponse:
        """Set it."""
        return _set(_of_cpo(caller, **ids), request, Speaker.CPO)

    def delete(self, caller: Caller, request: HttpRequest, **ids: str) -> HttpResponse:
        """Take the word back; 409 where none was said."""
        return _take_back(_of_cpo(caller, **ids), Speaker.CPO)


def _of_emsp(caller: Caller, **ids: str) -> Session:
    session = found_session(**ids)
    if session is None or session.emsp != caller.party:
        raise not_found(f"{caller.party} is the eMSP of no such session.")
    return session


def _of_cpo(caller: Caller, **ids: str) -> Session:
    session = found_session(**ids)
    if session is None or session.owner != caller.party:
        raise not_found(f"{caller.party} has no such session here.")
    return session


def _set(session: Session, request: HttpRequest, said_by: Speaker) -> HttpResponse:
    wanted = body_of(request, FspWord)
    if said_by == Speaker.CPO and wanted.consent_by is not None:
        raise invalid("Consent for a token is its eMSP's or its driver's: a CPO tells none.")
    consent = wanted.consent_by or (Consent.EMSP if said_by == Speaker.EMSP else "")
    try:
        set_fsp(session, wanted.who.strip(), said_by=said_by, consent_by=str(consent))
    except CannotSet as error:
        raise conflict("CANNOT_SET", str(error)) from error
    return answer_json(_shown(session, wanted.who.strip()))


def _take_back(session: Session, said_by: Speaker) -> HttpResponse:
    try:
        take_back(session, said_by=said_by)
    except CannotSet as error:
        raise conflict("CANNOT_SET", str(error)) from error
    return nothing()


def _shown(session: Session, wanted: str = "") -> SessionFsp:
    """In words; also whether the word that was just said is the one that counts."""
    current = FspAssignment.current(session)
    if current is None:
        said = "Nobody is FSP; the first profile that the CPO accepts makes one."
    else:
        said = f"The FSP is {current.label} ({current.reason})."
    if wanted and (current is None or not _is(current, session, wanted)):
        said = f"The word is kept, and another one counts more. {said}"
    return SessionFsp(
        country_code=session.owner.country_code,
        party_id=session.owner.party_id,
        session_id=session.session_id,
        in_words=said,
        assignment=None if current is None else explained_assignment(session, current),
    )


def _is(current: FspAssignment, session: Session, wanted: str) -> bool:
    names = {str(current.fsp) if current.fsp else "", current.kind}
    if current.fsp == session.emsp:
        names.add("EMSP")
    if current.kind == "CPO":
        names.add(str(session.owner))
    return wanted.upper() in names
