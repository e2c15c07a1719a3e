"""The active profiles that the hub has seen of a session (flex/knowledge/active.py)."""

from charging_profiles.models import ProfileUpdate
from flex.knowledge import active
from party.messages import Reply
from sessions.models import Session
from tests.flex.agreements import agree
from tests.scripted import PROFILE, Actor, url_given


def profile(amps: float) -> dict[str, object]:
    periods = [{"start_period": 0, "limit": amps}]
    return {
        "start_date_time": "2026-03-01T10:00:00Z",
        "charging_profile": PROFILE | {"charging_profile_period": periods},
    }


def known(cast, session_id: str) -> Session:
    return Session.objects.owned(cast.cpo.party, session_id).get()


def limit(found: active.Seen | None) -> float | None:
    return None if found is None else float(found.profile.highest)


def asks(cast, asker: Actor, session_id: str, amps: float, count: int) -> None:
    """`asker` GETs the active profile, and the CPO posts it."""
    assert asker.get_profile(session_id, to=cast.cpo).json()["data"]["result"] == "ACCEPTED"
    url = url_given(cast.cpo.asked(session_id, count)[-1])
    cast.cpo.post_result(url, {"result": "ACCEPTED", "profile": profile(amps)})


def test_the_latest_is_of_whoever_asked_and_the_baseline_of_before_the_first_put(cast):
    agree(cast.emsp, cpo=cast.cpo)
    cast.cpo.put_session("ACT-1", cast.emsp)
    session = known(cast, "ACT-1")
    assert active.latest(session) is active.baseline(session) is None
    asks(cast, cast.emsp, "ACT-1", 16, 1)
    assert limit(active.latest(session)) == limit(active.baseline(session)) == 16
    cast.emsp.put_profile("ACT-1")
    asks(cast, cast.emsp, "ACT-1", 8, 3)
    found = active.latest(session)
    assert found is not None
    assert (limit(found), found.source, found.by) == (8, "GET", str(cast.emsp.party))
    assert limit(active.baseline(session)) == 16


def test_what_the_cpo_tells_by_itself_is_the_latest_too(cast):
    agree(cast.emsp, cpo=cast.cpo)
    cast.cpo.put_session("ACT-2", cast.emsp)
    cast.emsp.put_profile("ACT-2")
    sent = cast.cpo.send("PUT", "sender/chargingprofiles/act-2", profile(6))
    found = active.latest(known(cast, "ACT-2"))
    assert found is not None
    assert (limit(found), found.source, found.by) == (6, "PUT", str(cast.emsp.party))
    assert found.correlation_id == sent.headers["X-Correlation-ID"]
    # It was told after a profile was set.
    assert active.baseline(known(cast, "ACT-2")) is None


def test_it_is_kept_whatever_its_receiver_says_and_also_where_it_says_nothing(cast):
    agree(cast.emsp, cpo=cast.cpo)
    cast.cpo.put_session("ACT-3", cast.emsp)
    cast.emsp.answers("ACT-3", Reply(status_code=2001, message="not mine"))
    cast.cpo.send("PUT", "sender/chargingprofiles/ACT-3", profile(7), to=cast.emsp)
    assert limit(active.latest(known(cast, "ACT-3"))) == 7
    cast.cpo.put_session("ACT-4", cast.emsp)
    faults = cast.emsp.platform.faults
    faults.set(module="chargingprofiles", hang_up=True)
    try:
        sent = cast.cpo.send("PUT", "sender/chargingprofiles/ACT-4", profile(9), to=cast.emsp)
    finally:
        faults.clear()
    assert sent.json()["status_code"] == 4003
    assert limit(active.latest(known(cast, "ACT-4"))) == 9


def test_of_a_session_that_the_hub_does_not_know_nothing_is_kept(cast):
    before = ProfileUpdate.objects.count()
    cast.cpo.send("PUT", "sender/chargingprofiles/ACT-NONE", profile(9), to=cast.emsp)
    assert ProfileUpdate.objects.count() == before
