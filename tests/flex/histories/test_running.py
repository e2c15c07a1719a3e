"""Random histories side by side through the running hub: no gap, nothing stale, all ends."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from time import process_time
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from flex import assignment
from flex.choice import Choice, FspKind
from flex.models import FspAssignment
from hub.models import Party
from hub.models.workers import QUEUES
from hub.ocpi.datatypes import Role
from hub.parties import onboarding, party_status
from hub.routing.directory import holder, wait_until_confirmed
from hub.workers.process import Worker
from sessions.models import Session
from simulators.testing import PATIENCE
from tests.flex.agreements import agree
from tests.flex.histories.history import FSPS, History, random_history
from tests.flex.histories.running import Site, judged, on_their_way, open_ones, passes, turns
from tests.running_hub import changed_setting
from tests.scripted import Actor

pytestmark = pytest.mark.long
HISTORIES = 300
GROUPS = 3
ROUNDS = 5


class World:
    """Two CPOs, an eMSP, and in each group two FSPs of its own; the third is the same for all."""

    def __init__(self, hub) -> None:
        self.hub = hub
        # What a CPO keeps of a session is learned of it: there is one of either kind.
        self.cpos = {kind: Actor(hub, Role.CPO) for kind in (False, True)}
        self.emsp = Actor(hub, Role.EMSP)
        last = Actor(hub, Role.SCSP)
        self.groups = [
            dict(zip(FSPS, (Actor(hub, Role.SCSP), Actor(hub, Role.SCSP), last), strict=True))
            for _ in range(GROUPS)
        ]
        for number, group in enumerate(self.groups):
            self._agree(group["A"], location_id=f"HIS-{number}")
        self._agree(last)
        self.sessions: list[Session] = []
        self.sites: list[Site] = []
        self.away: set[Any] = set()

    def _agree(self, fsp: Actor, **more: Any) -> None:
        for cpo in self.cpos.values():
            agree(fsp, cpo=cpo, **more)

    def begin(self, history: History) -> None:
        """A session of one of the groups."""
        number = len(self.sessions)
        cpo = self.cpos[history.keeps_one_per_sender]
        site = Site(history, cpo)
        self.sites.append(site)
        session_id = f"HISTORY-{number}"
        cpo.answers(session_id, site)
        self.sessions.append(
            Session.objects.create(
                country_code=cpo.party.country_code,
                party_id=cpo.party.party_id,
                session_id=session_id,
                emsp_country_code=self.emsp.party.country_code,
                emsp_party_id=self.emsp.party.party_id,
                token_uid="TOKEN-1",
                location_id=f"HIS-{number % GROUPS}",
                status="ACTIVE",
                last_updated=timezone.now(),
                document=b"{}",
                sent_to=[str(self.emsp.party)],
            )
        )

    @property
    def ids(self) -> list[int]:
        return [session.pk for session in self.sessions]

    def settle(self) -> None:
        """Nothing is on its way any more; what the CPO was slow with stays."""
        self.emsp.running.wait_for(lambda: not on_their_way(self.ids))

    def goes_on(self) -> None:
        """The turns by the clock, and what the CPO was slow with."""
        turns()
        self.settle()
        for site in self.sites:
            if site.queue or site.late:
                site.cpo_actor.running.run(site.go_on())

    # --- One event of each history ------------------------------------------------------------

    def round(self, number: int, pool: ThreadPoolExecutor) -> None:
        """PUTs and DELETEs from many threads, and the operator's words meanwhile."""
        sent, said, later = [], [], []
        for session, site, index in zip(self.sessions, self.sites, range(HISTORIES), strict=True):
            events = site.history.events
            event = events[number] if number < len(events) else ("none",)
            if event[0] in {"put", "delete", "put-and-assign"}:
                sent.append((self.fsp(session, index, event[1]), session.session_id, event))
            if event[0] in {"assign", "unassign", "observed", "put-and-assign"}:
                said.append((session, index, event))
            if event[0] == "pass" and event[1] > 10:
                later.append((session.pk, event[1]))
        waited = [
            pool.submit(_send, fsp, session_id, event)
            for fsp, session_id, event in sent
            if fsp is not None
        ]
        for session, index, event in said:
            choice = Choice(FspKind.NONE, "the operator's word")
            if event[0] in {"assign", "put-and-assign"}:
                party = self.groups[index % GROUPS][event[-1]].party
                choice = Choice(FspKind.SCSP, "the operator's word", party)
            assignment.assign(session, choice, because="the operator said so")
        for one in waited:
            one.result()
        self.settle()
        for pk, seconds in later:
            passes([pk], seconds)

    def fsp(self, session: Session, index: int, name: str) -> Actor | None:
        """Who sends; None where nobody is FSP, or who is has gone."""
        group = self.groups[index % GROUPS]
        if name != "current":
            return group[name] if group[name].party not in self.away else None
        current = FspAssignment.current(session)
        actors = [one for one in group.values() if current and one.party == current.fsp]
        return actors[0] if actors and actors[0].party not in self.away else None

    # --- Losses -------------------------------------------------------------------------------

    def suspend(self, fsp: Actor) -> None:
        onboarding.suspend(fsp.party)
        self.away.add(fsp.party)
        assert wait_until_confirmed()

    def is_offline(self, fsp: Actor) -> None:
        """For longer than the grace."""
        party_status.is_away(holder.refresh().parties[fsp.party].platform.id, "it is away")
        self.away.add(fsp.party)
        rows = Party.objects.filter(
            country_code=fsp.party.country_code, party_id=fsp.party.party_id
        )
        rows.update(last_updated=timezone.now() - timedelta(seconds=150))


def _send(fsp: Actor, session_id: str, event: tuple[Any, ...]) -> None:
    if event[0] == "delete":
        answer = fsp.delete_profile(session_id)
    else:
        periods = [{"start_period": start, "limit": limit} for start, limit in event[2]]
        begin = timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        profile = {
            "charging_rate_unit": "A",
            "start_date_time": begin,
            "charging_profile_period": periods,
        }
        answer = fsp.put_profile(session_id, charging_profile=profile)
    assert answer.json()["status_code"] in {1000, 4000, 4001, 4003}, answer.text
    connections.close_all()


@pytest.fixture(scope="module")
def world(hub) -> Iterator[World]:
    # Hundreds of commands wait for a CPO at once: on a slow machine none is given up.
    with changed_setting("FORWARD_TIMEOUT", 10 * PATIENCE):
        yield World(hub)


def test_random_histories_side_by_side_leave_no_gap_and_nothing_stale(world, record_property):
    began = process_time()
    for seed in range(HISTORIES):
        world.begin(_short(random_history(10_000 + seed)))
    with ThreadPoolExecutor(8) as pool:
        for number in range(ROUNDS):
            with another_worker():
                world.round(number, pool)
            if number == 2:
                world.suspend(world.groups[0]["A"])
                world.is_offline(world.groups[1]["B"])
            world.goes_on()
    for _ in range(40):
        world.goes_on()
        if not open_ones(world.ids):
            break
        passes(world.ids, 400)
    wrong = {}
    for session, site in zip(world.sessions, world.sites, strict=True):
        if faults := judged(session, site):
            wrong[session.session_id] = "\n".join([str(site.history), *faults])
    record_property("CPU seconds", round(process_time() - began))
    record_property("carried out", sum(len(site.done) for site in world.sites))
    assert not wrong, f"{len(wrong)} went wrong:\n" + "\n\n".join(list(wrong.values())[:3])


@contextmanager
def another_worker() -> Iterator[None]:
    """It comes and goes: commands are handed on, results come to whoever lives."""
    worker = Worker(QUEUES, by_the_clock=False)
    worker.start()
    try:
        yield
    finally:
        worker.stop()
        worker.join()


def _short(history: History) -> History:
    """Its first events: all histories go on together."""
    return replace(history, events=history.events[:ROUNDS], is_told=False)
