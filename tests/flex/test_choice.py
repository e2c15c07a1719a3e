"""The order of choice: what is taken away, rank, scope, the later word (SCALE D2.3, 8.4)."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flex import given_at_once
from flex.choice import (
    FIRST_PUT,
    Choice,
    Facts,
    FspKind,
    Scope,
    Speaker,
    Word,
    choose,
    consider,
)
from flex.models import FlexAgreement, FlexExclusion
from flex.models.agreements import SCOPE
from hub.ocpi.party import PartyId
from sessions.models import Session
from tests.cases import case
from tests.hub.console import rows

CPO, EMSP, ONE, TWO = (PartyId.parse(name) for name in ("NL-CPO", "DE-MSP", "NL-SCS", "BE-SCS"))
NOBODY = PartyId("", "")
DAY = datetime(2026, 3, 1, tzinfo=UTC)


def word(
    number: int, who: PartyId | str, said_by: str = "CPO", scope: Scope = Scope.DEFAULT
) -> Word:
    """The higher its number, the later it was said."""
    return Word(
        id=number,
        kind=FspKind.SCSP if isinstance(who, PartyId) else FspKind(who),
        said_by=Speaker(said_by),
        scope=scope,
        said_at=DAY + timedelta(minutes=number),
        named=who if isinstance(who, PartyId) else None,
        reason=f"word {number}",
    )


def chosen(*words: Word, **more: Any) -> str:
    return str(choose(Facts(CPO, EMSP, words, **more)))


def test_the_order_as_a_table():
    whole = [
        ("one word", [word(1, ONE)], "NL-SCS"),
        ("no word", [], "None"),
        ("rank before scope", [word(1, ONE, "OPERATOR"), word(2, TWO, "CPO", Scope.SESSION)], ONE),
        ("the eMSP before the CPO", [word(1, ONE, "EMSP"), word(2, TWO, "CPO", Scope(2))], ONE),
        ("the operator before the eMSP", [word(1, ONE, "OPERATOR"), word(2, TWO, "EMSP")], ONE),
        ("session, then token", [word(1, ONE, scope=Scope(0)), word(2, TWO, scope=Scope(1))], ONE),
        ("token, then location", [word(1, ONE, scope=Scope(1)), word(2, TWO, scope=Scope(2))], ONE),
        ("location before default", [word(1, ONE, "CPO", Scope(2)), word(2, TWO)], ONE),
        ("the later of the same", [word(1, TWO), word(2, ONE)], ONE),
        ("NONE blocks", [word(1, ONE), word(2, "NONE", "OPERATOR")], "nobody"),
        ("the eMSP, whoever it is", [word(1, "EMSP")], EMSP),
        ("a named eMSP is the eMSP", [word(1, EMSP)], EMSP),
        ("the CPO by its name", [word(1, CPO)], "the CPO itself"),
        ("EMS and EV", [word(1, "EMS"), word(2, "EV", "EMSP")], "the EV itself"),
    ]  # fmt: skip
    for name, words, expected in whole:
        with case(name):
            assert chosen(*words) == str(expected)
    assert choose(Facts(CPO, EMSP, [word(1, EMSP)])) == Choice(FspKind.EMSP, "word 1", EMSP)


def test_what_is_taken_away_comes_first():
    words = (word(1, ONE, "OPERATOR"), word(2, TWO))
    assert chosen(*words, excluded=frozenset({ONE})) == "BE-SCS"
    assert chosen(*words, unable={ONE: "NL-SCS is SUSPENDED."}) == "BE-SCS"
    assert chosen(*words, excluded=frozenset({None})) == "None"
    # The CPO itself, and what the hub only observes, are no third parties.
    for who in (CPO, "EMS", "NONE"):
        with case(who):
            assert chosen(word(1, who), excluded=frozenset({None})) != "None"
    assert str(choose(Facts(CPO, NOBODY, [word(1, "EMSP"), word(2, ONE)]))) == "NL-SCS"
    assert choose(Facts(CPO, NOBODY, [word(1, "EMSP")])) is None


def test_the_first_accepted_put_counts_only_where_nothing_is_left():
    first = Choice(FspKind.EMSP, FIRST_PUT, EMSP, is_first_put=True)
    assert choose(Facts(CPO, EMSP, first_put=first)) == first
    assert chosen(word(1, "NONE"), first_put=first) == "nobody"
    assert chosen(word(1, ONE), first_put=first, excluded=frozenset({ONE})) == "DE-MSP"
    assert choose(Facts(CPO, EMSP, first_put=first, excluded=frozenset({None}))) is None


def test_every_word_says_why_it_was_taken_or_passed_over():
    words = (word(1, ONE), word(2, TWO), word(3, EMSP, "OPERATOR"), word(4, ONE, "EMSP", Scope(1)))
    first = Choice(FspKind.EMSP, FIRST_PUT, EMSP, is_first_put=True)
    facts = Facts(CPO, EMSP, words, frozenset({EMSP}), {}, first)
    assert [(one.fsp, one.is_taken, one.why) for one in consider(facts)] == [
        ("DE-MSP", False, "NL-CPO does not let DE-MSP act there."),
        ("NL-SCS", True, "Taken: said by the eMSP of a token, and nothing outweighs it."),
        ("BE-SCS", False, "The word of the eMSP counts more than that of the CPO."),
        ("NL-SCS", False, "The word of the eMSP counts more than that of the CPO."),
        ("DE-MSP", False, "It counts only where nobody has said anything."),
    ]


@st.composite
def some_facts(draw: st.DrawFn) -> Facts:
    whoever: st.SearchStrategy[PartyId | str]
    whoever = st.sampled_from([ONE, TWO, EMSP, CPO, "EMSP", "CPO", "EMS", "EV", "NONE"])
    said = st.lists(st.tuples(whoever, st.sampled_from(Speaker), st.sampled_from(Scope)))
    # Some are said in the same minute.
    words = [
        replace(word(number, who, said_by, scope), said_at=DAY + timedelta(minutes=number // 2))
        for number, (who, said_by, scope) in enumerate(draw(said))
    ]
    some = st.sampled_from([None, ONE, TWO, EMSP])
    return Facts(
        CPO,
        draw(st.sampled_from([EMSP, NOBODY])),
        words,
        draw(st.frozensets(some, max_size=1)),
        dict.fromkeys(draw(st.frozensets(st.sampled_from([ONE, TWO]))), "It is away."),
    )


@given(some_facts(), st.randoms())
def test_the_choice_is_a_total_order_that_no_lesser_word_changes(
    facts: Facts, anyhow: random.Random
):
    considered = list(consider(facts))
    shuffled = list(facts.words)
    anyhow.shuffle(shuffled)
    assert list(consider(replace(facts, words=shuffled))) == considered
    taken = [one for one in considered if one.is_taken]
    assert [one.choice for one in taken] == [choose(facts)] * len(taken)
    assert len(taken) <= 1
    assert (choose(facts) is None) == (not taken)
    # Without all that was passed over the choice is the same, and so without any one of it.
    by_reason = {one.reason: one for one in considered}
    only = [one for one in facts.words if by_reason[one.reason].is_taken]
    assert choose(replace(facts, words=only)) == choose(facts)
    for number, passed_over in enumerate(facts.words):
        if not by_reason[passed_over.reason].is_taken:
            fewer = [*facts.words[:number], *facts.words[number + 1 :]]
            assert choose(replace(facts, words=fewer)) == choose(facts)


# --- In SQL ---------------------------------------------------------------------------------------

SOMETIMES = st.sampled_from([0, 0, -1, 1])


@st.composite
def agreements(draw: st.DrawFn) -> dict[str, Any]:
    """What one may be for a session of NL-CPO with a driver of DE-MSP; some do not fit it."""
    kind = draw(st.sampled_from(["SCSP", "SCSP", "SCSP", *FspKind.values]))
    fsp = (
        draw(st.sampled_from([("NL", "SCS"), ("be", "scs"), CPO, EMSP]))
        if kind == "SCSP"
        else ("", "")
    )
    said_by = draw(st.sampled_from(Speaker.values))
    cpo = draw(st.sampled_from([CPO, ("nl", "cpo"), ("BE", "CPO"), ("", "")]))
    emsp = draw(st.sampled_from([EMSP, ("", ""), ("", ""), ("DE", "OTH")]))
    if said_by == "EMSP" and not emsp[1]:
        emsp = EMSP
    if not cpo[1] and (said_by == "CPO" or not emsp[1]):
        cpo = CPO
    token = draw(st.sampled_from(["", "", "TOKEN-1", "token-1", "TOKEN-2"])) if emsp[1] else ""
    starts, ends = draw(SOMETIMES), draw(SOMETIMES)
    now = timezone.now()
    return {
        "kind": kind,
        "said_by": said_by,
        "fsp_country_code": fsp[0],
        "fsp_party_id": fsp[1],
        "cpo_country_code": cpo[0],
        "cpo_party_id": cpo[1],
        "emsp_country_code": emsp[0],
        "emsp_party_id": emsp[1],
        "token_uid": token,
        "consent_by": "DRIVER" if token else "",
        "consented_at": now if token else None,
        "location_id": draw(st.sampled_from(["", "", "LOC1", "loc1", "LOC2"])) if cpo[1] else "",
        "is_of_session": draw(st.sampled_from([False, False, False, True])),
        "valid_from": now + timedelta(days=2 * starts) if starts else None,
        "valid_until": now + timedelta(days=3 * ends) if ends > 0 else None,
        "is_active": draw(st.sampled_from([True, True, True, False])),
    }  # fmt: skip


def fits(agreement: FlexAgreement, session: Session) -> bool:
    said = [(getattr(agreement, name), getattr(session, SCOPE[name])) for name in SCOPE]
    now = timezone.now()
    return (
        agreement.is_active
        and agreement.session_id in {None, session.pk}
        and all(not wanted or wanted.upper() == is_.upper() for wanted, is_ in said)
        and (agreement.valid_from is None or agreement.valid_from <= now)
        and (agreement.valid_until is None or agreement.valid_until > now)
    )


def at_once(session: Session, **told: str) -> Any:
    """What the event loop would choose when the CPO tells the Session as it is, or as `told`."""
    values = {name: getattr(session, name) for name in ("country_code", "party_id", "session_id")}
    names = ("emsp_country_code", "emsp_party_id", "token_uid", "location_id", "status")
    values |= {
        "tells_emsp": True,
        "last_updated": timezone.now(),
        **dict.fromkeys(names, ""),
        **told,
    }
    with connection.cursor() as cursor:
        cursor.execute(given_at_once.FIND, values)
        [row] = cursor.fetchall()
    return given_at_once.read(tuple(None if one is None else str(one).encode() for one in row))


@pytest.mark.django_db
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(agreements(), max_size=8),
    st.lists(
        st.tuples(
            st.sampled_from([("", ""), ("NL", "SCS"), ("BE", "SCS"), EMSP]),
            st.sampled_from(["", "loc1", "LOC2"]),
        ),
        max_size=1,
    ),
)
def test_in_sql_it_is_the_same_choice(said, excluded):
    for model in (FlexAgreement, FlexExclusion, Session):
        model.objects.all().delete()
    document = {"location_id": "LOC1"}
    session = rows.session(1, **document)
    Session.objects.filter(pk=session.pk).update(token_uid="Token-1", location_id="Loc1")
    session.refresh_from_db()
    for number, one in enumerate(said):
        is_of_session = one.pop("is_of_session")
        # Of one scope and speaker only the last may be without end.
        if one["is_active"] and not one["valid_from"] and not one["valid_until"]:
            one["valid_until"] = timezone.now() + timedelta(days=9)
        FlexAgreement.objects.create(
            **one,
            session=session if is_of_session and one["cpo_party_id"] else None,
            created_at=DAY + timedelta(minutes=number // 2),
        )
    for (country_code, party_id), place in excluded:
        FlexExclusion.objects.create(
            cpo_country_code="nl", cpo_party_id="CPO",
            fsp_country_code=country_code, fsp_party_id=party_id, location_id=place,
        )  # fmt: skip
    fitting = [one.word for one in FlexAgreement.objects.all() if fits(one, session)]
    assert {one.id for one in FlexAgreement.words(session)} == {one.id for one in fitting}
    barred = FlexExclusion.by(session.owner, session.location_id)
    here = [codes for codes, place in excluded if place != "LOC2"]
    assert barred == {PartyId(*codes) if codes[1] else None for codes in here}
    choice = choose(Facts(session.owner, session.emsp, fitting, barred))
    found = at_once(session, emsp_country_code="DE", emsp_party_id="MSP")
    # What is no party is for a thread.
    expected = choice if choice is not None and choice.fsp is not None else None
    assert (found and found.choice) == expected
