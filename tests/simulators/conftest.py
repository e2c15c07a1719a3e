"""Simulators that run for one test, registered with each other by the real handshake."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from sessions.objects import ChargingPreferences, ProfileType
from simulators.cpo import Cpo
from simulators.documents import SimulatedSession, session
from simulators.emsp import Emsp, preferences
from simulators.scsp import Scsp
from simulators.testing import Running


@pytest.fixture
def cpo() -> Iterator[Running[Cpo]]:
    with Running(Cpo()) as running:
        yield running


@pytest.fixture
def emsp() -> Iterator[Running[Emsp]]:
    with Running(Emsp()) as running:
        yield running


@pytest.fixture
def scsp() -> Iterator[Running[Scsp]]:
    with Running(Scsp()) as running:
        yield running


@pytest.fixture
def connected(cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    emsp.register(cpo.versions_url, cpo.simulator.invite())


@pytest.fixture
def flexible(connected: None, cpo: Running[Cpo], scsp: Running[Scsp]) -> None:
    """The SCSP is connected with the CPO, too."""
    scsp.register(cpo.versions_url, cpo.simulator.invite())


def start(cpo: Running[Cpo], evse_uid: str | None = None, **more: Any) -> SimulatedSession:
    return cpo.run(cpo.simulator.start_session(evse_uid, **more))


def tell(cpo: Running[Cpo], scsp: Running[Scsp], of: SimulatedSession) -> None:
    """What a hub does for the SCSP of a mandate: the Session as a full PUT."""
    party = scsp.simulator.party
    answer = cpo.call("sessions", "RECEIVER", "PUT", of.path, to=party, body=session(of))
    assert answer.is_success


def wishes(
    of: SimulatedSession,
    hours: float = 9,
    energy: float = 12,
    kind: ProfileType = ProfileType.CHEAP,
) -> ChargingPreferences:
    departure: datetime = of.clock.now() + timedelta(hours=hours)
    return preferences(kind, departure, energy)
