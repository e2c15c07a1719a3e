"""ChargingProfiles through the hub (mod_charging_profiles, Interfaces and endpoints).

A command becomes a row, a job carries it to the CPO (tasks.py), the request waits for the CPO's own
answer without a thread, and the result comes back on a URL of the hub.
"""

import logging
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from django.db.models import F
from django.db.models.functions import Now
from django.db.models.lookups import LessThan
from django.http import HttpResponse

from charging_profiles import at_once, order
from charging_profiles.models import CommandState, ProfileCommand
from charging_profiles.objects import (
    ChargingProfileResponse,
    ChargingProfileResponseType,
    ProfileResult,
    SetChargingProfile,
)
from charging_profiles.results import answer_to, result_of
from hub.deviations import noting
from hub.fairness.unanswered import forwards
from hub.ocpi import lenient, response_url
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.errors import (
    ConnectionProblem,
    ForwardTimeout,
    HubError,
    InvalidParameters,
    NotFound,
    UnknownReceiver,
)
from hub.ocpi.modules import leads_astray
from hub.ocpi.party import PartyId
from hub.ocpi.reading import deviations_of
from hub.outbound import rewritten_urls
from hub.routing import decisions
from hub.routing.directory import PartyEntry, holder
from hub.routing.request import OcpiRequest
from hub.views import (
    JSON,
    AnswerLater,
    OcpiView,
    answer,
    refusal,
)
from sessions import flexibility
from sessions.flexibility import MayAct
from sessions.handed_on import HandedOn
from sessions.models import LONGEST_ID, Session

logger = logging.getLogger(__name__)
MODULE = "chargingprofiles"
MAX_PATH = ProfileCommand._meta.get_field("path").max_length or 0


class ProfileCommands(OcpiView):
    """The Receiver interface: GET the active profile, PUT one, DELETE it."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """`?duration=…&response_url=…`; answered with the CPO's ChargingProfileResponse."""
        return _receive(request)

    def put(self, request: OcpiRequest) -> HttpResponse:
        """A SetChargingProfile; answered with the CPO's ChargingProfileResponse.

        Only its response_url is read: the profile is the CPO's to judge.
        """
        noting.note(request.platform.id, deviations_of(request.body, SetChargingProfile))
        return _receive(request)

    def delete(self, request: OcpiRequest) -> HttpResponse:
        """`?response_url=…`; answered with the CPO's ChargingProfileResponse."""
        return _receive(request)


class Asked(NamedTuple):
    """What a command asks for, before anybody knows of which session.

    `session_id` as it stands in the URL; `query` without its response_url, whose place in a body
    is `in_body`.
    """

    method: str
    sender: PartyId
    session_id: str
    response_url: str
    query: str
    in_body: response_url.InBody | None


def asked_of(request: OcpiRequest) -> Asked:
    """What is wrong with a command by itself is refused here (2001)."""
    method, query = request.method, request.query
    raw_session_id = request.place.ids["session_id"]
    if len(unquote(raw_session_id)) > LONGEST_ID:
        raise InvalidParameters(
            f"A session id has at most 36 characters; this hub takes {LONGEST_ID}."
        )
    if method == "GET":
        last = dict(parse_qsl(query, keep_blank_values=True))
        duration = lenient.whole_number(last.get("duration", ""))
        if duration is None or not 0 <= duration < 10**9:
            raise InvalidParameters(
                "duration is required: the seconds of profile that you ask for."
            )
    response_url.check_path(raw_session_id, MODULE)
    in_body = None
    if method == "PUT":
        in_body = response_url.in_body(request.body, MODULE, InterfaceRole.RECEIVER)
        url = in_body.url if in_body else ""
    else:
        found, query = response_url.in_query(query, MODULE)
        url = found or ""
    if not url:
        raise InvalidParameters("response_url is required: where the result is to be POSTed.")
    rewritten_urls.check_response_url(url)
    return Asked(method, request.sender, raw_session_id, url, query, in_body)


def _receive(request: OcpiRequest) -> HttpResponse:
    """Store the command and queue its job, or answer at once why not."""
    asked = asked_of(request)
    sender, session_id = asked.sender, unquote(asked.session_id)
    directory = holder.snapshot
    caller = directory.parties[sender]
    session, receiver = _session(request, caller, session_id)
    handed_on_by = _handed_on_by(session, receiver, caller, session_id)
    if session is None and handed_on_by is None and (receiver is None or leads_astray(session_id)):
        return _hub_answers(ChargingProfileResponseType.UNKNOWN_SESSION, f"Unknown: {session_id}.")
    receiver = receiver or handed_on_by or _owner(session)
    cpo = decisions.reachable(directory, sender, receiver, MODULE)
    verdict = MayAct(None)
    if handed_on_by is None:
        verdict = _verdict(session, cpo, caller, asked.method)
    if verdict.refusal is not None:
        return _hub_answers(ChargingProfileResponseType.REJECTED, verdict.refusal)
    known = None if session is None else session.pk
    command = command_of(request, asked, cpo, known, verdict.epoch)
    forwards.take(cpo.platform.id)
    try:
        command.add()
    except Exception:
        forwards.give_back(cpo.platform.id)
        raise
    return answer_of_cpo(command)


def command_of(
    request: OcpiRequest, asked: Asked, cpo: PartyEntry, session_pk: int | None, epoch: int
) -> ProfileCommand:
    """The row of a command, not written yet."""
    endpoint = cpo.platform.endpoint(MODULE, InterfaceRole.RECEIVER)
    if endpoint is None:
        raise HubError(f"{cpo.identity} does not offer chargingprofiles as RECEIVER.")
    session_id = unquote(asked.session_id)
    command = ProfileCommand(
        method=asked.method,
        session_id=session_pk,
        session_id_sent=session_id,
        fsp_platform_id=request.platform.id,
        fsp_country_code=asked.sender.country_code,
        fsp_party_id=asked.sender.party_id,
        cpo_platform_id=cpo.platform.id,
        cpo_country_code=cpo.country_code,
        cpo_party_id=cpo.party_id,
        lane=order.lane_of(cpo.identity, session_id),
        epoch=epoch,
        response_url=asked.response_url,
        correlation_id=request.correlation_id,
    )
    own_url = command.result_url
    command.path = f"{endpoint.rstrip('/')}/{asked.session_id}"
    if asked.in_body is not None:
        command.body = asked.in_body.replaced(own_url)
    else:
        parts = (asked.query, f"response_url={quote(own_url)}")
        command.path = f"{command.path}?{'&'.join(part for part in parts if part)}"
    if len(command.path) > MAX_PATH:
        raise InvalidParameters("The query is too long to be passed on.")
    return command


def answer_of_cpo(command: ProfileCommand) -> AnswerLater:
    """The CPO's own answer, for a command that is written; a place of its bulkhead is taken."""
    return AnswerLater(
        answered_by=command.cpo,
        receiver=command.cpo_platform_id,
        topic=command.topic,
        told=_told,
        resume=partial(_answer_of, command.pk),
        sent=partial(at_once.passed_on, command.pk),
    )


def _owner(session: Session | None) -> PartyId:
    if session is None:
        raise UnknownReceiver("The hub does not know this session; name the CPO in OCPI-to.")
    return session.owner


def _session(
    request: OcpiRequest, caller: PartyEntry, session_id: str
) -> tuple[Session | None, PartyId | None]:
    """The session and, where TO names one, the receiver. Two candidates: refused, not guessed."""
    if request.sent_to is not None:
        return Session.find(request.sent_to, session_id), request.sent_to
    candidates = list(Session.objects.named(session_id))
    visible = [s for s in candidates if flexibility.current().may_see(s, caller.identity)]
    if len(visible) > 1:
        owners = " and ".join(sorted(str(session.owner) for session in visible))
        raise UnknownReceiver(
            f"Session {session_id!r} exists at {owners}. Name the CPO in OCPI-to."
        )
    return (visible[0] if visible else None), None


def _handed_on_by(
    session: Session | None, receiver: PartyId | None, caller: PartyEntry, session_id: str
) -> PartyId | None:
    """The eMSP through which an SCSP acts on a session that it was handed on by it.

    "By sending Charging Profile commands via the eMSP to the CPO" (Smart Charging Topologies): the
    CPO itself is not to be addressed so. Two eMSPs: refused, not guessed.
    """
    if session is not None or Role.SCSP not in caller.roles:
        return None
    emsps = HandedOn.emsps(session_id, caller.identity)
    if receiver is not None:
        return receiver if receiver in emsps else None
    if len(emsps) > 1:
        raise UnknownReceiver(
            f"Session {session_id!r} was handed on by {' and '.join(map(str, emsps))}. Name one of "
            "them in OCPI-to."
        )
    return emsps[0] if emsps else None


def _verdict(session: Session | None, cpo: PartyEntry, caller: PartyEntry, method: str) -> MayAct:
    """GET is open to who may see the session; PUT and DELETE to its FSP."""
    rules = flexibility.current()
    if session is None:
        if method == "GET" or Role.CPO not in cpo.roles:
            return MayAct(None)
        return rules.may_set_unknown(
            cpo.identity, caller.identity, is_emsp=Role.EMSP in caller.roles
        )
    if method == "GET":
        may_see = rules.may_see(session, caller.identity)
        return MayAct(None if may_see else f"{caller.identity} may not see this session.")
    return rules.may_set(session, caller.identity, is_scsp=Role.SCSP in caller.roles)


def _hub_answers(result: ChargingProfileResponseType, why: str) -> HttpResponse:
    """A ChargingProfileResponse of the hub's own: the CPO is not bothered."""
    return answer(ChargingProfileResponse(result=result, timeout=0), message=why)


def _told(told: str) -> HttpResponse:
    """The CPO's own answer as the notification brings it (hub/db/notify.py: payload)."""
    status, _, body = told.partition("\n")
    return HttpResponse(body.encode(), status=int(status), content_type=JSON)


def _answer_of(pk: int) -> HttpResponse | None:
    """The CPO's own answer as it came, or the hub error that ended the wait; None: not yet."""
    command = ProfileCommand.objects.annotate(is_over=LessThan(F("answer_by"), Now())).get(pk=pk)
    if command.answered_at is None:
        if not command.is_over:
            return None
        return refusal(ForwardTimeout(f"{command.cpo} did not answer in time."))
    if command.answer_http_status is not None:
        return HttpResponse(
            bytes(command.answer_body), status=command.answer_http_status, content_type=JSON
        )
    error = ForwardTimeout if command.state == CommandState.TIMED_OUT else ConnectionProblem
    return refusal(error(command.problem))


class ProfileResults(OcpiView):
    """The `response_url` that the hub gave the CPO (Sender interface, POST)."""

    def post(self, request: OcpiRequest, key: str) -> HttpResponse:
        """One of the three results. A repetition changes nothing; a late one is passed on.

        Only its `result` is read: what it says of a profile is for who asked.
        """
        command = ProfileCommand.given(key, request.platform.id)
        if command is None:
            raise NotFound("This URL was not given to your platform, or is no longer valid.")
        decisions.check_may_send(holder.snapshot, command.cpo)
        result = result_of(request.body)
        noting.note(request.platform.id, deviations_of(request.body, ProfileResult))
        is_first = command.record_result(result, request.body)
        return answer_to(command, result, is_first=is_first)
