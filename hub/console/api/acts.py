"""What the admin API does beside writing rows, by the functions that the console calls."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from flex.api import keys as flex_keys
from flex.api.models import ApiKey, Use
from flex.choice import Speaker
from flex.set_fsp import CannotSet, set_fsp, take_back
from hub.conformance.check import CannotCheck, queue
from hub.console.access import roles, scope
from hub.console.api.base import AdminView, body_of
from hub.console.api.keys import Caller
from hub.console.api.problems import conflict, invalid, not_found
from hub.console.api.table_views import listed, row_of
from hub.console.api.tables import BY_NAME
from hub.deliveries import resend
from hub.keeping.erasure import Driver, Eraser
from hub.models import Delivery, Platform, Replay, StaleCopy
from hub.models.parties import rows_of
from hub.models.pulls import Pull
from hub.models.stale_copies import CopyState
from hub.ocpi.datatypes import ConnectionStatus, Role
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.parties import onboarding, registration
from hub.routing.directory import wait_until_confirmed
from hub.views import answer_json
from sessions.models import Session


class Nothing(msgspec.Struct):
    """A body with nothing in it."""


class NewInvitation(msgspec.Struct):
    """Who is invited, and as what."""

    country_code: str
    party_id: str
    roles: list[Role]
    name: str = ""


class Connection(msgspec.Struct):
    """Where another platform is, and what it has given out; parties as NL-ABC:CPO."""

    versions_url: str
    token: str
    name: str = ""
    parties: list[str] = []


class OneRole(msgspec.Struct):
    """In which role; empty: in all that it named."""

    role: str = ""


class CheckWish(msgspec.Struct):
    """Whether test objects are pushed too."""

    push: bool = False


class Again(msgspec.Struct):
    """To whom (NL-ABC), of which module, given up since when."""

    party: str
    module: str = ""
    since: datetime | None = None


class NewFsp(msgspec.Struct):
    """A party (NL-SCS), or EMSP, CPO, EMS, EV, NONE; empty takes the operator's word back."""

    who: str = ""


class DriverToErase(msgspec.Struct):
    """Whose data, and how far."""

    emsp: str
    token_uid: str
    type: str = ""
    contract_ids: list[str] = []
    delete_cdrs: bool = False
    with_running: bool = False
    dry_run: bool = False


class NewFlexKey(msgspec.Struct):
    """For which party (NL-ABC), and what it opens."""

    party: str
    opens: list[str]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """One POST. `do` gets the caller, the ids of the path, and the body."""

    path: str
    summary: str
    permission: str
    do: Callable[..., Any]
    body: type[msgspec.Struct] = Nothing
    status: HTTPStatus = HTTPStatus.OK
    # What the trail tells of the body and the answer: about what, and how; no token, no uid.
    told: Callable[[Any, Any], tuple[str, str]] = lambda body, found: ("", "")


def party_named(text: str) -> PartyId:
    """NL-ABC; 400 for anything else."""
    try:
        return PartyId.parse(text)
    except ValueError as error:
        raise invalid(f"{error}.") from error


def _party(caller: Caller, text: str) -> PartyId:
    """One that this key may see."""
    identity = party_named(text)
    if not scope.rows(caller, rows_of(identity)).exists():
        raise not_found(f"{identity} is not a party of this hub.")
    return identity


def _platform(caller: Caller, pk: int) -> Platform:
    found: Platform = row_of(caller, BY_NAME["platforms"], pk)
    return found


# --- Parties and platforms ------------------------------------------------------------------------


def _invite(caller: Caller, body: NewInvitation) -> Any:
    try:
        identity = PartyId.of(body.country_code, body.party_id)
    except ValueError as error:
        raise invalid(f"{error}.") from error
    if not body.roles or Role.HUB in body.roles or len(body.name) > 100:
        raise invalid("Name one role at least, none of them HUB; a name has 100 characters.")
    try:
        made = onboarding.invite(identity, body.roles, body.name)
    except onboarding.CannotInvite as error:
        raise conflict(str(error)) from error
    return {"party": str(identity), "token": made.token, "versions_url": made.versions_url}


def _connect(caller: Caller, body: Connection) -> Any:
    try:
        parties = registration.expected(body.parties)
    except ValueError as error:
        raise invalid(f"{error}.") from error
    try:
        made = registration.connect(body.versions_url, body.token, body.name, None, parties)
    except registration.CannotConnect as error:
        raise conflict(str(error)) from error
    return {"platform": made.pk, "parties": registration.parties_of(made)}


def _credentials(change: Callable[[Platform], Any]) -> Callable[..., Any]:
    def do(caller: Caller, body: Nothing, pk: int) -> Any:
        platform = _platform(caller, pk)
        try:
            said = change(platform)
        except registration.CannotConnect as error:
            raise conflict(str(error)) from error
        return {"platform": platform.pk, "said": str(said)}

    return do


def _pull(caller: Caller, body: Nothing, pk: int) -> Any:
    platform = _platform(caller, pk)
    lists = Pull.objects.filter(platform=platform.pk)
    number = lists.update(is_requested=True, due_at=timezone.now())
    if not number:
        raise conflict("The hub knows no list of this platform.")
    outbox.wake("pulls.take_turn", platform.pk)
    return {"lists": number}


def _status(change: Callable[[PartyId], bool], refusal: str) -> Callable[..., Any]:
    def do(caller: Caller, body: Nothing, party: str) -> Any:
        identity = _party(caller, party)
        if not change(identity):
            raise conflict(f"{identity} {refusal}: nothing was changed.")
        return _told(identity)

    return do


def _agree(caller: Caller, body: OneRole, party: str) -> Any:
    identity = _party(caller, party)
    if not onboarding.agree(identity, body.role.upper()):
        raise conflict(f"{identity} needs no agreement: nothing was changed.")
    return _told(identity)


def _told(identity: PartyId) -> Any:
    is_confirmed = wait_until_confirmed()
    statuses = rows_of(identity).values_list("role", "status")
    return {"party": str(identity), "status": dict(statuses), "is_confirmed": is_confirmed}


def _check(caller: Caller, body: CheckWish, party: str) -> Any:
    try:
        check = queue(_party(caller, party), push=body.push)
    except CannotCheck as error:
        raise conflict(str(error)) from error
    return {"check": check.pk}


def _replay(caller: Caller, body: Nothing, party: str) -> Any:
    identity = _party(caller, party)
    row = rows_of(identity).filter(status=ConnectionStatus.CONNECTED).first()
    if row is None:
        raise conflict(f"{identity} is not CONNECTED.")
    Replay.begin(row.platform_id, identity)
    return {"party": str(identity)}


# --- What is owed ---------------------------------------------------------------------------------


def _kept(caller: Caller) -> QuerySet[Delivery]:
    return scope.to_them(caller, resend.kept())


def _resent(caller: Caller, chosen: QuerySet[Delivery]) -> Any:
    resent = resend.again(chosen.values_list("pk", flat=True), by=caller.get_username())
    return {"resent": resent.number, "left": dict(resent.left)}


def _resend_one(caller: Caller, body: Nothing, pk: int) -> Any:
    row_of(caller, BY_NAME["deliveries"], pk)
    return _resent(caller, _kept(caller).filter(pk=pk))


def _resend_all(caller: Caller, body: Again) -> Any:
    to = _party(caller, body.party)
    found = _kept(caller).filter(
        to_country_code__iexact=to.country_code, to_party_id__iexact=to.party_id
    )
    if body.module:
        found = found.filter(module=body.module)
    if body.since is not None:
        if body.since.tzinfo is None:
            raise invalid("since needs its offset: 2026-03-01T10:00:00Z.")
        found = found.filter(created_at__gte=body.since)
    return _resent(caller, found)


def _try_again(caller: Caller, body: Nothing, pk: int) -> Any:
    copy: StaleCopy = row_of(caller, BY_NAME["stale-copies"], pk)
    if copy.state != CopyState.REFUSED:
        raise conflict("It is not refused: nothing was changed.")
    return {"waiting": outbox.try_again([copy.pk])}


# --- Flexibility ----------------------------------------------------------------------------------


def _set_fsp(caller: Caller, body: NewFsp, cpo: str, session_id: str) -> Any:
    session = Session.find(party_named(cpo), session_id)
    if session is None:
        raise not_found(f"{cpo} has no session of this id here.")
    try:
        if body.who:
            current = set_fsp(session, body.who, said_by=Speaker.OPERATOR)
        else:
            current = take_back(session, said_by=Speaker.OPERATOR)
    except CannotSet as error:
        raise conflict(str(error)) from error
    return {"fsp": current.label, "epoch": current.epoch} if current else {}


def _flex_key(caller: Caller, body: NewFlexKey) -> Any:
    party = _party(caller, body.party)
    if not body.opens or not set(body.opens) <= set(Use.values):
        raise invalid(f"opens names one use at least, of {', '.join(Use.values)}.")
    opens = [Use(one) for one in body.opens]
    made = flex_keys.of_party(party, opens, name=body.name, made_by=caller.get_username())
    return {"prefix": made.key.prefix, "party": str(party), "secret": made.secret}


def _revoke_flex_key(caller: Caller, body: Nothing, pk: int) -> Any:
    key: ApiKey = row_of(caller, BY_NAME["flex-keys"], pk)
    if not flex_keys.revoke(key):
        raise conflict("It was revoked before.")
    return {"prefix": key.prefix}


# --- Drivers --------------------------------------------------------------------------------------


def _erase(caller: Caller, body: DriverToErase) -> Any:
    ids = [body.token_uid, *body.contract_ids]
    if not all(0 < len(one.strip()) <= 36 for one in ids):
        raise invalid("An id has 1 to 36 characters.")
    driver = Driver(
        emsp=party_named(body.emsp),
        token_uid=body.token_uid.strip(),
        token_type=body.type.upper(),
        contract_ids=frozenset(one.strip() for one in body.contract_ids),
    )
    eraser = Eraser(
        driver, dry=body.dry_run, delete_cdrs=body.delete_cdrs, with_running=body.with_running
    )
    outcome = eraser.run(by=caller.get_username())
    return {"dry_run": body.dry_run, "erased": outcome.erased, "left": outcome.left}


_PLATFORM: Final = "hub.change_platform"
_PARTY: Final = "hub.change_party"
ACTS: Final = (
    Act(
        "invitations",
        "Invite a party: its CREDENTIALS_TOKEN_A, which no other answer has",
        "hub.add_platform",
        _invite,
        NewInvitation,
        HTTPStatus.CREATED,
        lambda body, found: (found["party"], f"roles {' '.join(body.roles)}"),
    ),
    Act(
        "connections",
        "Register the hub with a platform that has given out a token",
        "hub.add_platform",
        _connect,
        Connection,
        HTTPStatus.CREATED,
        lambda body, found: (f"platform {found['platform']}", " ".join(body.parties)),
    ),
    Act(
        "platforms/{pk}/renew",
        "Renew the credentials (PUT)",
        _PLATFORM,
        _credentials(registration.update),
    ),
    Act(
        "platforms/{pk}/end",
        "End the registration (DELETE)",
        _PLATFORM,
        _credentials(registration.end),
    ),
    Act(
        "platforms/{pk}/end-here",
        "End it here alone: its token is dead, and it is not told",
        _PLATFORM,
        _credentials(registration.end_here),
    ),
    Act("platforms/{pk}/pull", "Read its lists now", _PLATFORM, _pull),
    Act(
        "parties/{party}/suspend",
        "Cut a party off",
        _PARTY,
        _status(onboarding.suspend, "is not suspended"),
    ),
    Act(
        "parties/{party}/resume",
        "Take a suspension back",
        _PARTY,
        _status(onboarding.resume, "was not suspended"),
    ),
    Act("parties/{party}/agree", "Agree to a party that came uninvited", _PARTY, _agree, OneRole),
    Act(
        "parties/{party}/check",
        "Check it against OCPI; the row of checks fills",
        roles.CHECK,
        _check,
        CheckWish,
        HTTPStatus.ACCEPTED,
    ),
    Act(
        "parties/{party}/replay",
        "Send it the current state",
        _PARTY,
        _replay,
        status=HTTPStatus.ACCEPTED,
    ),
    Act("deliveries/{pk}/resend", "Send one again", roles.RESEND, _resend_one),
    Act(
        "resend",
        "Send all again that a party did not get",
        roles.RESEND,
        _resend_all,
        Again,
        told=lambda body, found: (body.party.upper(), f"{body.module} since {body.since}".strip()),
    ),
    Act("stale-copies/{pk}/try-again", "Tell a refused object once more", _PLATFORM, _try_again),
    Act(
        "sessions/{cpo}/{session_id}/fsp",
        "Set who is flexibility provider, or take that back",
        "flex.add_flexagreement",
        _set_fsp,
        NewFsp,
        told=lambda body, found: ("", f"who {body.who}" if body.who else "taken back"),
    ),
    Act(
        "flex-keys",
        "Make a key of the flex API, shown once",
        "flex_api.add_apikey",
        _flex_key,
        NewFlexKey,
        HTTPStatus.CREATED,
        lambda body, found: (found["party"], f"{found['prefix']}, {' '.join(body.opens)}"),
    ),
    Act("flex-keys/{pk}/revoke", "End a key", "flex_api.change_apikey", _revoke_flex_key),
    Act(
        "erasures",
        "Erase what the hub keeps of one driver",
        roles.ERASE,
        _erase,
        DriverToErase,
        told=lambda body, found: (body.emsp.upper(), "dry run" if body.dry_run else ""),
    ),
)


class Doing(AdminView):
    """A POST that does one of the ACTS."""

    http_method_names = ["post"]
    doing = ACTS[0]

    def act(self, request: HttpRequest, ids: dict[str, Any]) -> str:
        """Its path without its ids: a session's are none of a driver, but long."""
        return self.doing.path

    def post(self, caller: Caller, request: HttpRequest, **ids: Any) -> HttpResponse:
        """The act, if the key's role allows it."""
        caller.needs(self.doing.permission)
        body = body_of(request, self.doing.body)
        found = self.doing.do(caller, body, **ids)
        self.about, self.detail = self.doing.told(body, found)
        return answer_json(found, self.doing.status)


class Making(Doing):
    """An act by the name of a table, whose rows are read at the same place."""

    http_method_names = ["get", "head", "post"]

    def get(self, caller: Caller, request: HttpRequest) -> HttpResponse:
        """The list."""
        return listed(caller, request, self.doing.path)
