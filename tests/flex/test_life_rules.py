"""The pure rules of a command's life: the table, silence, release, and what TOO_OFTEN teaches."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charging_profiles.models import BAD_ENDS, UNSENT, CommandState, ProfileCommand
from charging_profiles.objects import ChargingProfileResponseType
from flex.full_rate import FullRate
from flex.knowledge.profiles import Profile
from flex.life import silence, spacing, table
from flex.life.judging import Released, is_full, released
from flex.life.releasing import LONGEST, PAUSE, pause
from flex.life.silence import Facts
from tests.cases import case

DOCS = Path(__file__).parents[2] / "docs" / "flexibility.md"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE = timedelta(minutes=5)
FULL = FullRate(amperes=Decimal(32))


def minutes(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def profile(*steps: tuple[int, float], unit: str = "A", seconds: int | None = None) -> Profile:
    """Limits from so many minutes after noon on."""
    told = tuple((60 * minute, Decimal(str(limit))) for minute, limit in steps)
    return Profile(unit, NOON, told, seconds)


# --- The table ------------------------------------------------------------------------------------


def test_each_method_has_one_line_for_each_end():
    """By the states that a command may end in, and the words that a CPO refuses with."""
    words = set(ChargingProfileResponseType) - {"ACCEPTED"}
    ends = words | {str(one) for one in CommandState if one not in {*UNSENT, "ACCEPTED"}}
    lines = [(method, line.how) for line in table.FOLLOWS for method in line.methods]
    assert len(lines) == len(set(lines))
    assert set(lines) == {(method, how) for method in ("GET", "PUT", "DELETE") for how in ends}
    assert set(table.RELEASE) == ends


def test_what_something_follows_is_found_by_the_turn():
    quiet = {"RESULT_ACCEPTED", "SUPERSEDED"}
    words = set(ChargingProfileResponseType)
    found = {line.how for line in table.FOLLOWS} - words - quiet
    assert found == {state.value for state in BAD_ENDS}
    lines = [line for line in table.FOLLOWS if line.how in quiet]
    assert {line.then for line in lines} == {table.Then.NOTHING}


def test_the_docs_have_the_same_tables():
    written = DOCS.read_text()
    assert [one for one in table.as_markdown() if one not in written] == []


_REFUSALS: list[Any] = [
    ("a word", b'{"data": {"result": "TOO_OFTEN", "timeout": 0}}', "TOO_OFTEN"),
    ("lower case, in a list", b'{"data": [{"result": "too_often"}]}', "TOO_OFTEN"),
    ("a word of nobody's", b'{"data": {"result": "BUSY"}}', "REFUSED"),
    ("no word", b'{"status_code": 3000}', "REFUSED"),
    ("not JSON", b"<html>", "REFUSED"),
]


def test_a_refusal_ends_by_the_word_of_the_cpo():
    for name, body, how in _REFUSALS:
        with case(name):
            refused = ProfileCommand(state=CommandState.REFUSED, answer_body=body)
            assert table.how_it_ended(refused) == how
            assert (
                table.how_it_ended(ProfileCommand(state="EXPIRED", answer_body=body)) == "EXPIRED"
            )


# --- Release --------------------------------------------------------------------------------------


_ACTIVE: list[Any] = [
    ("none is active", None, profile((0, 8)), Released.YES),
    ("the full rate", profile((0, 32)), profile((0, 8)), Released.YES),
    ("the former one", profile((0, 8)), profile((0, 8)), Released.STILL_LIMITED),
    (
        "the former one, cut and rounded",
        profile((0, 8.04)),
        profile((-60, 16), (-10, 8), (120, 0)),
        Released.STILL_LIMITED,
    ),
    ("another limit", profile((0, 20)), profile((0, 8)), Released.OTHERWISE_LIMITED),
    ("in W", profile((0, 8), unit="W"), profile((0, 8)), Released.OTHERWISE_LIMITED),
    ("of before any", profile((0, 20)), None, Released.OTHERWISE_LIMITED),
]


def test_an_active_profile_says_whether_a_session_is_released():
    for name, active, former, found in _ACTIVE:
        with case(name):
            assert released(active, former, FULL, NOON) == found


_FULL: list[Any] = [
    ("below", profile((0, 31)), FULL, False),
    ("its tail, where only that counts", profile((-60, 6), (-1, 32)), FULL, True),
    ("it falls later", profile((0, 32), (60, 6)), FULL, False),
    ("it ran out", profile((-60, 6), seconds=-1), FULL, True),
    ("no watts are known", profile((0, 7000), unit="W"), FULL, False),
    ("a highest tail, unknown rate", profile((-60, 6), (-1, 16)), FullRate(), True),
    ("one limit, unknown rate", profile((0, 16)), FullRate(), False),
]


def test_a_profile_gives_the_full_rate_by_itself():
    for name, told, full, expected in _FULL:
        with case(name):
            assert is_full(told, full, NOON) == expected


def test_a_release_is_repeated_ever_more_slowly_but_never_given_up():
    pauses = [pause(number) for number in range(12)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (PAUSE, LONGEST)


# --- Silence --------------------------------------------------------------------------------------


def facts(**said: Any) -> Facts:
    """An FSP that set 8 A at noon, for a car that leaves at 18:00; it is a quarter past."""
    usual: dict[str, Any] = {
        "now": minutes(15),
        "assigned_at": minutes(-10),
        "preferences": 1,
        "profile_type": "CHEAP",
        "departure": minutes(360),
        "changed_at": minutes(-5),
        "profile": profile((0, 8)),
        "sent_at": NOON,
        "full": FULL,
    }
    return Facts(**(usual | said))


_SILENCES: list[Any] = [
    ("nothing has happened", {}, None),
    ("preferences changed", {"changed_at": minutes(5)}, 5),
    ("less than the patience ago", {"changed_at": minutes(11)}, None),
    ("and were answered", {"changed_at": minutes(5), "sent_at": minutes(6)}, None),
    ("it never set a profile", {"changed_at": minutes(5), "sent_at": None}, None),
    ("a limit changed", {"limit_changed_at": minutes(6)}, 6),
    ("its profile ran out", {"profile": profile((0, 8), seconds=420)}, 7),
    ("it runs out later", {"profile": profile((0, 8), seconds=3600)}, None),
    (
        "it ran out after departure",
        {"profile": profile((0, 8), seconds=420), "departure": None},
        None,
    ),
    (
        "FAST, and nothing holds it back",
        {"profile_type": "FAST", "changed_at": minutes(5), "profile": profile((0, 32))},
        None,
    ),
    ("FAST, held back", {"profile_type": "FAST", "changed_at": minutes(5)}, 5),
    ("the car should have left", {"changed_at": minutes(5), "departure": NOON}, None),
    ("the session is over", {"changed_at": minutes(5), "is_over": True}, None),
    ("nobody is FSP", {"changed_at": minutes(5), "assigned_at": None}, None),
]


def test_an_fsp_is_silent_when_it_owes_an_answer():
    for name, said, since in _SILENCES:
        with case(name):
            found = silence.silent(facts(**said), PATIENCE)
            assert (found and found.since) == (None if since is None else minutes(since))


_RELEASES: list[Any] = [
    ("at departure", {}, 360),
    ("not twice", {"released_for": "departure 2026-03-01T18:00:00Z"}, None),
    ("its tail is the full rate", {"profile": profile((0, 8), (300, 32))}, None),
    ("it has run out by then", {"profile": profile((0, 8), seconds=3600)}, None),
    ("nothing is in force", {"profile": None}, None),
    ("nobody is FSP", {"assigned_at": None}, None),
    ("FAST", {"profile_type": "FAST", "departure": None, "changed_at": minutes(5)}, 5.5),
    (
        "FAST, not twice",
        {"profile_type": "FAST", "departure": None, "released_for": "preferences 1"},
        None,
    ),
]


def test_a_session_is_released_at_departure_and_for_fast_where_it_is_held_back():
    for name, said, at in _RELEASES:
        with case(name):
            found = silence.releases(facts(**said))
            assert [one.at for one in found] == ([] if at is None else [minutes(at)])


_MOMENTS = st.none() | st.integers(-60, 600).map(minutes)


@given(
    now=st.integers(0, 500).map(minutes),
    departure=_MOMENTS,
    changed_at=_MOMENTS,
    sent_at=_MOMENTS,
    profile_type=st.sampled_from(["FAST", "CHEAP"]),
    seconds=st.none() | st.integers(60, 30_000),
)
def test_between_two_looks_the_clock_alone_changes_nothing(now, seconds, **said):
    """What `next_look` says is early enough for all that the clock brings."""
    then = facts(now=now, profile=profile((0, 8), seconds=seconds), **said)
    look = silence.next_look(then, PATIENCE)
    just_before = (look or minutes(10_000)) - timedelta(seconds=1)
    if just_before <= now:
        return
    later = facts(now=just_before, profile=then.profile, **said)
    assert silence.silent(later, PATIENCE) == silence.silent(then, PATIENCE)
    due = {one.key for one in silence.releases(then) if one.at <= now}
    assert {one.key for one in silence.releases(later) if one.at <= just_before} <= due


# --- What TOO_OFTEN teaches -----------------------------------------------------------------------


def test_the_spacing_that_a_cpo_wants_is_found_from_what_it_refuses_and_accepts():
    """A CPO that wants 30 s between two: tried again and again at what was learned."""
    learned, refused = 0.0, 0
    for _ in range(200):
        gap = max(learned, 1.0)
        if gap < 30:
            learned, refused = spacing.after_refusal(learned, gap), refused + 1
        else:
            learned = spacing.after_acceptance(learned, gap)
    assert 25 <= learned <= 45
    assert refused < 50


_SPACINGS: list[Any] = [
    ("nothing shorter was tried", 30.0, 30.0, 28.5),
    ("shorter was enough", 30.0, 20.0, 20.0),
    ("much shorter may be luck", 30.0, 1.0, 15.0),
    ("nothing is left", 1.5, 0.1, 0.0),
]


def test_what_was_not_needed_is_forgotten():
    for name, learned, gap, expected in _SPACINGS:
        with case(name):
            assert spacing.after_acceptance(learned, gap) == pytest.approx(expected)
            assert spacing.after_refusal(spacing.MOST, 1e9) == spacing.MOST
