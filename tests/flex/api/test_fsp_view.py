"""What a flexibility provider reads of its sessions, and what has changed (SCALE D2.3, 8.4)."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.db import connection, transaction

from flex import journal
from flex.api import changes
from flex.api.changes import Cursor
from flex.api.models import Use
from flex.journal import Topic
from hub.db import sql
from hub.gateway.apis import Waiting
from locations.models import Location
from sessions.models import Session
from simulators.testing import PATIENCE
from tariffs.models import Tariff
from tests.cases import case
from tests.flex.agreements import agree
from tests.flex.api.calling import Api, refused
from tests.hub.strangers import until
from tests.scripted import PROFILE

DEPARTURE = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
WISHES = {
    "profile_type": "CHEAP",
    "departure_time": DEPARTURE.isoformat().replace("+00:00", "Z"),
    "energy_need": 12.5,
}


def path_of(cast, session_id: str) -> str:
    return f"fsp/sessions/{cast.cpo.party.country_code}/{cast.cpo.party.party_id}/{session_id}"


def stored(model: Any, owner: Any, object_id: str, document: dict[str, Any]) -> None:
    model.objects.update_or_create(
        owner=str(owner),
        object_id=object_id,
        audience="",
        defaults={"last_updated": DEPARTURE, "document": msgspec.json.encode(document)},
    )


def with_prices(cast, *tariff_ids: str) -> None:
    """A Location with one connector, and its Tariffs: 0.40 by day, 0.20 by night."""
    owner = cast.cpo.party
    names = {"country_code": owner.country_code, "party_id": owner.party_id}
    connector = {"id": "1", "tariff_ids": list(tariff_ids), "max_electric_power": 11_000}
    evse = {"uid": "EVSE1", "connectors": [connector]}
    place = {"id": "LOC1", "time_zone": "Europe/Amsterdam", "evses": [evse]}
    stored(Location, owner, "LOC1", names | place)
    elements = [
        {
            "price_components": [{"type": "ENERGY", "price": price, "vat": 21, "step_size": 1}],
            **({"restrictions": limits} if limits else {}),
        }
        for price, limits in ((0.2, {"start_time": "23:00", "end_time": "07:00"}), (0.4, None))
    ]
    for name in tariff_ids:
        more = {"id": name, "currency": "EUR", "elements": elements}
        stored(Tariff, owner, name, names | more | {"last_updated": "2026-01-01T00:00:00Z"})


def test_it_sees_its_sessions_with_all_that_is_known(cast):
    agree(cast.scsp, cpo=cast.cpo)
    with_prices(cast, "T1")
    cast.cpo.put_session("VIEW-1", cast.emsp, kwh=3.5)
    wish = "sender/sessions/VIEW-1/charging_preferences"
    cast.emsp.send("PUT", wish, WISHES, to=cast.cpo)
    assert cast.scsp.put_profile("VIEW-1", to=cast.cpo).json()["status_code"] == 1000
    api = Api.of(cast.scsp, Use.FSP)
    shown = api.get(path_of(cast, "VIEW-1"))
    with case("the session"):
        assert (shown["session_id"], shown["status"], shown["kwh"]) == ("VIEW-1", "ACTIVE", 3.5)
        assert (shown["emsp"], shown["connector_id"]) == (str(cast.emsp), "1")
        assert "TOKEN-1" not in msgspec.json.encode(shown).decode()
    with case("who is FSP, and why"):
        assert shown["assignment"]["fsp"] == str(cast.scsp)
        assert shown["assignment"]["epoch"] == 1
        assert shown["assignment"]["why"]
    with case("what the driver asks"):
        asked = shown["preferences"]
        assert (asked["profile_type"], asked["energy_need"]) == ("CHEAP", 12.5)
        assert (asked["departure_time"], asked["kwh_at_receipt"]) == (
            WISHES["departure_time"],
            3.5,
        )
        assert asked["cpo"]["response"] == "ACCEPTED"
        assert asked["cpo"]["in_words"] == f"{cast.cpo} has accepted the preferences."
    with case("prices until the departure"):
        prices = shown["prices"]
        assert (prices["currency"], prices["tariff_id"]) == ("EUR", "T1")
        assert 12 <= len(prices["steps"]) <= 14
        assert {step["per_kwh"] for step in prices["steps"]} <= {0.2, 0.4}
    with case("the profile that was pushed"):
        pushed = shown["pushed"]
        assert (pushed["fsp"], pushed["state"]) == (str(cast.scsp), "ACCEPTED")
        assert pushed["profile"]["unit"] == PROFILE["charging_rate_unit"]
        assert [one["limit"] for one in pushed["profile"]["periods"]] == [8]
    with case("what is known of the EV, the connector and the profile"):
        powers = [one for one in shown["bounds"] if one["unit"] == "W"]
        assert {one["value"] for one in powers} == {11_000}
        assert shown["effect"]["effect"] == "UNKNOWN"
        assert shown["effect"]["because"]
        assert [word["is_taken"] for word in shown["assignment"]["words"]] == [True]
        covered = {one["id"]: one for one in api.get(f"{path_of(cast, 'VIEW-1')}/coverage")}
        assert covered["charged_energy"]["value"] == "3.5"
        assert "TOKEN-1" not in str(covered)
    with case("in the list too"):
        page = api.get("fsp/sessions?limit=100")
        [one] = [one for one in page["sessions"] if one["session_id"] == "VIEW-1"]
        assert one["preferences"] == shown["preferences"]
        assert "bounds" not in one
        [one] = [
            one
            for one in api.get("fsp/sessions?limit=100&detail=full")["sessions"]
            if one["session_id"] == "VIEW-1"
        ]
        assert one["bounds"]
        assert one["assignment"] == shown["assignment"]
        assert page.get("after") is None
    with case("which Tariff applies is not told"):
        with_prices(cast, "T1", "T2")
        assert "T1, T2" in api.get(path_of(cast, "VIEW-1"))["prices"]["unclear"][0]


def test_it_sees_no_session_of_others(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("VIEW-2", cast.emsp)
    assert Api.of(cast.scsp).get(path_of(cast, "VIEW-2"))["session_id"] == "VIEW-2"
    for other in (cast.other_scsp, cast.emsp, cast.cpo):
        api = Api.of(other, Use.FSP)
        assert refused(api.send("GET", path_of(cast, "VIEW-2"))) == (404, "NOT_FOUND")
        assert api.get("fsp/sessions")["sessions"] == []
    api = Api.of(cast.scsp)
    assert refused(api.send("GET", path_of(cast, "VIEW-NO"))) == (404, "NOT_FOUND")
    assert refused(api.send("GET", "fsp/sessions?after=x")) == (400, "INVALID")


def test_pages_follow_one_another(cast):
    agree(cast.scsp, cpo=cast.cpo)
    names = {f"PAGE-{number}" for number in range(3)}
    for name in names:
        cast.cpo.put_session(name, cast.emsp)
    api, after, found = Api.of(cast.scsp), 0, []
    while after is not None:
        page = api.get(f"fsp/sessions?after={after}&limit=1")
        found += [one["session_id"] for one in page["sessions"]]
        after = page.get("after")
    assert names <= set(found)
    assert len(found) == len(set(found))


# --- Changes --------------------------------------------------------------------------------------


def passed(api: Api) -> str:
    """A cursor that has passed everything until now; whoever writes just now holds it up."""
    [(xid,)] = sql.run("SELECT pg_current_xact_id()::text::bigint")
    until(lambda: changes.now().xid > xid)
    return str(api.get("fsp/changes")["cursor"])


def changed(api: Api, cursor: str, topics: str = "") -> dict[str, list[str]]:
    """Topics by session."""
    answer = api.get(f"fsp/changes?cursor={cursor}&topics={topics}")
    return {one["session_id"]: one["topics"] for one in answer["changes"]}


def test_changes_are_told_once_in_their_order(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("CHANGE-1", cast.emsp)
    session = Session.objects.named("CHANGE-1").get()
    api = Api.of(cast.scsp)
    cursor = passed(api)
    with case("nothing yet"):
        assert changed(api, cursor) == {}
    with case("the Session"):
        cast.cpo.put_session("CHANGE-1", cast.emsp, kwh=1, last_updated="2026-03-01T11:00:00Z")
        until(lambda: changed(api, cursor) == {"CHANGE-1": ["SESSION"]})
        following = passed(api)
        assert changed(api, following) == {}
    with case("a line of its journal"):
        journal.note(session.pk, Topic.SITE, "The limit falls.", limit=3)
        until(lambda: changed(api, following) == {"CHANGE-1": ["SITE"]})
        [one] = api.get(f"fsp/changes?cursor={following}")["changes"]
        [line] = one["lines"]
        assert (line["topic"], line["reason"], line["detail"]) == (
            "SITE",
            "The limit falls.",
            {"limit": 3},
        )
    with case("of some topics alone"):
        for topics, told in (("SITE,EFFECT", ["SITE"]), ("SESSION", ["SESSION"]), ("EFFECT", [])):
            assert [*changed(api, cursor, topics).values()] == ([told] if told else [])
        assert refused(api.send("GET", "fsp/changes?topics=ALL")) == (400, "INVALID")
    with case("others are told nothing"):
        assert changed(Api.of(cast.other_scsp), cursor) == {}
    with case("not a cursor, and one of another database"):
        assert refused(api.send("GET", "fsp/changes?cursor=x")) == (400, "INVALID")
        late = changes.now()._replace(xid=2**60).text()
        assert refused(api.send("GET", f"fsp/changes?cursor={late}")) == (410, "CURSOR_GONE")


def test_what_commits_late_is_not_skipped(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("CHANGE-2", cast.emsp)
    session = Session.objects.named("CHANGE-2").get()
    api = Api.of(cast.scsp)
    cursor = passed(api)
    begun, may_end = threading.Event(), threading.Event()

    def late() -> None:
        try:
            with transaction.atomic():
                journal.note(session.pk, Topic.EFFECT, "Written first, and seen last.")
                begun.set()
                may_end.wait(PATIENCE)
        finally:
            connection.close()

    thread = threading.Thread(target=late)
    thread.start()
    assert begun.wait(PATIENCE)
    journal.note(session.pk, Topic.EFFECT, "Written second.")
    told = [api.get(f"fsp/changes?cursor={cursor}")]
    may_end.set()
    thread.join()

    def is_all_told() -> bool:
        told.append(following(api, told[-1]))
        return "Written first" in str(told) and "Written second" in str(told)

    until(is_all_told)
    assert str(told).count("Written first, and seen last.") == 1
    assert str(told).count("Written second.") == 1


def following(api: Api, told: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"fsp/changes?cursor={told['cursor']}")
    return found


def test_many_changes_come_in_parts(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("CHANGE-3", cast.emsp)
    session = Session.objects.named("CHANGE-3").get()
    places = [Cursor.parse(passed(Api.of(cast.scsp)))]
    for number in range(5):
        journal.note(session.pk, Topic.BOUND, f"Line {number}.")
    lines: list[str] = []

    def is_all_read() -> bool:
        part = changes.since(cast.scsp.party, places[-1], most=2)
        assert len([line for one in part.changes for line in one.lines]) <= 2
        lines.extend(line.reason for one in part.changes for line in one.lines)
        places.append(Cursor.parse(part.cursor))
        return len(lines) >= 5

    until(is_all_read)
    assert lines == [f"Line {number}." for number in range(5)]


def test_who_waits_is_answered_when_something_changes(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("CHANGE-4", cast.emsp)
    api = Api.of(cast.scsp)
    asked = f"fsp/changes?cursor={passed(api)}&topics=EFFECT"
    with case("nothing within the time"):
        assert api.get(f"{asked}&wait=1")["changes"] == []
        assert refused(api.send("GET", "fsp/changes?wait=26")) == (400, "INVALID")
    answers: list[dict[str, Any]] = []

    def wait() -> None:
        for _ in range(3):  # On a slow machine more than once.
            if not answers:
                answers.extend(api.get(f"{asked}&wait=25")["changes"])

    thread = threading.Thread(target=wait)
    thread.start()
    journal.note(Session.objects.named("CHANGE-4").get().pk, Topic.EFFECT, "In force.")
    thread.join(90)
    assert [(one["session_id"], one["topics"]) for one in answers] == [("CHANGE-4", ["EFFECT"])]


def test_of_one_key_only_so_many_wait(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("CHANGE-5", cast.emsp)
    session = Session.objects.named("CHANGE-5").get()
    api = Api.of(cast.scsp)
    cursor = passed(api)
    found: list[int] = []

    def wait() -> None:
        answer = api.send("GET", f"fsp/changes?cursor={cursor}&wait=25&topics=EFFECT")
        found.append(answer.status_code)

    threads = [threading.Thread(target=wait) for _ in range(Waiting.MOST_OF_A_KEY + 1)]
    for thread in threads:
        thread.start()
    until(lambda: 429 in found)
    journal.note(session.pk, Topic.EFFECT, "All who wait hear of it.")
    for thread in threads:
        thread.join(60)
    assert sorted(found) == [200] * Waiting.MOST_OF_A_KEY + [429]
