"""A history carried out by hand: the hub's own functions and statements, tables, a driven clock.

Nothing of the hub is replaced but who calls it: here one thread does what requests, the carrier and
the turns by the clock do. Each statement asks a clock that the history drives.
"""

import heapq
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, Final

import time_machine
from django.conf import settings
from django.db import connection

from bench.join import join
from charging_profiles import carrier, order, sending, tasks
from charging_profiles.models import CommandState, ProfileCommand, Said
from flex import assignment
from flex import tasks as flex_tasks
from flex.choice import Choice, FspKind, Speaker
from flex.hooks import FlexHooks
from flex.life import watching
from flex.life.models import NotTaken, Spacing
from flex.models import FlexAgreement, FspAssignment, PreferenceCopy
from flex.switching.models import CpoSlots
from flex.switching.steps import Slots
from hub.db import leases, sql
from hub.db.leases import Lease
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding, party_status
from hub.routing.directory import holder
from locations.models import Location
from sessions.models import Session
from tests.flex.histories.cpo import Cpo, Profile
from tests.flex.histories.endings import (
    counted,
    errors_of,
    is_at_rest,
    journal,
    left,
    sent_of,
)
from tests.flex.histories.history import FSPS, History
from tests.flex.histories.judge import Judge

CPO, EMSP = PartyId("NL", "CPO"), PartyId("DE", "MSP")
PARTIES: Final = {name: PartyId("XX", name * 3) for name in FSPS}
NAMES: Final = {str(party): name for name, party in PARTIES.items()}
BEGIN: Final = datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp()
# So long nothing more happens, until all that follows has been done.
QUIET: Final = 7_500.0
_FIELDS: Final = [field.attname for field in ProfileCommand._meta.concrete_fields]
_CLOCKS: Final = ("statement_timestamp", "clock_timestamp", "transaction_timestamp", "now")


class Clock:
    """The time of this process and of its database connection."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self._traveller = traveller
        self.now = BEGIN
        self.set(BEGIN)

    def set(self, moment: float) -> None:
        """It is this moment now."""
        self.now = moment
        self._traveller.move_to(datetime.fromtimestamp(moment, UTC))
        sql.run("SELECT set_config('driven.now', %s, false)", [self.at.isoformat()])

    @property
    def at(self) -> datetime:
        """As a DateTime."""
        return datetime.fromtimestamp(self.now, UTC)


@contextmanager
def driven_clock() -> Iterator[Clock]:
    """The hub's statements ask functions of these names: others are found before PostgreSQL's."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS driven")
        for name in _CLOCKS:
            cursor.execute(
                f"CREATE OR REPLACE FUNCTION driven.{name}() RETURNS timestamptz LANGUAGE sql "
                "STABLE AS $$ SELECT current_setting('driven.now')::timestamptz $$"
            )
        cursor.execute("SET search_path = driven, pg_catalog, public")
    try:
        with time_machine.travel(datetime.fromtimestamp(BEGIN, UTC), tick=False) as traveller:
            yield Clock(traveller)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET search_path")
            cursor.execute("DROP SCHEMA driven CASCADE")


def join_parties() -> None:
    """The CPO, the eMSP and three that may be FSP; nobody listens at their URLs."""
    join(str(CPO), Role.CPO, "http://127.0.0.1:9/cpo", (), ("chargingprofiles",))
    join(str(EMSP), Role.EMSP, "http://127.0.0.1:9/msp", ("chargingprofiles",), ("sessions",))
    for party in PARTIES.values():
        sends = ("chargingprofiles", "sessions")
        join(str(party), Role.SCSP, f"http://127.0.0.1:9/{party}", sends, ("sessions",))
    holder.refresh()


def locate() -> None:
    """The site of the sessions: what their full rate is."""
    connector = {"id": "1", "max_amperage": 32}
    evse = {"uid": "EVSE1", "connectors": [connector]}
    Location.objects.create(
        owner=str(CPO),
        object_id="LOC1",
        last_updated=datetime.fromtimestamp(BEGIN, UTC),
        document=json.dumps({"id": "LOC1", "evses": [evse]}).encode(),
    )


def agree() -> None:
    """The order of choice: A by the eMSP's word, then B for the location, then C for the CPO."""
    scopes: list[dict[str, Any]] = [
        {"emsp_country_code": EMSP[0], "emsp_party_id": EMSP[1], "said_by": Speaker.EMSP},
        {"cpo_country_code": CPO[0], "cpo_party_id": CPO[1], "location_id": "LOC1"},
        {"cpo_country_code": CPO[0], "cpo_party_id": CPO[1]},
    ]
    for fsp, scope in zip(PARTIES.values(), scopes, strict=True):
        FlexAgreement.objects.create(
            fsp_country_code=fsp.country_code, fsp_party_id=fsp.party_id, due_at=None, **scope
        )


@dataclass(order=True, slots=True)
class _Due:
    moment: float
    number: int
    do: Callable[[], None] = field(compare=False)


class ByHand:
    """One history, from its Session to the last command."""

    def __init__(self, history: History, clock: Clock, number: int, shift: int = 0) -> None:
        self.history, self.clock = history, clock
        self.cpo = Cpo(history.keeps_one_per_sender, history.ignores_delete)
        self.judge = Judge(self.cpo)
        self._answers = iter(history.answers)
        self._due: list[_Due] = []
        self._numbers = count()
        # How late what is overdue comes: the same each time, whatever has run before.
        self._lateness = count(7 * number + shift)
        self._open: dict[int, tuple[ProfileCommand, Lease]] = {}
        self._in_order = 0.0
        self._away: set[str] = set()
        self._directory = holder.refresh()
        self.session = _session(f"H{number}", clock.at)
        for known in (CpoSlots, NotTaken, Spacing):
            known.objects.all().delete()
        if history.is_told:
            slots = Slots.PER_SENDER if history.keeps_one_per_sender else Slots.ONE
            CpoSlots.tell(CPO, slots)

    def run(self) -> list[str]:
        """All of it; what was wrong."""
        with errors_of("flex", "charging_profiles") as errors:
            for event in self.history.events:
                self._happens(*event)
                self._turn()
            self._come_back()
            self._pass(QUIET, until_rest=True)
        self.judge.before(self.clock.now)
        faults = [*self.judge.faults, *errors]
        faults += left(self.session, self.judge, self.clock.now)
        if faults:
            faults += journal(self.session)
        self._end()
        return faults

    def counted(self) -> dict[str, int]:
        """What there was of it."""
        return counted(self.session, self.judge)

    # --- What happens -----------------------------------------------------------------------------

    def _happens(self, kind: str, *said: Any) -> None:
        match kind:
            case "pass":
                self._pass(said[0])
            case "put":
                self._send("PUT", said[0], said[1])
            case "delete":
                self._send("DELETE", said[0])
            case "put-and-assign":
                self._send("PUT", said[0], said[1], carry=False)
                self._assign(Choice(FspKind.SCSP, "the operator's word", PARTIES[said[2]]))
            case "assign":
                self._assign(Choice(FspKind.SCSP, "the operator's word", PARTIES[said[0]]))
            case "unassign":
                self._assign(Choice(FspKind.NONE, "the operator's word"))
            case "taken-back":
                self._take_back()
            case "observed":
                self._assign(Choice(FspKind.EV, "the operator's word"))
            case "preferences":
                self._prefers()
            case "restart":
                self._open.clear()
            case _:
                self._status(kind, said[0])

    def _assign(self, choice: Choice) -> None:
        assignment.assign(self.session, choice, because="the operator said so")

    def _take_back(self) -> None:
        """No word is left: whoever has got the session may make itself FSP by a first PUT."""
        FlexAgreement.objects.update(is_active=False)
        self.session.sent_to = [str(EMSP), *map(str, PARTIES.values())]
        self.session.save(update_fields=["sent_to"])
        assignment.reconsider(self.session, "the operator took it back")

    def _status(self, kind: str, name: str) -> None:
        party = PARTIES[name]
        platform = self._directory.parties[party].platform.id
        if kind == "suspend":
            onboarding.suspend(party)
            self._away.add(name)
        elif kind == "offline":
            party_status.is_away(platform, "it does not answer")
            self._away.add(name)
        else:
            onboarding.resume(party)
            party_status.is_back(platform)
            self._away.discard(name)
        self._directory = holder.refresh()

    def _come_back(self) -> None:
        for name in sorted(self._away):
            self._status("online", name)

    def _prefers(self) -> None:
        PreferenceCopy.objects.create(
            session=self.session,
            document=b"{}",
            profile_type="CHEAP",
            cpo_http_status=200,
            cpo_status_code=1000,
            correlation_id="preferences",
            received_at=self.clock.at,
        )
        watching.look_at(self.session.pk)

    # --- An FSP sends -----------------------------------------------------------------------------

    def _send(
        self, method: str, name: str, steps: Any = None, *, carry: bool = True
    ) -> ProfileCommand | None:
        """As a request does; None where it is rejected, or its sender is not there."""
        fsp = self._party(name)
        if fsp is None or NAMES[str(fsp)] in self._away:
            return None
        may = FlexHooks().may_set(self.session, fsp, is_scsp=True)
        if may.refusal is not None:
            return None
        command = self._command(method, fsp, may.epoch, steps)
        command.add()
        if carry:
            self._carry()
        return command

    def _party(self, name: str) -> PartyId | None:
        if name != "current":
            return PARTIES[name]
        current = FspAssignment.current(self.session)
        return None if current is None else current.fsp

    def _command(self, method: str, fsp: PartyId, epoch: int, steps: Any) -> ProfileCommand:
        body = b""
        if method == "PUT":
            profile = Profile(float(int(self.clock.now)), tuple(steps)).document()
            body = json.dumps({"charging_profile": profile, "response_url": "https://x/"}).encode()
        return ProfileCommand(
            method=method,
            session=self.session,
            session_id_sent=self.session.session_id,
            fsp_platform_id=self._directory.parties[fsp].platform.id,
            fsp_country_code=fsp.country_code,
            fsp_party_id=fsp.party_id,
            cpo_platform_id=self._directory.parties[CPO].platform.id,
            cpo_country_code=CPO.country_code,
            cpo_party_id=CPO.party_id,
            lane=order.lane_of(CPO, self.session.session_id),
            epoch=epoch,
            path=f"https://cpo/{self.session.session_id}",
            body=body,
            response_url="https://fsp/result",
            correlation_id=f"c{next(self._numbers)}",
        )

    # --- The carrier ------------------------------------------------------------------------------

    def _carry(self) -> None:
        """Claim and send, again while there is something."""
        while rows := self._claimed():
            for row in sorted(rows, key=lambda row: row[0]):
                command = ProfileCommand.from_db(None, _FIELDS, row[: len(_FIELDS)])
                _, is_current, *_ = row[len(_FIELDS) :]
                self._open[command.pk] = command, Lease(command.fence, leases.clock())
                if is_current:
                    self._arrives(command)
                else:
                    self._said(command, Said(CommandState.SUPERSEDED, 200, b"{}", is_unsent=True))

    def _claimed(self) -> list[tuple[Any, ...]]:
        fences = [lease.fence for _, lease in self._open.values()]
        sql.run(sending.RENEW, {"held": list(self._open), "fences": fences})
        most = settings.PROFILE_CALLS_PER_RECEIVER
        return sql.run(carrier.CLAIM, {"cpos": [], "open": [], "most": most})

    def _said(self, command: ProfileCommand, said: Said) -> None:
        """What the carrier does with an answer; nothing where its process has died meanwhile."""
        found = self._open.pop(command.pk, None)
        if found is None:
            return
        is_accepted_put = said.state == CommandState.ACCEPTED and command.method == "PUT"
        if is_accepted_put and not command.epoch:
            sending.put_accepted(self.session.pk, command.fsp)
        order.tell(sql.run(*command.answered(said, found[1])))
        ProfileCommand.passed_on(command.pk)

    # --- The CPO ----------------------------------------------------------------------------------

    def _arrives(self, command: ProfileCommand) -> None:
        how = next(self._answers, "ok")
        now = self.clock.now
        limit = command.created_at.timestamp() + settings.FORWARD_TIMEOUT
        if how == "lost":
            self._said(command, Said(CommandState.UNREACHABLE, problem="lost", is_unsent=True))
            return
        current = FspAssignment.current(self.session)
        self.judge.leaves(sent_of(command), 0 if current is None else current.epoch, now)
        if how in {"silent", "unanswered", "overdue"}:
            in_order = max(now, self._in_order)
            late = {
                "unanswered": in_order,
                "overdue": limit + 20.0 + next(self._lateness) % 41,
            }.get(how)
            if late is not None:
                self._at(late, partial(self._is_done, command, is_overdue=how == "overdue"))
            self._at(limit, lambda: self._said(command, Said(CommandState.TIMED_OUT)))
        elif how in {"refused", "too-often"}:
            self._said(command, Said(CommandState.REFUSED, 200, _answer(how)))
        elif how == "rejected":
            self._accepts(command)
            self._at(now + 5, lambda: self._posts(command, "REJECTED"))
        else:
            self._takes(command, how)

    def _takes(self, command: ProfileCommand, how: str) -> None:
        """Accept it; carry it out in the order of what was accepted."""
        now = self.clock.now
        moment = self._in_order = max(self._in_order, now + (20 if how == "slow" else 0))
        if how != "first":
            self._accepts(command)

        def carried_out() -> None:
            result, profile = self._effect(command)
            if how == "late-result":
                self._at(moment + 45, lambda: self._posts(command, result, profile))
            elif how != "no-result":
                self._posts(command, result, profile)

        if moment <= now:
            carried_out()
        else:
            self._at(moment, carried_out)
        if how == "first":
            self._accepts(command)

    def _accepts(self, command: ProfileCommand) -> None:
        self._said(command, Said(CommandState.ACCEPTED, 200, _answer("ok"), timeout=30))

    def _is_done(self, command: ProfileCommand, *, is_overdue: bool) -> None:
        self._effect(command, is_overdue=is_overdue)

    def _effect(self, command: ProfileCommand, *, is_overdue: bool = False) -> tuple[str, Any]:
        now = self.clock.now
        self.judge.before(now)
        if command.method == "GET":
            return "ACCEPTED", self.cpo.active(now, 3600)
        sent = sent_of(command)
        had = list(self.cpo.profiles.values())
        result = self.cpo.carry_out(command.method, sent.sender, sent.profile)
        self.judge.carried_out(sent, had, now, is_overdue=is_overdue)
        return result, None

    def _posts(self, command: ProfileCommand, result: str, profile: Any = None) -> None:
        given = ProfileCommand.given(command.key, command.cpo_platform_id)
        if given is not None:
            body = {"result": result} | ({"profile": profile} if profile else {})
            given.record_result(result, json.dumps(body).encode())

    # --- Time -------------------------------------------------------------------------------------

    def _at(self, moment: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._due, _Due(moment, next(self._numbers), do))

    def _pass(self, seconds: float, *, until_rest: bool = False) -> None:
        """Time passes; what is due happens in its order, and the turns by the clock between.

        Where nothing follows any more by the rows, that is enough.
        """
        end, pause = self.clock.now + seconds, 1.0
        while self.clock.now < end:
            following = min(end, self.clock.now + pause)
            if self._due and self._due[0].moment <= following:
                self.clock.set(max(self.clock.now, self._due[0].moment))
                heapq.heappop(self._due).do()
                pause = 1.0
            else:
                self.clock.set(following)
                pause = min(pause * 3, 90.0)
            self._turn()
            if until_rest and not self._due and is_at_rest(self.session):
                return

    def _turn(self) -> None:
        """What is done by the clock, and what may leave after it."""
        tasks.end_overdue()
        flex_tasks.advance()
        self._carry()

    # --- The end ----------------------------------------------------------------------------------

    def _end(self) -> None:
        Session.objects.filter(pk=self.session.pk).update(status="COMPLETED")
        self._turn()


def _answer(how: str) -> bytes:
    word = {"ok": "ACCEPTED", "refused": "REJECTED", "too-often": "TOO_OFTEN"}[how]
    return json.dumps({"status_code": 1000, "data": {"result": word, "timeout": 30}}).encode()


def _session(session_id: str, now: datetime) -> Session:
    return Session.objects.create(
        country_code=CPO.country_code,
        party_id=CPO.party_id,
        session_id=session_id,
        emsp_country_code=EMSP.country_code,
        emsp_party_id=EMSP.party_id,
        token_uid="TOKEN-1",
        token_type="RFID",
        location_id="LOC1",
        evse_uid="EVSE1",
        status="ACTIVE",
        last_updated=now,
        document=b'{"connector_id": "1"}',
        sent_to=[str(EMSP)],
    )
