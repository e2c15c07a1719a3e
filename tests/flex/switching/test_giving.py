"""Who becomes FSP is given the profile in force (mod_charging_profiles, Sender, PUT)."""

from typing import Any

from flex import assignment
from flex.choice import Choice
from flex.switching import turn
from flex.switching.models import FspSwitch
from sessions.models import Session
from tests.flex.agreements import agree
from tests.scripted import Cast, url_given

ACTIVE: dict[str, Any] = {
    "start_date_time": "2026-03-01T10:00:00Z",
    "charging_profile": {
        "charging_rate_unit": "A",
        "start_date_time": "2026-03-01T10:00:00Z",
        "duration": 900,
        "min_charging_rate": 6.0,
        "charging_profile_period": [{"start_period": 0, "limit": 8.5}],
    },
}


def test_the_new_fsp_gets_the_active_profile_as_its_cpo_told_it_last(cast: Cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("GIVING-1", cast.emsp)
    assert cast.scsp.get_profile("GIVING-1").json()["data"]["result"] == "ACCEPTED"
    [asked] = cast.cpo.asked("GIVING-1")
    told = {"result": "ACCEPTED", "profile": ACTIVE}
    assert cast.cpo.post_result(url_given(asked), told).status_code == 200
    session = Session.objects.get(session_id="GIVING-1")
    choice = Choice.of_party(cast.other_scsp.party, session.emsp, "a test")
    assignment.assign(session, choice, because="a test")
    # The Session first, which it could not know yet.
    assert cast.other_scsp.wait_for("GIVING-1", module="sessions", method="PUT")
    FspSwitch.objects.filter(session=session).update(due_at=session.created_at)
    assert turn.take()
    [message] = cast.other_scsp.wait_for("GIVING-1", module="chargingprofiles", method="PUT")
    assert message.interface == "sender"
    assert message.from_party == cast.cpo.party
    assert message.json() == ACTIVE
