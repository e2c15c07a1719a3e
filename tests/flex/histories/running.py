"""Many histories side by side through a running hub: real HTTP, real carriers, real turns.

The test drives the CPO's clock: what it is slow with it does when it is told to. It drives the
hub's by moving a session's rows back in time, when nothing of it is on its way.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from charging_profiles import tasks
from charging_profiles.models import ProfileCommand
from charging_profiles.objects import ProfileResult
from flex import tasks as flex_tasks
from flex.models import FspAssignment
from flex.switching.models import FspSwitch
from hub.db import sql
from party.callbacks import post_result
from party.messages import Received, Reply
from sessions.models import Session
from tests.flex.histories.cpo import Cpo, profile_of
from tests.flex.histories.endings import journal, left, sent_of
from tests.flex.histories.history import History
from tests.flex.histories.judge import Judge
from tests.scripted import ACCEPTED, Actor, url_given

# Times of a session, by table.
_TIMES: Final = {
    "ocpi_charging_profiles_profilecommand": (
        *("created_at", "sent_at", "answer_by", "answered_at", "passed_on_at", "result_by"),
        "result_at",
    ),
    "flex_fspassignment": ("started_at", "ended_at"),
    "flex_preferencecopy": ("received_at",),
    "flex_life_hubcommand": ("since", "due_at", "asked_at", "ended_at"),
    "flex_life_steeredsession": ("due_at", "silent_since"),
    "flex_switching_fspswitch": ("since", "due_at", "ended_at", "looked_at_on"),
    "flex_switching_fspfailure": ("since", "until"),
}


class Done(NamedTuple):
    """Something that the CPO has carried out, with the response_url's key of its command."""

    at: float
    key: str
    method: str
    sender: str
    document: dict[str, Any] | None


@dataclass
class Site:
    """The CPO's side of one session: it answers as its history says, then as it should."""

    history: History
    cpo_actor: Actor
    cpo: Cpo = field(init=False)
    done: list[Done] = field(default_factory=list)
    # Accepted, in their order: to be carried out, and their results to be posted.
    queue: deque[tuple[Received, Done]] = field(default_factory=deque)
    late: deque[tuple[Received, ProfileResult]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.cpo = Cpo(self.history.keeps_one_per_sender, self.history.ignores_delete)
        self._answers: Iterator[str] = iter(self.history.answers)

    async def __call__(self, message: Received) -> Reply:
        """A command has come."""
        how = next(self._answers, "ok")
        if how in {"refused", "too-often"}:
            # What the hub learns of TOO_OFTEN spaces its own GETs to this CPO in real time.
            is_often = how == "too-often" and message.method != "GET"
            word = "TOO_OFTEN" if is_often else "REJECTED"
            return Reply({"result": word, "timeout": 0})
        if how == "silent":
            return Reply()  # Without a result, and it does nothing.
        reply = Reply() if how == "unanswered" else Reply(ACCEPTED)
        result = self._told(message, how)

        async def post() -> None:
            if result is not None:
                await self._post(message, result)

        if how == "first":
            await post()
        else:
            reply.afterwards = post
        return reply

    def _told(self, message: Received, how: str) -> ProfileResult | None:
        """Carry it out, or later; what is posted at once."""
        if how == "rejected":
            return _result("REJECTED")
        done = _of(message)
        if how == "slow" or self.queue:
            self.queue.append((message, done))
            return None
        result = self._carry_out(done)
        if how == "late-result":
            self.late.append((message, result))
        return None if how in {"late-result", "no-result", "unanswered"} else result

    def _carry_out(self, done: Done) -> ProfileResult:
        now = time.time()
        if done.method == "GET":
            return _result("ACCEPTED", self.cpo.active(now, 3600))
        self.done.append(done._replace(at=now))
        profile = profile_of(done.document, now) if done.document else None
        return _result(self.cpo.carry_out(done.method, done.sender, profile))

    async def go_on(self) -> None:
        """It does what it was slow with, the last result first."""
        results = list(self.late)
        self.late.clear()
        while self.queue:
            message, done = self.queue.popleft()
            results.append((message, self._carry_out(done)))
        for message, result in reversed(results):
            await self._post(message, result)

    async def _post(self, message: Received, result: ProfileResult) -> None:
        await post_result(self.cpo_actor.platform, message, url_given(message), result)


def _of(message: Received) -> Done:
    document = message.json()["charging_profile"] if message.method == "PUT" else None
    key = url_given(message).rpartition("/")[2]
    return Done(0.0, key, message.method, str(message.from_party), document)


def _result(word: str, profile: dict[str, Any] | None = None) -> ProfileResult:
    told = {"result": word} | ({"profile": profile} if profile else {})
    return msgspec.convert(told, ProfileResult)


# --- The hub's clock ------------------------------------------------------------------------------


def turns() -> None:
    """What the hub does by the clock."""
    tasks.end_overdue()
    flex_tasks.advance()


def on_their_way(sessions: Iterable[int]) -> int:
    """How many commands of these wait, or are at the CPO and not answered."""
    rows = ProfileCommand.objects.filter(session__in=list(sessions))
    return rows.filter(state__in=["WAITING", "SENDING"]).count()


def passes(sessions: Iterable[int], seconds: float) -> None:
    """So much time has passed for these sessions, of which nothing is on its way."""
    for table, names in _TIMES.items():
        moved = ", ".join(f"{name} = {name} - %s * interval '1 second'" for name in names)
        sql.run(
            f"UPDATE {table} SET {moved} WHERE session_id = ANY(%s)",
            [*[seconds] * len(names), list(sessions)],
        )


# --- Judged ---------------------------------------------------------------------------------------


def judged(session: Session, site: Site) -> list[str]:
    """What was wrong in one history, from what its CPO has carried out."""
    commands = {one.key: one for one in ProfileCommand.objects.filter(session=session)}
    cpo = Cpo(site.history.keeps_one_per_sender, site.history.ignores_delete)
    judge = Judge(cpo)
    for done in site.done:
        command = commands[done.key]
        judge.before(done.at)
        had = list(cpo.profiles.values())
        cpo.carry_out(
            done.method, done.sender, profile_of(done.document, done.at) if done.document else None
        )
        judge.carried_out(sent_of(command), had, done.at, is_overdue=False)
    faults = [
        *judge.faults,
        *_stale(session, commands.values()),
        *left(session, judge, time.time()),
    ]
    return [*faults, *journal(session)] if faults else []


def _stale(session: Session, commands: Iterable[ProfileCommand]) -> list[str]:
    """Commands of parties that left after their assignment had ended."""
    ended = dict(
        FspAssignment.objects.filter(session=session, ended_at__isnull=False).values_list(
            "epoch", "ended_at"
        )
    )
    return [
        f"{command} of epoch {command.epoch} has left after its assignment had ended"
        for command in commands
        if command.method != "GET"
        and command.purpose in {"", "AGAIN"}
        and command.sent_at is not None
        and (moment := ended.get(command.epoch)) is not None
        and command.sent_at > moment
    ]


def open_ones(sessions: Iterable[int]) -> int:
    """How many switches and commands have not ended."""
    pks = list(sessions)
    waiting = ["WAITING", "SENDING", "ACCEPTED"]
    switches = FspSwitch.objects.filter(session__in=pks, ended_at=None, needs_attention=False)
    commands = ProfileCommand.objects.filter(session__in=pks, state__in=waiting)
    return switches.count() + commands.count()
