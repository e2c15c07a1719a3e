"""mod_sessions, ChargingPreferences: the CPO's honest answers, and the driver's page."""

import json
from datetime import timedelta

import pytest

from party.messages import moment
from sessions.objects import ChargingPreferences, ProfileType
from simulators.cpo import Cpo
from simulators.emsp import Emsp, preferences
from simulators.testing import Running
from tests.simulators.conftest import start, wishes
from tests.simulators.test_platform import get


@pytest.mark.parametrize(
    ("kind", "hours", "energy", "expected"),
    [
        (ProfileType.CHEAP, 8, 20, "ACCEPTED"),
        (ProfileType.FAST, None, None, "ACCEPTED"),
        (ProfileType.REGULAR, 8, None, "ACCEPTED"),
        (ProfileType.CHEAP, None, 20, "DEPARTURE_REQUIRED"),
        (ProfileType.CHEAP, 8, None, "ENERGY_NEED_REQUIRED"),
        (ProfileType.CHEAP, -1, 20, "NOT_POSSIBLE"),
        (ProfileType.REGULAR, -1, None, "NOT_POSSIBLE"),
        (ProfileType.REGULAR, 1, 50, "NOT_POSSIBLE"),
        (ProfileType.GREEN, 8, 20, "PROFILE_TYPE_NOT_SUPPORTED"),
    ],
)
def test_every_answer_has_its_reason(
    connected: None,
    cpo: Running[Cpo],
    emsp: Running[Emsp],
    kind: ProfileType,
    hours: float | None,
    energy: float | None,
    expected: str,
) -> None:
    session = start(cpo)
    departure = None if hours is None else session.clock.now() + timedelta(hours=hours)
    wanted = preferences(kind, departure, energy)
    answer = emsp.run(emsp.simulator.send_preferences(session.id, wanted))
    assert (answer.http_status, answer.status_code, answer.data) == (200, 1000, expected)
    assert (session.id in cpo.simulator.preferences) == (expected == "ACCEPTED")


def test_an_evse_that_takes_none_is_404_with_2001(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo, "EVSE4")
    answer = emsp.run(emsp.simulator.send_preferences(session.id, wishes(session)))
    assert (answer.http_status, answer.status_code) == (404, 2001)


def test_an_ended_or_unknown_session_takes_none(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    cpo.run(cpo.simulator.end_session(session.id))
    ended = emsp.run(emsp.simulator.send_preferences(session.id, wishes(session)))
    assert (ended.http_status, ended.status_code) == (200, 2001)
    body = ChargingPreferences(ProfileType.FAST)
    unknown = emsp.call("sessions", "SENDER", "PUT", "x/charging_preferences", body=body)
    assert unknown.status_code == 2001
    assert emsp.call("sessions", "SENDER", "PUT", session.id, body=body).http_status == 404


def test_a_driver_sees_the_session_and_the_answer(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    status, page = get(emsp.url, "/")
    assert (status, "<form>" in page, "//" in page.replace("http://", "")) == (200, True, False)
    session = start(cpo)
    (shown,) = json.loads(get(emsp.url, "/app/sessions")[1])["sessions"]
    assert (shown["id"], shown["status"], "asked" in shown) == (session.id, "ACTIVE", False)

    path = f"/app/sessions/{session.id}/preferences"
    departure = moment(session.clock.now() + timedelta(hours=8))
    wish = {"profile_type": "CHEAP", "departure_time": departure, "energy_need": 12}
    status, text = get(emsp.url, path, "POST", json.dumps(wish))
    assert (status, json.loads(text)) == (200, {"answer": "ACCEPTED"})
    (shown,) = json.loads(get(emsp.url, "/app/sessions")[1])["sessions"]
    assert shown["asked"]["energy"] == 12
    assert shown["asked"]["answer"] == "ACCEPTED"


def test_a_driver_is_told_what_went_wrong(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo, "EVSE4")
    path = f"/app/sessions/{session.id}/preferences"
    wish = '{"profile_type": "FAST"}'
    assert json.loads(get(emsp.url, path, "POST", wish)[1])["answer"].startswith(
        "HTTP 404, OCPI 2001"
    )
    assert get(emsp.url, path, "POST", '{"profile_type": "SLOW"}')[0] == 400
    assert get(emsp.url, path, "POST", "{")[0] == 400
    assert get(emsp.url, "/app/sessions/x/preferences", "POST", wish)[0] == 400
    cpo.set_faults(gone=True)
    assert get(emsp.url, path, "POST", wish)[0] == 502
