"""Who is flexibility provider of a session (SCALE D2.3, 8.4; mod_charging_profiles)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from charging_profiles.models import ProfileCommand
from flex import tasks
from flex.assignment import assign
from flex.choice import Choice, FspKind
from flex.models import FlexAgreement, FlexExclusion, FspAssignment
from hub.ocpi.datatypes import Role
from party.messages import Reply
from sessions.models import Session
from tests.flex.agreements import agree
from tests.running_hub import changed_setting
from tests.scripted import ACCEPTED, Actor, Cast, code


def said(actor: Actor, session_id: str, cpo: Actor, method: str = "PUT") -> str:
    """What the sender of a command is told."""
    response = actor.command(method, session_id, to=cpo)
    assert code(response) == 1000
    result = response.json()["data"]["result"]
    assert isinstance(result, str)
    return result


def asked(cpo: Actor, session_id: str) -> list[Any]:
    """Who has reached the CPO with a command."""
    return [message.from_party for message in cpo.got(session_id, module="chargingprofiles")]


def fsp(session_id: str) -> Any:
    """Who is written down as FSP, None when nobody is."""
    found = FspAssignment.objects.filter(session__session_id=session_id, ended_at=None).first()
    return found.fsp if found else None


# --- With an agreement -----------------------------------------------------------------------

SCOPES = {
    "cpo": lambda cast: {"cpo": cast.cpo},
    "location": lambda cast: {"cpo": cast.cpo, "location_id": "LOC1"},
    "emsp": lambda cast: {"emsp": cast.emsp},
    "token": lambda cast: {"emsp": cast.emsp, "token_uid": "TOKEN-1"},
}


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        ("cpo", "location"),
        ("cpo", "emsp"),
        ("cpo", "token"),
        ("location", "emsp"),
        ("location", "token"),
        ("emsp", "token"),
    ],
)
@pytest.mark.parametrize("stronger_first", [True, False])
def test_the_order_is_token_then_emsp_then_location_then_cpo(
    cast, weaker, stronger, stronger_first
):
    session_id = f"CHO-{weaker}-{stronger}-{stronger_first}"
    made = [(cast.scsp, stronger), (cast.other_scsp, weaker)]
    for actor, scope in made if stronger_first else reversed(made):
        agree(actor, **SCOPES[scope](cast))
    cast.cpo.put_session(session_id, cast.emsp)
    assert said(cast.other_scsp, session_id, cast.cpo) == "REJECTED"
    assert said(cast.scsp, session_id, cast.cpo) == "ACCEPTED"
    assert fsp(session_id) == cast.scsp.party
    assert asked(cast.cpo, session_id) == [cast.scsp.party]


@pytest.mark.parametrize("scope", list(SCOPES))
def test_an_agreement_compares_without_case(cast, scope):
    agreement = agree(cast.scsp, **SCOPES[scope](cast))
    for field in ("fsp_party_id", "cpo_party_id", "emsp_party_id", "token_uid", "location_id"):
        setattr(agreement, field, getattr(agreement, field).lower())
    agreement.save()
    cast.cpo.put_session(f"CASE-{scope}", cast.emsp)
    assert said(cast.scsp, f"CASE-{scope}", cast.cpo) == "ACCEPTED"


@pytest.mark.parametrize(
    ("session_id", "scope"),
    [
        ("NOFIT-1", lambda cast: {"cpo": cast.other_cpo}),
        ("NOFIT-2", lambda cast: {"emsp": cast.other_emsp}),
        ("NOFIT-3", lambda cast: {"emsp": cast.emsp, "token_uid": "TOKEN-2"}),
        ("NOFIT-4", lambda cast: {"cpo": cast.cpo, "location_id": "LOC2"}),
        ("NOFIT-5", lambda cast: {"cpo": cast.cpo, "emsp": cast.other_emsp}),
        ("NOFIT-6", lambda cast: {"cpo": cast.cpo, "is_active": False}),
    ],
)
def test_an_agreement_about_something_else_gives_no_right(cast, session_id, scope):
    agree(cast.scsp, **scope(cast))
    cast.cpo.put_session(session_id, cast.emsp)
    assert said(cast.scsp, session_id, cast.cpo) == "REJECTED"
    assert said(cast.emsp, session_id, cast.cpo) == "ACCEPTED"
    assert asked(cast.cpo, session_id) == [cast.emsp.party]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_with_an_agreement_even_the_emsp_is_rejected(cast, method):
    session_id = f"AGR-1-{method}"
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session(session_id, cast.emsp)
    for stranger in (cast.emsp, cast.other_scsp):
        response = stranger.command(method, session_id, to=cast.cpo)
        assert response.json()["data"]["result"] == "REJECTED"
        assert str(stranger) in response.json()["status_message"]
    assert asked(cast.cpo, session_id) == []
    assert not ProfileCommand.objects.filter(session_id_sent=session_id).exists()
    assert said(cast.scsp, session_id, cast.cpo, method) == "ACCEPTED"


def test_the_emsp_may_still_look_when_an_scsp_is_fsp(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("AGR-2", cast.emsp)
    assert said(cast.emsp, "AGR-2", cast.cpo, "GET") == "ACCEPTED"
    assert said(cast.scsp, "AGR-2", cast.cpo, "GET") == "ACCEPTED"
    assert said(cast.other_scsp, "AGR-2", cast.cpo, "GET") == "REJECTED"


def test_without_to_the_fsp_finds_the_session_by_its_id(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("AGR-3", cast.emsp)
    assert cast.scsp.put_profile("agr-3").json()["data"]["result"] == "ACCEPTED"
    assert asked(cast.cpo, "AGR-3") == [cast.scsp.party]


def test_words_that_are_said_and_ended_reach_the_sessions_that_are_there(cast):
    agree(cast.scsp, cpo=cast.other_cpo)
    cast.other_cpo.put_session("AGR-4", cast.other_emsp)
    assert said(cast.scsp, "AGR-4", cast.other_cpo) == "ACCEPTED"
    now = timezone.now()
    later = agree(
        cast.other_scsp, emsp=cast.other_emsp, due_at=now, valid_until=now + timedelta(days=1)
    )
    tasks.reconsider_changed()
    assert fsp("AGR-4") == cast.other_scsp.party
    assert said(cast.scsp, "AGR-4", cast.other_cpo) == "REJECTED"
    assert said(cast.other_scsp, "AGR-4", cast.other_cpo) == "ACCEPTED"
    # It runs out.
    FlexAgreement.objects.filter(pk=later.pk).update(valid_until=now, due_at=now)
    tasks.reconsider_changed()
    assert fsp("AGR-4") == cast.scsp.party
    # The CPO excludes whom it has named itself; then the first accepted profile decides.
    excluded = FlexExclusion.objects.create(
        cpo_country_code=cast.other_cpo.party.country_code,
        cpo_party_id=cast.other_cpo.party.party_id,
        fsp_country_code=cast.scsp.party.country_code,
        fsp_party_id=cast.scsp.party.party_id,
    )
    tasks.reconsider_changed()
    assert fsp("AGR-4") is None
    refused = cast.scsp.put_profile("AGR-4", to=cast.other_cpo).json()
    assert refused["data"]["result"] == "REJECTED"
    assert said(cast.other_emsp, "AGR-4", cast.other_cpo) == "ACCEPTED"
    excluded.is_active, excluded.due_at = False, timezone.now()
    excluded.save()
    tasks.reconsider_changed()
    assert fsp("AGR-4") == cast.scsp.party
    ends = FspAssignment.objects.filter(session__session_id="AGR-4").order_by("epoch")
    assert [reason.partition(" ")[2] for reason in ends.values_list("end_reason", flat=True)] == [
        f"{later.pk} counts now",
        f"{later.pk} has run out",
        f"excludes {cast.scsp}",
        f"excludes {cast.scsp} not any more",
        "",
    ]


def test_nobody_acts_where_the_cpo_excludes_all_third_parties(cast):
    FlexExclusion.objects.create(
        cpo_country_code=cast.cpo.party.country_code, cpo_party_id=cast.cpo.party.party_id
    )
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("EXC-1", cast.emsp)
    cast.cpo.put_session("EXC-1", cast.emsp, to=cast.scsp)
    for session_id in ("EXC-1", "EXC-UNKNOWN"):
        for actor in (cast.scsp, cast.emsp):
            refused = actor.put_profile(session_id, to=cast.cpo).json()
            assert refused["data"]["result"] == "REJECTED"
            assert "lets no third party act there" in refused["status_message"]
        assert asked(cast.cpo, session_id) == []


def test_an_exclusion_may_be_of_one_location(cast):
    FlexExclusion.objects.create(
        cpo_country_code=cast.cpo.party.country_code,
        cpo_party_id=cast.cpo.party.party_id,
        location_id="loc1",
    )
    agree(cast.scsp, cpo=cast.cpo)
    for session_id, location_id, result in (
        ("EXC-2", "LOC1", "REJECTED"),
        ("EXC-3", "LOC2", "ACCEPTED"),
    ):
        cast.cpo.put_session(session_id, cast.emsp, location_id=location_id)
        assert said(cast.scsp, session_id, cast.cpo) == result
        assert fsp(session_id) == (cast.scsp.party if result == "ACCEPTED" else None)


def test_who_is_refused_is_told_who_it_is_and_why_where_it_may_see_the_session(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("WHY-1", cast.emsp)
    told = cast.emsp.put_profile("WHY-1", to=cast.cpo).json()["status_message"]
    assert f"It is {cast.scsp} (agreement " in told
    assert f"{cast.scsp} for {cast.cpo}, said by the CPO)" in told
    told = cast.other_scsp.put_profile("WHY-1", to=cast.cpo).json()["status_message"]
    assert told == f"{cast.other_scsp} is not the flexibility provider of this session."


def test_the_commands_carry_the_epoch_of_the_assignment(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("AGR-5", cast.emsp)
    cast.scsp.put_profile("AGR-5")
    [assignment] = FspAssignment.objects.filter(session__session_id="AGR-5")
    assert ProfileCommand.objects.get(session_id_sent="AGR-5").epoch == assignment.epoch == 1
    assert "agreement" in assignment.reason


def test_an_agreement_needs_somebody_to_be_for(cast):
    scopes: list[dict[str, Any]] = [{}, {"token_uid": "T"}, {"location_id": "L"}]
    for scope in scopes:
        with pytest.raises(IntegrityError), transaction.atomic():
            agree(cast.scsp, **scope)
    with pytest.raises(IntegrityError), transaction.atomic():
        agree(cast.scsp, cpo=cast.cpo, token_uid="T")
    with pytest.raises(IntegrityError), transaction.atomic():
        agree(cast.scsp, emsp=cast.emsp, location_id="L")


def test_two_fsps_for_the_same_are_refused(cast):
    agree(cast.scsp, cpo=cast.cpo)
    agree(cast.other_scsp, cpo=cast.cpo, is_active=False)
    with pytest.raises(IntegrityError), transaction.atomic():
        agree(cast.other_scsp, cpo=cast.cpo)
    assert FlexAgreement.objects.filter(is_active=True).count() == 1


# --- Without one -----------------------------------------------------------------------------


def test_the_emsp_becomes_fsp_by_its_first_accepted_put(cast):
    cast.cpo.put_session("FIRST-1", cast.emsp)
    cast.cpo.put_session("FIRST-1", cast.emsp, to=cast.scsp)
    assert fsp("FIRST-1") is None
    assert said(cast.emsp, "FIRST-1", cast.cpo) == "ACCEPTED"
    assert fsp("FIRST-1") == cast.emsp.party
    assert said(cast.scsp, "FIRST-1", cast.cpo) == "REJECTED"
    assert asked(cast.cpo, "FIRST-1") == [cast.emsp.party]


def test_an_scsp_that_the_cpo_chose_becomes_fsp_by_its_first_accepted_put(cast):
    cast.cpo.put_session("FIRST-2", cast.emsp)
    cast.cpo.put_session("FIRST-2", cast.emsp, to=cast.scsp)
    assert said(cast.scsp, "FIRST-2", cast.cpo) == "ACCEPTED"
    assert fsp("FIRST-2") == cast.scsp.party
    assert said(cast.emsp, "FIRST-2", cast.cpo) == "REJECTED"


def test_an_scsp_that_the_cpo_did_not_choose_is_rejected(cast):
    cast.cpo.put_session("FIRST-3", cast.emsp)
    assert said(cast.scsp, "FIRST-3", cast.cpo) == "REJECTED"
    assert asked(cast.cpo, "FIRST-3") == []


def test_another_emsp_that_the_cpo_sent_the_session_is_still_no_fsp(cast):
    cast.cpo.put_session("FIRST-4", cast.emsp)
    cast.cpo.put_session("FIRST-4", cast.emsp, to=cast.other_emsp)
    assert said(cast.other_emsp, "FIRST-4", cast.cpo) == "REJECTED"
    assert said(cast.other_emsp, "FIRST-4", cast.cpo, "GET") == "ACCEPTED"


@pytest.mark.parametrize("answer", ["REJECTED", "NOT_SUPPORTED", "TOO_OFTEN", "UNKNOWN_SESSION"])
def test_a_put_that_the_cpo_refuses_makes_nobody_fsp(cast, answer):
    session_id = f"FIRST-5-{answer}"
    cast.cpo.put_session(session_id, cast.emsp)
    cast.cpo.put_session(session_id, cast.emsp, to=cast.scsp)
    cast.cpo.answers(session_id, Reply({"result": answer, "timeout": 0}))
    assert said(cast.emsp, session_id, cast.cpo) == answer
    assert fsp(session_id) is None
    cast.cpo.answers(session_id, Reply(ACCEPTED))
    assert said(cast.scsp, session_id, cast.cpo) == "ACCEPTED"


def test_of_two_first_puts_at_once_one_makes_an_fsp_whose_profile_is_in_force(cast):
    cast.cpo.put_session("FIRST-6", cast.emsp)
    cast.cpo.put_session("FIRST-6", cast.emsp, to=cast.scsp)
    both = (cast.emsp, cast.scsp)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda actor: said(actor, "FIRST-6", cast.cpo), both))
    assert sorted(answers) == ["ACCEPTED", "REJECTED"]
    assert FspAssignment.objects.filter(session__session_id="FIRST-6").count() == 1
    chosen = both[answers.index("ACCEPTED")]
    assert fsp("FIRST-6") == chosen.party
    assert asked(cast.cpo, "FIRST-6") == [chosen.party]
    assert [said(actor, "FIRST-6", cast.cpo) for actor in both] == answers


def test_a_put_on_a_session_that_is_over_makes_nobody_fsp(cast):
    cast.cpo.put_session("FIRST-7", cast.emsp, status="COMPLETED")
    cast.emsp.put_profile("FIRST-7")
    assert fsp("FIRST-7") is None


def test_an_emsp_is_fsp_only_of_sessions_with_its_tokens(cast):
    cast.cpo.put_session("FIRST-8", cast.emsp)
    cast.other_cpo.put_session("FIRST-8", cast.other_emsp)
    assert said(cast.emsp, "FIRST-8", cast.other_cpo) == "REJECTED"
    assert asked(cast.other_cpo, "FIRST-8") == []


# --- Where agreements are demanded always ------------------------------------------------------


def test_where_agreements_are_demanded_nobody_acts_without_one(cast):
    cast.cpo.put_session("REQ-1", cast.emsp)
    cast.cpo.put_session("REQ-1", cast.emsp, to=cast.scsp)
    with changed_setting("FSP_AGREEMENT_REQUIRED", True):
        for actor in (cast.emsp, cast.scsp):
            for method in ("PUT", "DELETE"):
                assert said(actor, "REQ-1", cast.cpo, method) == "REJECTED"
        assert asked(cast.cpo, "REQ-1") == []
        assert said(cast.emsp, "REQ-1", cast.cpo, "GET") == "ACCEPTED"
        agree(cast.emsp, emsp=cast.emsp)
        assert said(cast.emsp, "REQ-1", cast.cpo) == "ACCEPTED"


def test_where_agreements_are_demanded_an_unknown_session_is_no_way_around(cast):
    with changed_setting("FSP_AGREEMENT_REQUIRED", True):
        assert said(cast.emsp, "REQ-2", cast.cpo) == "REJECTED"
        assert asked(cast.cpo, "REQ-2") == []
        agree(cast.emsp, cpo=cast.cpo)
        assert said(cast.emsp, "REQ-2", cast.cpo) == "ACCEPTED"


def test_an_agreement_about_one_emsp_gives_no_right_to_sessions_that_nobody_knows(cast):
    agree(cast.scsp, cpo=cast.cpo, emsp=cast.emsp)
    assert said(cast.scsp, "UNK-1", cast.cpo) == "REJECTED"
    assert asked(cast.cpo, "UNK-1") == []
    agree(cast.scsp, cpo=cast.cpo)
    assert said(cast.scsp, "UNK-1", cast.cpo) == "ACCEPTED"


# --- Where a third party must not act ----------------------------------------------------------


@pytest.mark.parametrize("kind", [FspKind.CPO, FspKind.EMS, FspKind.EV, FspKind.NONE])
def test_where_the_hub_only_observes_every_push_is_rejected(cast, kind):
    session_id = f"OBS-{kind}"
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session(session_id, cast.emsp)
    assert fsp(session_id) == cast.scsp.party
    session = Session.objects.get(session_id=session_id)
    assign(session, Choice(kind, "a test"), because="the operator has said so")
    for actor in (cast.scsp, cast.emsp):
        assert said(actor, session_id, cast.cpo) == "REJECTED"
        assert said(actor, session_id, cast.cpo, "DELETE") == "REJECTED"
    assert asked(cast.cpo, session_id) == []


def test_a_session_has_at_most_one_fsp(cast):
    cast.cpo.put_session("ONE-1", cast.emsp)
    session = Session.objects.get(session_id="ONE-1")
    FspAssignment.objects.create(session=session, kind=FspKind.EV, epoch=1, reason="test")
    with pytest.raises(IntegrityError), transaction.atomic():
        FspAssignment.objects.create(session=session, kind=FspKind.CPO, epoch=2, reason="test")


def test_an_fsp_may_be_any_party_with_an_agreement(hub):
    cast = Cast(hub)
    other = Actor(hub, Role.OTHER)
    agree(other, cpo=cast.cpo)
    cast.cpo.put_session("ANY-1", cast.emsp)
    assert said(other, "ANY-1", cast.cpo) == "ACCEPTED"
