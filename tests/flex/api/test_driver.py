"""What an eMSP's app asks and reads for its driver (SCALE D2.3, 8.4 and 11.1)."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from flex.api import preparing
from flex.api.models import Prepared, Use
from flex.models import PreferenceCopy
from hub.ocpi.datatypes import Role
from party.messages import Reply
from sessions.models import Session
from tests.cases import case
from tests.flex.agreements import agree
from tests.flex.api.calling import Api, refused
from tests.flex.api.test_fsp_view import DEPARTURE, path_of, with_prices
from tests.hub.strangers import until
from tests.scripted import Actor, Exactly

WISHES = {"min_soc": 20, "target_soc": 80, "max_soc": 90, "priority_charging": True}
WANTED = {
    "profile_type": "CHEAP",
    "departure_time": DEPARTURE.isoformat().replace("+00:00", "Z"),
    "energy_need": 10.5,
    "wishes": WISHES | {"green_level": 70, "tariff_override": 0.21},
}


def of_driver(api: Api, cast, token_uid: str = "TOKEN-1") -> Api:
    return Api(cast.hub.url, api.post("emsp/driver-keys", {"token_uid": token_uid})["key"])


def at(cast, session_id: str, cpo: Actor | None = None) -> str:
    party = (cpo or cast.cpo).party
    return f"emsp/sessions/{party.country_code}/{party.party_id}/{session_id}"


def test_preferences_become_the_emsps_own_call_and_the_cpos_answer_comes_back_in_words(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("DRIVE-1", cast.emsp)
    driver = of_driver(Api.of(cast.emsp), cast)
    told = driver.put(f"{at(cast, 'DRIVE-1')}/preferences", WANTED)
    with case("at the CPO, from the eMSP"):
        [message] = cast.cpo.got("DRIVE-1", module="sessions")
        assert (message.method, message.interface) == ("PUT", "sender")
        assert (message.from_party, message.to_party) == (cast.emsp.party, cast.cpo.party)
        assert message.json() == {
            name: WANTED[name] for name in ("profile_type", "departure_time", "energy_need")
        }
        assert message.headers["X-Correlation-ID"] == told["correlation_id"]
    with case("its answer"):
        assert told["cpo"]["response"] == "ACCEPTED"
        assert told["cpo"]["in_words"] == f"{cast.cpo} has accepted the preferences."
    with case("the same row and the same relay as of any other"):
        [kept] = PreferenceCopy.objects.filter(session__session_id="DRIVE-1")
        assert (kept.profile_type, kept.cpo_answer) == ("CHEAP", "ACCEPTED")
        relayed = cast.scsp.wait_for("DRIVE-1", count=2)[-1]
        assert (relayed.from_party, relayed.json()) == (cast.emsp.party, message.json())
    with case("the FSP reads the wishes that OCPI has no field for"):
        shown = Api.of(cast.scsp).get(path_of(cast, "DRIVE-1"))["wishes"]
        assert shown.pop("told_at")
        assert shown == WANTED["wishes"]
        found = Api.of(cast.scsp).get(f"{path_of(cast, 'DRIVE-1')}/coverage")
        told_by_app = {
            one["id"]: one["value"] for one in found if "told by the app" in one["known"]
        }
        assert {"20", "80", "90", "0.21"} <= set(told_by_app.values())
    for answer, words in (
        (Reply("DEPARTURE_REQUIRED"), "needs the time of departure"),
        (Reply(status_code=2001, http_status=404), "takes no preferences"),
        (Reply(status_code=3000), "has refused the preferences"),
    ):
        with case(words):
            cast.cpo.answers("DRIVE-1", answer)
            told = driver.put(f"{at(cast, 'DRIVE-1')}/preferences", {"profile_type": "FAST"})
            assert words in told["cpo"]["in_words"]
    with case("wishes that were left out are wished no more"):
        assert Api.of(cast.scsp).get(path_of(cast, "DRIVE-1"))["wishes"].keys() == {"told_at"}
    with case("a CPO that does not take them"):
        cpo = Actor(cast.hub, Role.CPO, without=[("sessions", "SENDER")])
        cpo.put_session("DRIVE-2", cast.emsp)
        answer = driver.send("PUT", f"{at(cast, 'DRIVE-2', cpo)}/preferences", WANTED)
        assert refused(answer) == (502, "NO_ANSWER")


def test_what_makes_no_sense_does_not_leave(cast):
    cast.cpo.put_session("DRIVE-3", cast.emsp)
    cast.cpo.put_session("DRIVE-4", cast.emsp, status="COMPLETED")
    api = Api.of(cast.emsp)
    path = f"{at(cast, 'DRIVE-3')}/preferences"
    wrong: list[dict[str, Any]] = [
        {},
        {"profile_type": "QUICK"},
        {"profile_type": "CHEAP", "departure_time": "soon"},
        {"profile_type": "CHEAP", "energy_need": -1},
        {"profile_type": "CHEAP", "wishes": {"target_soc": 101}},
        {"profile_type": "CHEAP", "wishes": {"tariff_override": 1e300}},
        {"profile_type": "CHEAP", "wishes": {"min_soc": 50, "max_soc": 40}},
    ]
    for body in wrong:
        with case(body):
            assert refused(api.send("PUT", path, body)) == (400, "INVALID")
    answer = api.send("PUT", f"{at(cast, 'DRIVE-4')}/preferences", WANTED)
    assert refused(answer) == (409, "SESSION_OVER")
    assert cast.cpo.got("DRIVE-3", module="sessions") == []


def test_a_drivers_key_opens_its_own_sessions_alone(cast):
    cast.cpo.put_session("DRIVE-5", cast.emsp)
    cast.cpo.put_session("DRIVE-6", cast.emsp, cdr_token={"uid": "TOKEN-6"})
    back_end = Api.of(cast.emsp, Use.EMSP)
    driver = of_driver(back_end, cast, "TOKEN-6")
    assert [one["session_id"] for one in driver.get("emsp/sessions")["sessions"]] == ["DRIVE-6"]
    assert driver.get(at(cast, "DRIVE-6"))["status"] == "ACTIVE"
    for path in (at(cast, "DRIVE-5"), at(cast, "DRIVE-NO")):
        assert refused(driver.send("GET", path)) == (404, "NOT_FOUND")
    answer = driver.send("PUT", f"{at(cast, 'DRIVE-5')}/preferences", WANTED)
    assert refused(answer) == (404, "NOT_FOUND")
    with case("the back-end sees all of its drivers, and one when it asks"):
        assert back_end.get(at(cast, "DRIVE-5"))
        found = back_end.get("emsp/sessions?token_uid=token-6")["sessions"]
        assert [one["session_id"] for one in found] == ["DRIVE-6"]
        page = back_end.get("emsp/sessions?limit=1")
        assert [one["session_id"] for one in page["sessions"]] == ["DRIVE-6"]
        after = back_end.get(f"emsp/sessions?limit=1&before={page['before']}")["sessions"]
        assert [one["session_id"] for one in after] == ["DRIVE-5"]
    with case("another eMSP sees none of it"):
        stranger = Api.of(cast.other_emsp)
        assert stranger.get("emsp/sessions")["sessions"] == []
        assert refused(stranger.send("GET", at(cast, "DRIVE-5"))) == (404, "NOT_FOUND")


def test_plan_progress_cost_and_saving(cast):
    agree(cast.scsp, cpo=cast.cpo)
    with_prices(cast, "T9")
    periods = [
        {
            "start_date_time": "2026-03-01T22:00:00Z",
            "tariff_id": "T9",
            "dimensions": [{"type": "ENERGY", "volume": 5.5}, {"type": "TIME", "volume": 1}],
        }
    ]
    cast.cpo.put_session(
        "DRIVE-7",
        cast.emsp,
        start_date_time="2026-03-01T22:00:00Z",
        kwh=5.5,
        charging_periods=periods,
        total_cost={"excl_vat": 1.1},
        last_updated="2026-03-01T23:00:00Z",
    )
    api = Api.of(cast.emsp)
    api.put(f"{at(cast, 'DRIVE-7')}/preferences", WANTED | {"energy_need": 11})
    assert cast.scsp.put_profile("DRIVE-7", to=cast.cpo).json()["status_code"] == 1000
    shown = api.get(at(cast, "DRIVE-7"))
    assert shown["plan"]["fsp"] == shown["assignment"]["fsp"] == str(cast.scsp)
    assert (shown["progress"]["kwh"], shown["progress"]["percent"]) == (5.5, 50)
    # From 23:00 of Amsterdam on a kWh costs 0.20.
    assert shown["cost"] == {"currency": "EUR", "told_by_cpo": 1.1, "by_tariff": 1.1}
    saving = shown["saving"]
    assert (saving["controlled"], saving["uncontrolled"], saving["amount"]) == (1.1, 1.1, 0)
    assert "11000 W" in saving["how"]
    with case("what cannot be computed with leaves the list to all others"):
        periods[0]["dimensions"] = [{"type": "ENERGY", "volume": 1e300}]
        began = {"start_date_time": "0001-01-01T00:00:00Z", "charging_periods": periods}
        cast.cpo.put_session("DRIVE-9", cast.emsp, **began)
        [beyond, first] = api.get("emsp/sessions?limit=2")["sessions"]
        assert (beyond["session_id"], first["session_id"]) == ("DRIVE-9", "DRIVE-7")
        assert "cannot be computed with" in beyond["cost"]["unclear"]
    with case("nothing told"):
        cast.cpo.put_session("DRIVE-8", cast.emsp, location_id="NOWHERE")
        shown = api.get(at(cast, "DRIVE-8"))
        assert "plan" not in shown
        assert "Tariff" in shown["saving"]["why"]


# --- Before the session ---------------------------------------------------------------------------


def sent(pk: int, state: str = "ANSWERED") -> Prepared:
    """The row once it is in this state, with the turns by the clock that lead there."""

    def look() -> bool:
        preparing.advance()
        return Prepared.objects.filter(pk=pk, state=state).exists()

    until(look)
    return Prepared.objects.get(pk=pk)


def again(pk: int) -> Prepared:
    """After another turn by the clock, whose pauses are over."""
    Prepared.objects.filter(pk=pk, state="DUE").update(due_at=DEPARTURE - timedelta(days=1))
    preparing.advance()
    return Prepared.objects.get(pk=pk)


def test_preferences_before_the_session_are_sent_once_it_is_there(cast):
    api = Api.of(cast.emsp)
    driver = of_driver(api, cast, "TOKEN-P1")
    made = driver.post("emsp/preferences", WANTED)
    assert (made["state"], made["token_uid"]) == ("WAITING", "TOKEN-P1")
    with case("somebody else's session"):
        cast.cpo.put_session("PRE-0", cast.emsp, cdr_token={"uid": "TOKEN-P2"})
        preparing.advance()
        assert driver.get(f"emsp/preferences/{made['id']}")["state"] == "WAITING"
    cast.cpo.put_session("PRE-1", cast.emsp, cdr_token={"uid": "token-p1"})
    sent(made["id"])
    [message] = cast.cpo.got("PRE-1", module="sessions")
    assert (message.from_party, message.json()["energy_need"]) == (cast.emsp.party, 10.5)
    shown = driver.get(f"emsp/preferences/{made['id']}")
    assert shown["session"]["session_id"] == "PRE-1"
    assert shown["in_words"] == f"{cast.cpo} has accepted the preferences."
    assert driver.get(at(cast, "PRE-1"))["wishes"]["target_soc"] == 80
    assert PreferenceCopy.objects.filter(session__session_id="PRE-1").count() == 1
    with case("the next session of the token gets none"):
        cast.cpo.put_session("PRE-2", cast.emsp, cdr_token={"uid": "TOKEN-P1"})
        preparing.advance()
        assert cast.cpo.got("PRE-2", module="sessions") == []
    with case("who may see them"):
        assert refused(Api.of(cast.other_emsp).send("GET", f"emsp/preferences/{made['id']}")) == (
            404,
            "NOT_FOUND",
        )
        other = of_driver(api, cast, "TOKEN-P2")
        assert other.get("emsp/preferences") == []
        wrong = other.send("POST", "emsp/preferences", WANTED | {"token_uid": "TOKEN-P1"})
        assert refused(wrong) == (403, "NOT_YOUR_TOKEN")


def test_preferences_for_a_start_session_wait_for_its_reference(cast):
    api = Api.of(cast.emsp)
    made = api.post("emsp/preferences", WANTED | {"authorization_reference": "ref-77"})
    cast.cpo.put_session("PRE-3", cast.emsp)
    cast.cpo.put_session("PRE-4", cast.emsp, authorization_reference="REF-77", status="RESERVATION")
    until(lambda: preparing.advance() or Prepared.objects.get(pk=made["id"]).session)
    with case("a reservation has nobody who could be asked"):
        preparing.advance()
        assert Prepared.objects.get(pk=made["id"]).state == "DUE"
    changes = {"status": "ACTIVE", "last_updated": "2026-03-01T11:00:00Z"}
    cast.cpo.put_session("PRE-4", cast.emsp, authorization_reference="REF-77", **changes)
    sent(made["id"])
    assert cast.cpo.got("PRE-3", module="sessions") == []
    assert len(cast.cpo.got("PRE-4", module="sessions")) == 1


def test_a_session_that_its_emsp_refuses_gets_nothing_of_its_drivers(cast):
    made = Api.of(cast.emsp).post("emsp/preferences", WANTED | {"token_uid": "TOKEN-P20"})
    cast.emsp.answers("PRE-20", Reply(status_code=2001))
    cast.other_cpo.put_session("PRE-20", cast.emsp, cdr_token={"uid": "TOKEN-P20"})
    preparing.advance()
    assert Prepared.objects.get(pk=made["id"]).state == "WAITING"
    with case("the real one gets it"):
        cast.cpo.put_session("PRE-21", cast.emsp, cdr_token={"uid": "TOKEN-P20"})
        sent(made["id"])
        assert cast.other_cpo.got("PRE-20", module="sessions") == []
    with case("what hangs on a Session that has gone waits again"):
        later = Api.of(cast.emsp).post("emsp/preferences", WANTED | {"token_uid": "TOKEN-P21"})
        Prepared.objects.filter(pk=later["id"]).update(state="DUE", due_at=timezone.now())
        preparing.advance()
        assert Prepared.objects.get(pk=later["id"]).state == "WAITING"


def test_they_are_sent_until_the_cpo_answers(cast):
    api = Api.of(cast.emsp)
    made = api.post("emsp/preferences", WANTED | {"token_uid": "TOKEN-P5"})
    cast.cpo.put_session("PRE-5", cast.emsp, cdr_token={"uid": "TOKEN-P5"})
    for status in (401, 503):
        with case(status):
            cast.cpo.answers("PRE-5", Exactly(http_status=status))
            Prepared.objects.filter(pk=made["id"]).update(outcome="")
            until(lambda: "cannot be reached" in again(made["id"]).outcome)
            assert api.get(f"emsp/preferences/{made['id']}")["state"] in {"DUE", "SENDING"}
    cast.cpo.answers("PRE-5", Reply("NOT_POSSIBLE"))
    until(lambda: "cannot do what is asked" in again(made["id"]).outcome)
    assert api.get(f"emsp/preferences/{made['id']}")["cpo"]["response"] == "NOT_POSSIBLE"


def test_what_still_waits_is_replaced_withdrawn_or_expires(cast):
    api = Api.of(cast.emsp)
    first, second = (
        api.post("emsp/preferences", WANTED | {"token_uid": "TOKEN-P7"})["id"] for _ in range(2)
    )
    assert api.get(f"emsp/preferences/{first}")["state"] == "REPLACED"
    assert api.send("DELETE", f"emsp/preferences/{second}").status_code == 204
    assert refused(api.send("DELETE", f"emsp/preferences/{second}")) == (409, "HAS_LEFT")
    third = api.post("emsp/preferences", WANTED | {"token_uid": "TOKEN-P7"})["id"]
    Prepared.objects.filter(pk=third).update(expires_at="2026-03-01T00:00:00Z")
    preparing.advance()
    assert api.get(f"emsp/preferences/{third}")["state"] == "EXPIRED"
    states = [one["state"] for one in api.get("emsp/preferences?token_uid=TOKEN-P7")]
    assert states == ["EXPIRED", "WITHDRAWN", "REPLACED"]
    for wrong in (
        WANTED,
        WANTED | {"token_uid": "T", "authorization_reference": "R"},
        WANTED | {"token_uid": "T", "expires_at": "2020-01-01T00:00:00Z"},
    ):
        assert refused(api.send("POST", "emsp/preferences", wrong)) == (400, "INVALID")


def test_what_the_emsp_has_asked_meanwhile_counts_more(cast):
    api = Api.of(cast.emsp)
    made = api.post("emsp/preferences", WANTED | {"token_uid": "TOKEN-P9"})
    reserved = {"cdr_token": {"uid": "TOKEN-P9"}, "status": "RESERVATION"}
    cast.cpo.put_session("PRE-9", cast.emsp, **reserved)
    until(lambda: again(made["id"]).session is not None)
    api.put(f"{at(cast, 'PRE-9')}/preferences", {"profile_type": "FAST"})
    changes = {"status": "ACTIVE", "last_updated": "2026-03-01T11:00:00Z"}
    cast.cpo.put_session("PRE-9", cast.emsp, **reserved | changes)
    assert "something else" in sent(made["id"], "REPLACED").outcome
    assert len(cast.cpo.got("PRE-9", module="sessions")) == 1


def test_a_session_that_began_while_the_driver_was_typing_counts(cast):
    api = Api.of(cast.emsp)
    cast.cpo.put_session("PRE-8", cast.emsp, cdr_token={"uid": "TOKEN-P8"})
    made = api.post("emsp/preferences", WANTED | {"token_uid": "TOKEN-P8"})
    assert sent(made["id"]).session == Session.objects.named("PRE-8").get()
