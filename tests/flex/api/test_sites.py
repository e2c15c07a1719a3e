"""Sites of a CPO: set with its own key, seen by flexibility providers (SCALE D2.3, 8.4)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from flex import hub_commands
from flex.api.models import Use
from flex.extensions import known
from flex.full_rate import FullRates, full_rate
from flex.life.models import HubCommand, Step
from flex.models import JournalEntry
from flex.sites import rejecting, watch
from flex.sites.models import Site
from hub.db import sql
from hub.routing.directory import wait_until_confirmed
from locations.models import Location
from party.messages import Reply
from sessions.models import Session
from tests.cases import case
from tests.flex.agreements import acts, agree
from tests.flex.api.calling import Api, refused
from tests.flex.api.test_fsp_view import passed
from tests.hub.commands.calling import run
from tests.hub.strangers import until

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LIMIT = {"unit": "W", "periods": [{"start": "2026-03-01T10:00:00+01:00", "limit": 50_000}]}
SITE = {"members": [{"location_id": "LOC1", "evse_uid": "EVSE1"}], "limits": [LIMIT]}


def test_a_cpo_sets_and_forgets_its_sites(cast):
    api = Api.of(cast.cpo, Use.CPO)
    with case("made"):
        made = api.put("cpo/sites/Garage 1", SITE, 201)
        assert (made["cpo"], made["name"]) == (str(cast.cpo), "Garage 1")
        assert made["members"] == SITE["members"]
        assert made["limits"] == [
            {"unit": "W", "periods": [{"start": "2026-03-01T09:00:00Z", "limit": 50_000}]}
        ]
        assert made["rejects_breaches"] is False
    with case("changed; the limit stays"):
        changed = {"members": [{"location_id": "LOC2"}], "rejects_breaches": True}
        assert api.put("cpo/sites/GARAGE 1", changed)["limits"] == made["limits"]
        assert [one["name"] for one in api.get("cpo/sites")] == ["Garage 1"]
    with case("another limit, in A of each phase"):
        amperes = {"unit": "A", "periods": [{"start": "2026-03-01T10:00:00Z", "limit": None}]}
        both = api.put("cpo/sites/Garage 1/limits", amperes)["limits"]
        assert [one["unit"] for one in both] == ["A", "W"]
        assert api.put("cpo/sites/Garage 1/limits", {"unit": "A", "periods": []})["limits"] == [
            made["limits"][0]
        ]
    with case("in their order, also within one second"):
        halves = [{"start": f"2026-03-01T10:00:00{more}Z", "limit": 1} for more in (".5", "")]
        told = api.put("cpo/sites/Garage 1/limits", {"unit": "A", "periods": halves})["limits"]
        assert [one["start"][19:] for one in told[0]["periods"]] == ["Z", ".500000Z"]
        api.put("cpo/sites/Garage 1/limits", {"unit": "A", "periods": []})
    with case("what means nothing"):
        start = {"start": "tomorrow", "limit": 1}
        for wrong in ({"unit": "kW", "periods": []}, {"unit": "W", "periods": [start]}):
            answer = api.send("PUT", "cpo/sites/Garage 1/limits", wrong)
            assert refused(answer) == (400, "INVALID")
        twice = {**SITE, "limits": [LIMIT, LIMIT]}
        assert refused(api.send("PUT", "cpo/sites/G", twice)) == (400, "INVALID")
        assert refused(api.send("PUT", "cpo/sites/G!", SITE)) == (400, "INVALID")
        assert refused(api.send("PUT", "cpo/sites/None/limits", LIMIT)) == (404, "NOT_FOUND")
    with case("others have sites of their own"):
        assert Api.of(cast.other_cpo).get("cpo/sites") == []
    with case("forgotten"):
        assert api.send("DELETE", "cpo/sites/garage 1").status_code == 204
        assert api.get("cpo/sites") == []


def test_an_fsp_sees_the_sites_of_its_sessions_and_is_told_of_their_limits(cast):
    agree(cast.scsp, cpo=cast.cpo)
    owner, fsp = Api.of(cast.cpo), Api.of(cast.scsp)
    cast.cpo.put_session("SITE-1", cast.emsp)
    cast.cpo.put_session("SITE-2", cast.emsp, evse_uid="EVSE2")
    cast.other_cpo.put_session("SITE-3", cast.emsp)
    owner.put("cpo/sites/Yard", SITE, 201)
    [site] = fsp.get("fsp/sites")
    assert (site["name"], site["sessions"]) == ("Yard", ["SITE-1"])
    assert site["limits"][0]["periods"][0]["limit"] == 50_000
    path = f"fsp/sessions/{cast.cpo.party.country_code}/{cast.cpo.party.party_id}"
    assert fsp.get(f"{path}/SITE-1")["sites"] == [{"cpo": str(cast.cpo), "name": "Yard"}]
    assert "sites" not in fsp.get(f"{path}/SITE-2")
    cursor = passed(fsp)
    lower = {"unit": "W", "periods": [{"start": "2026-03-01T09:00:00Z", "limit": 20_000}]}
    owner.put("cpo/sites/Yard/limits", lower)
    until(lambda: fsp.get(f"fsp/changes?cursor={cursor}&topics=SITE")["changes"])
    [change] = fsp.get(f"fsp/changes?cursor={cursor}&topics=SITE")["changes"]
    assert (change["session_id"], change["topics"]) == ("SITE-1", ["SITE"])
    assert "20000 W from 2026-03-01T09:00:00Z on" in change["lines"][0]["reason"]
    with case("the same limit again is no news"):
        owner.put("cpo/sites/Yard/limits", lower)
        told = JournalEntry.objects.filter(session=Session.objects.named("SITE-1").get())
        assert told.filter(topic="SITE").count() == 2
    with case("the limit is gone, and so is the site"):
        owner.send("DELETE", "cpo/sites/Yard")
        assert fsp.get("fsp/sites") == []
        assert "none in W any more" in told.latest("id").reason


def in_force(cast, session_id: str, watts: int):
    profile = {
        "charging_rate_unit": "W",
        "charging_profile_period": [{"start_period": 0, "limit": watts}],
    }
    return cast.scsp.put_profile(session_id, to=cast.cpo, charging_profile=profile).json()


def test_a_breach_is_told_to_the_cpo_and_to_the_fsp_and_altered_by_nobody(cast):
    agree(cast.scsp, cpo=cast.cpo)
    owner, fsp = Api.of(cast.cpo), Api.of(cast.scsp)
    for name in ("BREACH-1", "BREACH-2"):
        cast.cpo.put_session(name, cast.emsp, location_id="LOC7")
        assert in_force(cast, name, 11_000)["data"]["result"] == "ACCEPTED"
    owner.put("cpo/sites/Seven", {**SITE, "members": [{"location_id": "loc7"}]}, 201)
    watch.watch()
    assert "breach" not in owner.get("cpo/sites/Seven")
    cursor = passed(fsp)
    lower = {"unit": "W", "periods": [{"start": "2026-03-01T09:00:00Z", "limit": 20_000}]}
    owner.put("cpo/sites/Seven/limits", lower)
    for _ in range(2):  # Told once.
        watch.watch()
    breach = owner.get("cpo/sites/Seven")["breach"]
    assert (breach["sum"], breach["limit"], breach["unit"]) == (22_000, 20_000, "W")
    [site] = [one for one in fsp.get("fsp/sites") if one["name"] == "Seven"]
    assert site["breach"] == breach

    def lines() -> list[str]:
        told = fsp.get(f"fsp/changes?cursor={cursor}")["changes"]
        return [line["reason"] for one in told for line in one["lines"]]

    until(lambda: len([line for line in lines() if "the limit is broken" in line]) >= 2)
    assert len([line for line in lines() if "the limit is broken" in line]) == 2
    assert "2 profiles in force at site Seven" in str(lines())
    with case("kept again"):
        assert in_force(cast, "BREACH-2", 9_000)["data"]["result"] == "ACCEPTED"
        watch.watch()
        assert "breach" not in owner.get("cpo/sites/Seven")


def test_a_cpo_may_have_what_breaks_its_limit_rejected(cast):
    agree(cast.scsp, cpo=cast.cpo)
    owner = Api.of(cast.cpo)
    members = {"members": [{"location_id": "LOC8"}], "rejects_breaches": True}
    owner.put("cpo/sites/Eight", {**SITE, **members}, 201)
    for name in ("REJECT-1", "REJECT-2"):
        cast.cpo.put_session(name, cast.emsp, location_id="LOC8")
    with case("alone"):
        answer = in_force(cast, "REJECT-1", 51_000)
        assert answer["data"]["result"] == "REJECTED"
        assert "site Eight" in answer["status_message"]
        assert cast.cpo.got("REJECT-1", module="chargingprofiles") == []
    with case("with what is in force"):
        assert in_force(cast, "REJECT-1", 40_000)["data"]["result"] == "ACCEPTED"
        answer = in_force(cast, "REJECT-2", 11_000)
        assert answer["data"]["result"] == "REJECTED"
        assert "and those in force" in answer["status_message"]
    with case("what takes less than before is taken, though the limit is broken still"):
        lower = {"unit": "W", "periods": [{"start": "2026-03-01T09:00:00Z", "limit": 5_000}]}
        owner.put("cpo/sites/Eight/limits", lower)
        assert in_force(cast, "REJECT-1", 39_000)["data"]["result"] == "ACCEPTED"
        assert in_force(cast, "REJECT-1", 39_500)["data"]["result"] == "REJECTED"
    with case("beside the site, and not judged any more"):
        cast.cpo.put_session("REJECT-3", cast.emsp, location_id="LOC9")
        assert in_force(cast, "REJECT-3", 99_000)["data"]["result"] == "ACCEPTED"
        owner.send("DELETE", "cpo/sites/Eight")
        assert in_force(cast, "REJECT-2", 99_000)["data"]["result"] == "ACCEPTED"


def test_what_is_on_its_way_or_in_doubt_counts_where_breaches_are_rejected(cast):
    agree(cast.scsp, cpo=cast.cpo)
    owner = Api.of(cast.cpo)
    names = [f"WAY-{number}" for number in range(4)]
    for name in names:
        cast.cpo.put_session(name, cast.emsp, location_id="LOC4")
    low = {"unit": "W", "periods": [{"start": "2026-03-01T09:00:00Z", "limit": 20_000}]}
    members = {"members": [{"location_id": "LOC4"}], "limits": [low], "rejects_breaches": True}
    owner.put("cpo/sites/Four", members, 201)
    with case("those that come together are judged in turn"), ThreadPoolExecutor(4) as pool:
        said = pool.map(lambda name: in_force(cast, name, 11_000)["data"]["result"], names)
        assert sorted(said) == ["ACCEPTED", "REJECTED", "REJECTED", "REJECTED"]
    with case("nobody knows whether it was carried out"):
        [taken] = [name for name in names if cast.cpo.got(name, module="chargingprofiles")]
        other = next(name for name in names if name != taken)
        assert in_force(cast, taken, 1_000)["data"]["result"] == "ACCEPTED"
        cast.cpo.answers(taken, Reply({"is_taken": "perhaps"}))
        assert in_force(cast, taken, 12_000)["status_code"] >= 3000
        assert in_force(cast, other, 9_000)["data"]["result"] == "REJECTED"
        assert in_force(cast, other, 8_000)["data"]["result"] == "ACCEPTED"
    with case("a profile that asks for more than its connector gives takes what that gives"):
        keep_location(cast.cpo, "LOC4")
        last = next(name for name in names if name not in {taken, other})
        # The fourth has no profile, and may take what its connector gives.
        owner.put(
            "cpo/sites/Four/limits", low | {"periods": [low["periods"][0] | {"limit": 64_000}]}
        )
        assert in_force(cast, last, 99_000)["data"]["result"] == "ACCEPTED"
    owner.send("DELETE", "cpo/sites/Four")


def draws(cast, kilowatts: float, minute: int) -> None:
    """CAR-2 draws so much from then on, by its meter."""
    moment = f"2026-03-01T10:{minute}:00Z"
    period = {"start_date_time": moment, "dimensions": [{"type": "POWER", "volume": kilowatts}]}
    told = {"charging_periods": [period], "last_updated": moment, "location_id": "LOC3"}
    assert cast.cpo.put_session("CAR-2", cast.emsp, **told).json()["status_code"] == 1000
    Site.objects.update(seen="")


def judge(session: Session) -> str | None:
    """Whether 28 kW are rejected, on a thread of its own."""
    body = b"""{"charging_profile": {"charging_rate_unit": "W",
        "charging_profile_period": [{"start_period": 0, "limit": 28000}]}}"""
    try:
        with transaction.atomic():
            return rejecting.rejects(session, body)
    finally:
        connection.close()


def read_by_who_waits() -> set[str]:
    """The tables of those transactions that wait for a lock."""
    rows = sql.run("""
        SELECT relation::regclass::text FROM pg_locks
        WHERE granted AND pid IN (SELECT pid FROM pg_locks WHERE NOT granted)
          AND relation IS NOT NULL
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """)
    return {name for (name,) in rows}


def test_a_car_without_a_profile_counts_by_what_it_draws_or_may_draw(cast):
    owner, fsp = Api.of(cast.cpo), Api.of(cast.scsp)
    keep_location(cast.cpo, "LOC3")
    for name in ("CAR-1", "CAR-2"):
        cast.cpo.put_session(name, cast.emsp, location_id="LOC3")
    session = Session.objects.named("CAR-1").get()
    acts(cast.scsp.party, session)
    assert in_force(cast, "CAR-1", 11_000)["data"]["result"] == "ACCEPTED"
    low = {"unit": "W", "periods": [{"start": "2026-03-01T09:00:00Z", "limit": 24_000}]}
    members = {"members": [{"location_id": "LOC3"}], "limits": [low]}
    owner.put("cpo/sites/Three", members, 201)
    with case("what its connector gives"):
        watch.watch()
        breach = owner.get("cpo/sites/Three")["breach"]
        assert breach["sum"] == 33_000
        assert "1 profile in force here, and 1 car without a profile, ask for" in breach["in_words"]
        [site] = [one for one in fsp.get("fsp/sites") if one["name"] == "Three"]
        assert site["strangers"] == [{"unit": "W", "taken": 22_000, "sessions": 1}]
    with case("and not what its CPO told others alone, in a field of their own"):
        run("agree_extensions", str(cast.cpo), str(cast.emsp))
        assert wait_until_confirmed()
        car = {"location_id": "LOC3", "ev_constraints": {"max_charge_power": 7_000}}
        cast.cpo.put_session("CAR-2", cast.emsp, **car)
        assert [str(one.value.number) for one in known(Session.objects.named("CAR-2").get())] == [
            "7000"
        ]
        [site] = [one for one in fsp.get("fsp/sites") if one["name"] == "Three"]
        assert site["strangers"] == [{"unit": "W", "taken": 22_000, "sessions": 1}]
        run("agree_extensions", str(cast.cpo), str(cast.emsp), "--end")
        assert wait_until_confirmed()
    with case("what it draws, where that is metered"):
        draws(cast, 3, 10)
        watch.watch()
        assert "breach" not in owner.get("cpo/sites/Three")
        [site] = [one for one in fsp.get("fsp/sites") if one["name"] == "Three"]
        assert site["strangers"] == [{"unit": "W", "taken": 3_000, "sessions": 1}]
    owner.put("cpo/sites/Three", members | {"rejects_breaches": True})
    with case("it is looked at before the site's lock, under which others wait"):
        with ThreadPoolExecutor(1) as pool, transaction.atomic():
            Site.objects.select_for_update().get(name="Three")
            judged = pool.submit(judge, session)
            until(lambda: Location._meta.db_table in read_by_who_waits())
        assert "and what goes on there ask for" in judged.result()
    with case("in what is rejected"):
        answer = in_force(cast, "CAR-1", 28_000)
        assert answer["data"]["result"] == "REJECTED"
        assert "and what goes on there ask for" in answer["status_message"]
        assert in_force(cast, "CAR-1", 5_000)["data"]["result"] == "ACCEPTED"
    with case("in what the hub sends to release a session"):
        draws(cast, 20, 20)
        before = len(cast.cpo.got("CAR-1", method="PUT"))
        wish = hub_commands.release(session, "A test wants it.")
        hub_commands.advance()
        wish.refresh_from_db()
        assert (wish.is_told, wish.step) == (True, Step.DUE)
        assert len(cast.cpo.got("CAR-1", method="PUT")) == before
        draws(cast, 3, 30)

        def is_released() -> bool:
            HubCommand.objects.filter(pk=wish.pk, step=Step.DUE).update(due_at=Now())
            hub_commands.advance()
            return len(cast.cpo.got("CAR-1", method="PUT")) > before

        until(is_released)
    owner.send("DELETE", "cpo/sites/Three")


def keep_location(cpo, location_id: str) -> None:
    """One EVSE with a connector of 22 kW."""
    ids = {"country_code": cpo.party.country_code, "party_id": cpo.party.party_id}
    connector = {"id": "1", "max_electric_power": 22_000, "max_amperage": 32}
    place = ids | {"id": location_id, "evses": [{"uid": "EVSE1", "connectors": [connector]}]}
    Location.objects.create(
        owner=str(cpo),
        object_id=location_id,
        last_updated=NOW,
        document=msgspec.json.encode(place),
    )


def test_the_full_rate_is_the_share_of_a_site_whose_limit_is_in_force(cast):
    owner = Api.of(cast.cpo)
    keep_location(cast.cpo, "LOC6")
    for name in ("SHARE-1", "SHARE-2", "SHARE-3"):
        cast.cpo.put_session(name, cast.emsp, location_id="LOC6")
    sessions = [Session.objects.named(f"SHARE-{number}").get() for number in (1, 2, 3)]
    assert full_rate(sessions[0], NOW).in_unit("W") == 22_000
    owner.put("cpo/sites/Six", {"members": [{"location_id": "LOC6"}], "limits": [LIMIT]}, 201)
    with case("equal"):
        rates = [full_rate(one, NOW) for one in sessions]
        assert [one.in_unit("W") for one in rates] == [Decimal("16666.6")] * 3
        # Of a limit in W no A are made.
        assert [one.in_unit("A") for one in rates] == [None] * 3
        assert {one.is_share for one in rates} == {True}
    with case("one pauses: the least served, of equal ones the last"):
        low = {"unit": "W", "periods": [{"start": "2026-03-01T09:00:00Z", "limit": 9_000}]}
        owner.put("cpo/sites/Six/limits", low)
        assert [full_rate(one, NOW).in_unit("W") for one in sessions] == [4_500, 4_500, 0]
    with case("the site is read once for all of them"), CaptureQueriesContext(connection) as asked:
        rates = FullRates(NOW)
        assert [rates.of(one).in_unit("W") for one in sessions] == [4_500, 4_500, 0]
        for table in ("flex_api_sitelimit", "flex_preferencecopy"):
            assert len([one for one in asked if f'FROM "{table}"' in one["sql"]]) == 1
    with case("one that does not go on there has what it would have"):
        Session.objects.filter(pk=sessions[0].pk).update(status="COMPLETED")
        rates = FullRates(NOW)
        assert [rates.of(one).in_unit("W") for one in sessions] == [4_500, 4_500, 4_500]
    with case("before the limit holds"):
        before = datetime(2026, 1, 1, tzinfo=UTC)
        assert full_rate(sessions[0], before).in_unit("A") == 32


def test_a_released_session_gets_its_share_as_it_changes(cast):
    agree(cast.scsp, cpo=cast.cpo)
    owner = Api.of(cast.cpo)
    for name in ("AGAIN-1", "AGAIN-2"):
        cast.cpo.put_session(name, cast.emsp, location_id="LOC5")
    assert in_force(cast, "AGAIN-1", 10_000)["data"]["result"] == "ACCEPTED"
    owner.put("cpo/sites/Five", {"members": [{"location_id": "LOC5"}], "limits": [LIMIT]}, 201)
    session = Session.objects.named("AGAIN-1").get()
    wish = hub_commands.release(session, "A test wants it.")
    until(lambda: told(cast, 2))
    released = cast.cpo.got("AGAIN-1", method="PUT")[-1].json()["charging_profile"]
    assert released["charging_profile_period"] == [{"start_period": 0, "limit": 25_000}]
    HubCommand.objects.filter(pk=wish.pk).update(step=Step.DONE)
    with case("no news"):
        watch.watch()
        assert not HubCommand.objects.filter(session=session, step=Step.DUE).exists()
    with case("a lower limit"):
        low = {"unit": "W", "periods": [{"start": "2026-03-01T09:00:00Z", "limit": 20_000}]}
        owner.put("cpo/sites/Five/limits", low)
        watch.watch()
        until(lambda: told(cast, 3))
        released = cast.cpo.got("AGAIN-1", method="PUT")[-1].json()["charging_profile"]
        assert released["charging_profile_period"] == [{"start_period": 0, "limit": 10_000}]


def told(cast, count: int) -> bool:
    """Whether the CPO has got so many profiles, once the hub's own have gone a step further."""
    hub_commands.advance()
    return len(cast.cpo.got("AGAIN-1", method="PUT")) >= count
