"""What the modules tell the flexibility layer once it is written (sessions/flexibility.py)."""

from collections.abc import Iterator
from threading import Condition
from typing import Any

import pytest

from charging_profiles.models import CommandState
from flex.hooks import FlexHooks
from party.messages import Reply
from sessions import flexibility
from sessions.flexibility import CommandNews
from sessions.head import Push
from simulators.testing import PATIENCE
from tests.flex.agreements import agree
from tests.scripted import PROFILE, url_given

RESULT = {"result": "ACCEPTED"}
REFUSED = {"result": "REJECTED", "timeout": 0}


class Listening(FlexHooks):
    """The flexibility layer, which also keeps what it is told."""

    def __init__(self) -> None:
        self._told: list[tuple[str, Any]] = []
        self._more = Condition()

    def _hear(self, what: str, news: Any) -> None:
        with self._more:
            self._told.append((what, news))
            self._more.notify_all()

    def wait_for(self, number: int) -> list[tuple[str, Any]]:
        """What was told, when so many events were."""
        with self._more:
            assert self._more.wait_for(lambda: len(self._told) >= number, PATIENCE)
            return list(self._told)

    def session_on_its_way(self, push: Push) -> None:
        self._hear("on its way", push.session_id)

    def command_answered(self, news: CommandNews) -> None:
        self._hear("answered", news)

    def result_came(self, news: CommandNews) -> None:
        self._hear("result", news)

    def profile_updated(self, forwarded: Any) -> None:
        self._hear("updated", forwarded.request.body)


@pytest.fixture
def listening(cast) -> Iterator[Listening]:
    before, layer = flexibility.current(), Listening()
    flexibility.install(layer)
    yield layer
    flexibility.install(before)


@pytest.mark.parametrize("is_agreed", [True, False], ids=["at once", "on a thread"])
def test_each_event_is_told_once(cast, listening, is_agreed):
    session_id = f"TOLD-{is_agreed}"
    if is_agreed:
        agree(cast.emsp, cpo=cast.cpo)
    for _ in range(2):
        cast.cpo.put_session(session_id, cast.emsp)
    cast.emsp.put_profile(session_id)
    url = url_given(cast.cpo.asked(session_id)[0])
    for _ in range(2):
        cast.cpo.post_result(url, RESULT)
    update = {"start_date_time": "2026-03-01T10:00:00Z", "charging_profile": PROFILE}
    cast.cpo.send("PUT", f"sender/chargingprofiles/{session_id}", update, to=cast.emsp)
    # Of an answer the worker tells, which may be later than the web process tells of its result.
    told = listening.wait_for(4)
    assert sorted(what for what, _ in told) == ["answered", "on its way", "result", "updated"]
    answered, result = dict(told)["answered"], dict(told)["result"]
    assert answered.state == CommandState.ACCEPTED
    assert result == answered._replace(state=CommandState.RESULT_ACCEPTED)
    assert (answered.method, answered.fsp) == ("PUT", cast.emsp.party)
    assert answered.epoch == is_agreed
    cast.cpo.answers(session_id, Reply(REFUSED))
    cast.emsp.delete_profile(session_id)
    [*_, (what, news)] = listening.wait_for(5)
    assert (what, news.method, news.state) == ("answered", "DELETE", CommandState.REFUSED)
