"""Profile commands: from the request of a flexibility provider to the CPO's own answer.

mod_charging_profiles, Receiver interface; SCALE D2.3, 11.4. A command becomes a row (models.py), a
worker carries it to the CPO (carrier.py), and the request waits for the CPO's own answer without a
thread. The result comes later (results.py). What a session's flexibility provider asks is written
from the event loop (decision 0030); all else, and all that is refused, has a thread.
"""

from functools import partial
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.db.models.lookups import LessThan
from django.http import HttpResponse

from charging_profiles import at_once, order
from charging_profiles.models import DELIVERED, CommandState, ProfileCommand
from charging_profiles.objects import (
    ChargingProfileResponse,
    ChargingProfileResponseType,
    SetChargingProfile,
)
from hub.db import sql
from hub.db.batch_writer import Statement, Writer
from hub.db.django_threads import DjangoThreads
from hub.db.leases import NOW, Lease
from hub.deviations import noting
from hub.fairness.unanswered import forwards
from hub.ocpi import lenient, response_url
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.errors import (
    ConnectionProblem,
    ForwardTimeout,
    HubError,
    InvalidParameters,
    OcpiError,
    UnknownReceiver,
)
from hub.ocpi.modules import leads_astray
from hub.ocpi.party import PartyId
from hub.ocpi.reading import deviations_of
from hub.outbound import rewritten_urls
from hub.outbound.message import url_below
from hub.outbox import outbox
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
from hub.workers import wake
from sessions import flexibility
from sessions.flexibility import MayAct
from sessions.handed_on import HandedOn
from sessions.models import LONGEST_ID, Session

MODULE: Final = "chargingprofiles"
_MAX_PATH: Final = ProfileCommand._meta.get_field("path").max_length or 0
# Reading a longer body would hold up the event loop.
_LONGEST: Final = 50_000
_MAX_DURATION: Final = 10**9  # seconds


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


# --- What it asks for, and of whom ----------------------------------------------------------------


class _Asked(NamedTuple):
    """What a command asks for, before anybody knows of which session.

    `session_id` as it stands in the URL; `query` without its response_url, whose place in a body
    is `in_body`.
    """

    session_id: str
    response_url: str
    query: str
    in_body: response_url.InBody | None


class _Target(NamedTuple):
    """Who is asked, for which session that the hub knows, and in which epoch of its FSP.

    `to_judge` is the session where the CPO may want this PUT to be rejected.
    """

    cpo: PartyEntry
    session: int | None
    epoch: int
    to_judge: Session | None = None


def _asked(request: OcpiRequest) -> _Asked:
    """Read a command, and refuse what is wrong with it by itself (2001)."""
    raw_session_id = request.place.ids["session_id"]
    if len(unquote(raw_session_id)) > LONGEST_ID:
        raise InvalidParameters(
            f"A session id has at most 36 characters; this hub takes {LONGEST_ID}."
        )
    if request.method == "GET":
        _check_duration(request.query)
    response_url.check_path(raw_session_id, MODULE)
    if request.method == "PUT":
        in_body = response_url.in_body(request.body, MODULE, InterfaceRole.RECEIVER)
        asked = _Asked(raw_session_id, in_body.url if in_body else "", request.query, in_body)
    else:
        url, query = response_url.in_query(request.query, MODULE)
        asked = _Asked(raw_session_id, url or "", query, None)
    if not asked.response_url:
        raise InvalidParameters("response_url is required: where the result is to be POSTed.")
    rewritten_urls.check_response_url(asked.response_url)
    return asked


def _check_duration(query: str) -> None:
    last = dict(parse_qsl(query, keep_blank_values=True))
    duration = lenient.whole_number(last.get("duration", ""))
    if duration is None or not 0 <= duration < _MAX_DURATION:
        raise InvalidParameters("duration is required: the seconds of profile that you ask for.")


def _target(request: OcpiRequest, asked: _Asked) -> _Target | HttpResponse:
    """Whom the command is for; or the hub's own answer, which says why it does not leave."""
    directory, session_id = holder.snapshot, unquote(asked.session_id)
    caller = directory.parties[request.sender]
    session, receiver = _session(request, caller, session_id)
    handed_on_by = _handed_on_by(session, receiver, caller, session_id)
    if session is None and handed_on_by is None and (receiver is None or leads_astray(session_id)):
        return _hub_answers(ChargingProfileResponseType.UNKNOWN_SESSION, f"Unknown: {session_id}.")
    receiver = receiver or handed_on_by or _owner(session)
    cpo = decisions.reachable(directory, caller.identity, receiver, MODULE)
    may = MayAct(None)
    if handed_on_by is None and session is None:
        may = _may_act_unknown(cpo, caller, request.method, session_id)
    elif session is not None:
        may = _may_act(session, caller, request.method)
    if may.refusal is not None:
        return _hub_answers(ChargingProfileResponseType.REJECTED, may.refusal)
    to_judge = session if request.method == "PUT" else None
    return _Target(cpo, None if session is None else session.pk, may.epoch, to_judge)


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


def _may_act_unknown(cpo: PartyEntry, caller: PartyEntry, method: str, session_id: str) -> MayAct:
    """Of a session that the hub does not know of this receiver. Whom it excludes may in no case."""
    rules = flexibility.current()
    if method == "GET" or Role.CPO not in cpo.roles:
        return MayAct(None)
    if _is_its_emsps(cpo.identity, caller.identity, session_id):
        return MayAct(rules.excluded_by(cpo.identity, caller.identity))
    is_emsp = Role.EMSP in caller.roles
    return rules.may_set_unknown(cpo.identity, caller.identity, is_emsp=is_emsp)


def _is_its_emsps(receiver: PartyId, caller: PartyId, session_id: str) -> bool:
    """Whether it is asked as the eMSP of another CPO's session: that is its own affair.

    It may be a CPO too. Towards the session's CPO it answers for what it passes on. Its own word is
    needed: it has handed the session on; or has accepted it, and the caller has to do with it, who
    is not the party that tells of it.
    """
    if HandedOn.objects.filter(session_id=session_id.upper(), emsp=str(receiver)).exists():
        return True
    its_own = Session.objects.named(session_id).filter(
        emsp_country_code__iexact=receiver.country_code,
        emsp_party_id__iexact=receiver.party_id,
        is_accepted=True,
    )
    may_see = flexibility.current().may_see
    return any(one.owner != caller and may_see(one, caller) for one in its_own)


def _may_act(session: Session, caller: PartyEntry, method: str) -> MayAct:
    """Who may see the session may GET; its FSP may PUT and DELETE."""
    rules = flexibility.current()
    if method == "GET":
        may_see = rules.may_see(session, caller.identity)
        return MayAct(None if may_see else f"{caller.identity} may not see this session.")
    return rules.may_set(session, caller.identity, is_scsp=Role.SCSP in caller.roles)


def _hub_answers(result: ChargingProfileResponseType, why: str) -> HttpResponse:
    """A ChargingProfileResponse of the hub's own: the CPO is not bothered."""
    return answer(ChargingProfileResponse(result=result, timeout=0), message=why)


# --- The row --------------------------------------------------------------------------------------


def _receive(request: OcpiRequest) -> HttpResponse:
    """Write the command, which tells who carries it; or answer at once why not."""
    asked = _asked(request)
    target = _target(request, asked)
    if isinstance(target, HttpResponse):
        return target
    command = _command(request, asked, target)
    forwards.take(target.cpo.platform.id)
    try:
        why = _write(command, target.to_judge)
    except Exception:
        forwards.give_back(target.cpo.platform.id)
        raise
    if why is not None:
        forwards.give_back(target.cpo.platform.id)
        return _hub_answers(ChargingProfileResponseType.REJECTED, why)
    return _answer_of_cpo(command)


def _write(command: ProfileCommand, to_judge: Session | None) -> str | None:
    """Write it, unless the CPO wants it to be rejected: why."""
    if to_judge is None:
        command.add()
        return None
    with transaction.atomic():
        why = flexibility.current().rejects(to_judge, bytes(command.body))
        if why is None:
            command.add()
    return why


def _command(request: OcpiRequest, asked: _Asked, target: _Target) -> ProfileCommand:
    """The row of a command, not written yet."""
    cpo, session_id = target.cpo, unquote(asked.session_id)
    command = ProfileCommand(
        method=request.method,
        session_id=target.session,
        session_id_sent=session_id,
        fsp_platform_id=request.platform.id,
        fsp_country_code=request.sender.country_code,
        fsp_party_id=request.sender.party_id,
        cpo_platform_id=cpo.platform.id,
        cpo_country_code=cpo.country_code,
        cpo_party_id=cpo.party_id,
        lane=order.lane_of(cpo.identity, session_id),
        epoch=target.epoch,
        response_url=asked.response_url,
        correlation_id=request.correlation_id,
    )
    _address(command, asked, cpo)
    return command


def _address(command: ProfileCommand, asked: _Asked, cpo: PartyEntry) -> None:
    """Its URL at the CPO and its body, with the hub's own response_url."""
    endpoint = cpo.platform.endpoint(MODULE, InterfaceRole.RECEIVER)
    own_url, query = command.result_url, ""
    if endpoint is None:
        raise HubError(f"{cpo.identity} does not offer chargingprofiles as RECEIVER.")
    if asked.in_body is not None:
        command.body = asked.in_body.replaced(own_url)
    else:
        parts = (asked.query, f"response_url={quote(own_url)}")
        query = "&".join(part for part in parts if part)
    command.path = url_below(endpoint, asked.session_id, query)
    if len(command.path) > _MAX_PATH:
        raise InvalidParameters("The query is too long to be passed on.")


# --- The CPO's own answer -------------------------------------------------------------------------


def _answer_of_cpo(command: ProfileCommand, lease: Lease | None = None) -> AnswerLater:
    """Wait for it: the command is written, and a place of the CPO's bulkhead is taken.

    Under a lease this process carries it.
    """
    return AnswerLater(
        answered_by=command.cpo,
        receiver=command.cpo_platform_id,
        topic=command.topic,
        told=_told,
        resume=partial(_answer_of, command.pk),
        sent=partial(_passed_on, command.pk),
        carry=None if lease is None else partial(at_once.carry, command, lease),
    )


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


# --- From the event loop --------------------------------------------------------------------------

_TABLE: Final = ProfileCommand._meta.db_table
_FIND: Final = Statement(
    "command_find",
    f"""
    SELECT kept.id::text, kept.country_code, kept.party_id,
           CASE WHEN {flexibility.current().TAKES_ALL}
                THEN ({flexibility.current().EPOCH}) END::text
    FROM ocpi_sessions_session AS kept WHERE upper(kept.session_id) = upper(%(session_id)s::text)
    """,  # noqa: S608 - names of ours
)
_PASSED_ON: Final = Statement(
    "command_passed_on",
    f"""
    WITH kept AS (
        UPDATE {_TABLE}
        SET passed_on_at = coalesce(passed_on_at, {NOW}), is_result_handed_over = result <> ''
        WHERE id = (
            SELECT id FROM {_TABLE} WHERE id = %(id)s::bigint FOR NO KEY UPDATE SKIP LOCKED
        ) AND NOT is_result_handed_over
        RETURNING *
    ), queued AS (
        {outbox.enqueued("kept WHERE is_result_handed_over AND response_url <> ''", **DELIVERED)}
    )
    SELECT is_result_handed_over::text, {sql.SOON} FROM kept
    """,  # noqa: S608 - names of ours
    # Should it be lost, the sweep finds it again. Who shares this commit does not wait either.
    shared_by="commits that do not wait",
)
STATEMENTS: Final = (_FIND, *at_once.STATEMENTS, _PASSED_ON)


async def received(
    writer: Writer, django: DjangoThreads, request: OcpiRequest
) -> HttpResponse | None:
    """Do as `_receive` where the session's FSP asks; None where nothing was done."""
    if len(request.body) > _LONGEST:
        return None
    try:
        asked = _asked(request)
        target = await _target_at_once(writer, request, asked)
        if target is None:
            return None
        command = _command(request, asked, target)
        forwards.take(target.cpo.platform.id)
    except OcpiError:
        return None  # The thread says what is wrong.
    try:
        lease = await at_once.add(writer, django, command)
    except BaseException:
        forwards.give_back(target.cpo.platform.id)
        raise
    if request.method == "PUT":
        noting.note(request.platform.id, deviations_of(request.body, SetChargingProfile))
    return _answer_of_cpo(command, lease)


async def _target_at_once(writer: Writer, request: OcpiRequest, asked: _Asked) -> _Target | None:
    """The one session of this id, at the receiver that TO names, whose FSP asks."""
    names = {"session_id": unquote(asked.session_id), **request.sender._asdict()}
    found = []
    for pk, country_code, party_id, epoch in await writer.run(_FIND, names) or ():
        owner = PartyId.of((country_code or b"").decode(), (party_id or b"").decode())
        if request.sent_to in {None, owner}:
            found.append((pk, owner, epoch))
    if len(found) != 1:
        return None
    [(pk, owner, epoch)] = found
    if not pk or not epoch:
        return None
    cpo = decisions.reachable(holder.snapshot, request.sender, owner, MODULE)
    # Who may GET the active profile needs no epoch: it changes nothing.
    return _Target(cpo, int(pk), 0 if request.method == "GET" else int(epoch))


async def _passed_on(pk: int, writer: Writer, django: DjangoThreads) -> None:
    """Do as `ProfileCommand.passed_on`, which gets what somebody else has just now."""
    kept = await writer.run(_PASSED_ON, {"id": pk})
    if not kept:
        await django.run(ProfileCommand.passed_on, pk)
    elif kept[0][0] == b"true":
        wake.nudge_at_once(writer, "deliveries")
