"""Sessions that an eMSP hands on to its SCSP (mod_charging_profiles, Smart Charging Topologies)."""

import json

import pytest

from flex.models import FlexExclusion, FspAssignment
from hub.keeping.erasure import Driver, Eraser
from hub.models import Delivery
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from party.messages import Reply
from sessions.handed_on import HandedOn
from sessions.models import Session
from tests.cases import case
from tests.flex.agreements import agree
from tests.running_hub import new_party
from tests.scripted import SENDER, Actor, code

HUB = PartyId("NL", "HUB")
LATER = "2026-03-01T11:00:00Z"


def hand_on(cast, session_id: str, *, by: Actor | None = None, to: Actor | None = None, **more):
    """The eMSP's copy of the CPO's session, with a word of its own in it."""
    emsp = by or cast.emsp
    document = cast.cpo.session(session_id, emsp, **({"x_copy": "of the eMSP"} | more))
    return emsp.send("PUT", cast.cpo.session_path(session_id), document, to=to or cast.scsp)


def listed(viewer: Actor, session_id: str) -> list[dict]:
    found = viewer.send("GET", "sender/sessions?limit=500", to=HUB).json()["data"]
    return [one for one in found if one["id"] == session_id]


def test_the_scsp_gets_it_under_the_cpos_ids_and_nothing_of_it_is_kept(cast):
    cast.cpo.put_session("HO-1", cast.emsp)
    assert code(hand_on(cast, "HO-1", kwh=99.0)) == 1000
    [message] = cast.scsp.got("HO-1")
    assert message.parts == (*cast.cpo.party, "HO-1")
    assert (message.from_party, message.to_party) == (cast.emsp.party, cast.scsp.party)
    assert message.json()["x_copy"] == "of the eMSP"
    [session] = Session.objects.named("HO-1")
    assert json.loads(bytes(session.document)) == cast.cpo.session("HO-1", cast.emsp)
    assert session.sent_to == [str(cast.emsp.party)]
    for viewer in (cast.cpo, cast.emsp):
        assert listed(viewer, "HO-1") == [cast.cpo.session("HO-1", cast.emsp)]
    assert listed(cast.scsp, "HO-1") == []


def test_what_is_relayed_to_the_fsp_is_the_cpos_word_alone(cast):
    agree(cast.other_scsp, cpo=cast.cpo)
    cast.cpo.put_session("HO-2", cast.emsp)
    cast.other_scsp.wait_for("HO-2")
    hand_on(cast, "HO-2")
    path, patch = cast.cpo.session_path("HO-2"), {"kwh": 55.0, "last_updated": LATER}
    assert code(cast.emsp.send("PATCH", path, patch, to=cast.scsp)) == 1000
    cast.cpo.send("PATCH", path, {"kwh": 7.5, "last_updated": LATER}, to=cast.emsp)
    told = cast.other_scsp.wait_for("HO-2", count=2)
    assert [message.json()["kwh"] for message in told] == [0.0, 7.5]
    assert all("x_copy" not in message.json() for message in told)
    assert Delivery.objects.filter(path__icontains="HO-2").count() == 2


@pytest.mark.parametrize("method", ["PATCH", "GET"])
def test_a_session_that_the_hub_does_not_know_has_to_be_put_first(cast, method):
    session_id = f"HO-3-{method}"
    path = cast.cpo.session_path(session_id)
    body = {"kwh": 1.0, "last_updated": LATER} if method == "PATCH" else None
    refused = cast.emsp.send(method, path, body, to=cast.scsp)
    assert (refused.status_code, code(refused)) == ((404, 2000) if body is None else (200, 2001))
    assert code(hand_on(cast, session_id)) == 1000
    assert code(cast.emsp.send(method, path, body, to=cast.scsp)) == 1000
    assert not Session.objects.named(session_id).exists()
    # It was handed on to this SCSP, not to that one.
    assert code(cast.emsp.send(method, path, body, to=cast.other_scsp)) >= 2000
    assert not cast.other_scsp.got(session_id)


def test_a_put_that_the_scsp_refuses_makes_nothing_known(cast):
    cast.scsp.answers("HO-4", Reply(status_code=2001))
    assert code(hand_on(cast, "HO-4")) == 2001
    assert not HandedOn.objects.filter(session_id="HO-4").exists()


@pytest.mark.parametrize("is_known", [True, False])
def test_nobody_hands_on_another_ones_session(cast, is_known):
    session_id = f"HO-5-{is_known}".upper()
    if is_known:
        cast.cpo.put_session(session_id, cast.emsp)
        forged = hand_on(cast, session_id, by=cast.other_emsp)
        assert (forged.status_code, code(forged)) == (200, 2001)
    else:
        assert code(hand_on(cast, session_id)) == 1000
        assert code(hand_on(cast, session_id, by=cast.other_emsp)) == 2001
    document = cast.cpo.session(session_id, cast.emsp)
    path = cast.cpo.session_path(session_id)
    for sender, to in (
        (cast.other_emsp, cast.scsp),
        (cast.other_cpo, cast.emsp),
        (cast.emsp, cast.other_emsp),
        (cast.emsp, cast.cpo),
        (cast.scsp, cast.emsp),
    ):
        refused = sender.send("PUT", path, document, to=to)
        assert (refused.status_code, code(refused)) == (200, 2001)
    assert len(cast.scsp.got(session_id)) == (0 if is_known else 1)


# --- Charging profiles "via the eMSP" ------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
@pytest.mark.parametrize("is_named", [True, False])
def test_the_scsp_acts_through_its_emsp(cast, method, is_named):
    session_id = f"HO-6-{method}-{is_named}".upper()
    cast.cpo.put_session(session_id, cast.emsp)
    hand_on(cast, session_id)
    to = cast.emsp if is_named else None
    answer = cast.scsp.command(method, session_id, to=to)
    assert answer.json()["data"]["result"] == "ACCEPTED"
    [message] = cast.emsp.asked(session_id)
    assert (message.from_party, message.to_party) == (cast.scsp.party, cast.emsp.party)
    assert not cast.cpo.got(session_id, module="chargingprofiles")
    assert not FspAssignment.objects.filter(session__session_id=session_id).exists()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
def test_it_may_not_address_the_cpo_itself(cast, method):
    session_id = f"HO-7-{method}"
    cast.cpo.put_session(session_id, cast.emsp)
    hand_on(cast, session_id)
    answer = cast.scsp.command(method, session_id, to=cast.cpo)
    assert answer.json()["data"]["result"] == "REJECTED"
    assert not cast.cpo.got(session_id, module="chargingprofiles")


def test_an_emsp_that_is_a_cpo_too_judges_itself_what_is_asked_of_anothers_session(cast):
    both = Actor(cast.hub, Role.EMSP, party := new_party(), more=[(party, Role.CPO)])
    assert code(hand_on(cast, "HO-8", by=both)) == 1000
    assert cast.scsp.put_profile("HO-8", to=both).json()["data"]["result"] == "ACCEPTED"
    assert cast.scsp.put_profile("HO-8-NOT", to=both).json()["data"]["result"] == "REJECTED"
    # What it has handed on: whoever asks, and whatever the hub's words say.
    assert cast.other_scsp.put_profile("HO-8", to=both).json()["data"]["result"] == "ACCEPTED"
    agree(cast.other_scsp, cpo=cast.cpo)
    agree(cast.other_emsp, cpo=both)
    cast.cpo.put_session("HO-11", both)
    # The session of another CPO with its token: the FSP of it, which the hub's words name.
    assert cast.other_scsp.put_profile("HO-11", to=both).json()["data"]["result"] == "ACCEPTED"
    assert cast.scsp.put_profile("HO-11", to=both).json()["data"]["result"] == "REJECTED"
    assert cast.scsp.put_profile("HO-11", to=cast.cpo).json()["data"]["result"] == "REJECTED"
    # Its own session as a CPO.
    both.put_session("HO-12", cast.emsp)
    assert cast.scsp.put_profile("HO-12", to=both).json()["data"]["result"] == "REJECTED"


def test_a_session_told_by_the_caller_itself_does_not_pass_by_words_and_exclusions(cast):
    """Of the same id, with a token of the receiver: that makes nobody known to it."""
    both = Actor(cast.hub, Role.EMSP, party := new_party(), more=[(party, Role.CPO)])
    rogue = Actor(cast.hub, Role.SCSP, party := new_party(), more=[(party, Role.CPO)])
    agree(cast.other_scsp, cpo=both)
    with case("accepted by it"):
        rogue.put_session("HO-13", both)
        assert rogue.put_profile("HO-13", to=both).json()["data"]["result"] == "REJECTED"
    with case("refused by it, and told an accomplice"):
        both.answers("HO-14", Reply(status_code=2001))
        document = rogue.session("HO-14", both)
        assert code(rogue.send("PUT", rogue.session_path("HO-14"), document, to=both)) == 2001
        assert cast.scsp.put_profile("HO-14", to=both).json()["data"]["result"] == "REJECTED"
    with case("whom it excludes is refused whatever it has handed on"):
        FlexExclusion.objects.create(
            cpo_country_code=both.party.country_code,
            cpo_party_id=both.party.party_id,
            fsp_country_code=rogue.party.country_code,
            fsp_party_id=rogue.party.party_id,
        )
        assert code(hand_on(cast, "HO-15", by=both)) == 1000
        refused = rogue.put_profile("HO-15", to=both).json()
        assert refused["data"]["result"] == "REJECTED"
        assert "does not let" in refused["status_message"]
        assert both.got("HO-15", module="chargingprofiles") == []


def test_odd_ids_are_known_where_they_were_handed_on(cast):
    for odd in ("HO;A", "HO%2BB"):
        encoded = odd.replace("%", "%25")
        path = cast.cpo.session_path(encoded)
        document = cast.cpo.session(odd, cast.emsp)
        unknown = cast.scsp.put_profile(encoded, to=cast.emsp)
        assert unknown.json()["data"]["result"] == "UNKNOWN_SESSION"
        assert code(cast.emsp.send("PUT", path, document, to=cast.scsp)) == 1000
        known = cast.scsp.put_profile(encoded, to=cast.emsp)
        assert known.json()["data"]["result"] == "ACCEPTED"


def test_two_emsps_of_the_same_id_are_not_guessed_between(cast):
    hand_on(cast, "HO-9")
    other = cast.other_cpo.session("HO-9", cast.other_emsp)
    cast.other_emsp.send("PUT", cast.other_cpo.session_path("HO-9"), other, to=cast.scsp)
    refused = cast.scsp.put_profile("HO-9")
    assert code(refused) == 4001
    for emsp in (cast.emsp, cast.other_emsp):
        assert str(emsp.party) in refused.json()["status_message"]
        assert cast.scsp.put_profile("HO-9", to=emsp).json()["data"]["result"] == "ACCEPTED"


@pytest.mark.parametrize("is_named", [True, False])
def test_the_emsp_passes_on_what_the_cpo_says_of_the_active_profile(cast, is_named):
    session_id = f"HO-10-{is_named}".upper()
    hand_on(cast, session_id)
    body = {"start_date_time": LATER, "charging_profile": {"charging_rate_unit": "A"}}
    to = cast.scsp if is_named else None
    answer = cast.emsp.send("PUT", f"sender/chargingprofiles/{session_id}", body, to=to)
    assert code(answer) == 1000
    [message] = cast.scsp.got(session_id, module="chargingprofiles")
    assert (message.interface, message.json()) == (SENDER.lower(), body)


def test_the_session_is_forgotten_with_its_driver(cast):
    cast.cpo.put_session("HO-11", cast.emsp, cdr_token={"uid": "HO-DRIVER"}, status="COMPLETED")
    hand_on(cast, "HO-11", cdr_token={"uid": "HO-DRIVER"})
    assert HandedOn.objects.filter(session_id="HO-11").exists()
    Eraser(Driver(cast.emsp.party, "HO-DRIVER")).run("a test")
    assert not HandedOn.objects.filter(session_id="HO-11").exists()
