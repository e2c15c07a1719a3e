"""What follows each end of a profile command: the one table (mod_charging_profiles, Receiver).

Pure. docs/flexibility.md has the same table; a test keeps them equal.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from charging_profiles.models import CommandState, ProfileCommand
from charging_profiles.objects import ChargingProfileResponseType
from hub.ocpi import envelope
from hub.ocpi.results import answer_of

# The CPO's own answer refuses it, in no word of a ChargingProfileResponse.
REFUSED: Final = CommandState.REFUSED.value
_WORDS: Final = frozenset(ChargingProfileResponseType) - {ChargingProfileResponseType.ACCEPTED}


class Then(StrEnum):
    """What the hub does of itself when a command, of whomever, has ended."""

    NOTHING = "nothing"
    ASK = "GET of the active profile"
    ASK_IF_LEFT = "GET of the active profile, if a byte has left"
    LEARN_SPACING = "the spacing is learned"
    LEARN_UNSUPPORTED = "learned of CPO and method"
    LOOK_AT_SESSION = "the session is looked at"


class Follows(NamedTuple):
    """A line of the table."""

    methods: tuple[str, ...]
    how: str
    then: Then
    reason: str


_CHANGES: Final = ("PUT", "DELETE")
_ALL: Final = (*_CHANGES, "GET")
FOLLOWS: Final = (
    Follows(
        _ALL,
        "TOO_OFTEN",
        Then.LEARN_SPACING,
        "The sender is told. The hub's own commands keep the spacing; nobody else's is held back.",
    ),
    Follows(
        _ALL,
        "NOT_SUPPORTED",
        Then.LEARN_UNSUPPORTED,
        "For a day the hub asks nothing of the kind itself; an accepted one ends that.",
    ),
    Follows(
        _ALL,
        "UNKNOWN_SESSION",
        Then.LOOK_AT_SESSION,
        "The hub steers it no more until the CPO says something of it, and reads its Sessions.",
    ),
    Follows(_CHANGES, "REJECTED", Then.NOTHING, "The CPO's word: what was in force stays."),
    Follows(_CHANGES, REFUSED, Then.NOTHING, "The CPO's word: what was in force stays."),
    Follows(_CHANGES, "NO_RESULT", Then.ASK, "Nobody knows whether the CPO has taken it."),
    Follows(
        _CHANGES,
        "UNREACHABLE",
        Then.ASK_IF_LEFT,
        "It may have arrived although no answer came back.",
    ),
    Follows(_CHANGES, "TIMED_OUT", Then.ASK, "The CPO may carry it out all the same."),
    Follows(_CHANGES, "RESULT_ACCEPTED", Then.NOTHING, "The EVSE has taken it."),
    Follows(_CHANGES, "RESULT_REJECTED", Then.NOTHING, "The EVSE keeps what it had."),
    Follows(("PUT",), "RESULT_UNKNOWN", Then.ASK, "UNKNOWN has no meaning for a PUT."),
    Follows(("DELETE",), "RESULT_UNKNOWN", Then.NOTHING, "There was no profile to clear."),
    Follows(_CHANGES, "RESULT_OTHER", Then.ASK, "A word that OCPI does not know."),
    Follows(_CHANGES, "EXPIRED", Then.ASK, "The CPO has accepted it and never told the result."),
    Follows(_ALL, "SUPERSEDED", Then.NOTHING, "It never left; a newer one did, or its FSP ended."),
    Follows(("GET",), "RESULT_ACCEPTED", Then.NOTHING, "The active profile is known as of then."),
    Follows(("GET",), "RESULT_UNKNOWN", Then.NOTHING, "No profile is active, as of then."),
    *(
        Follows(("GET",), how, Then.NOTHING, "What is known of the active profile grows older.")
        for how in (
            *("REJECTED", REFUSED, "NO_RESULT", "UNREACHABLE", "TIMED_OUT"),
            *("RESULT_REJECTED", "RESULT_OTHER", "EXPIRED"),
        )
    ),
)
_BY_KEY: Final = {(method, line.how): line for line in FOLLOWS for method in line.methods}


class Next(StrEnum):
    """How the hub's own release goes on."""

    VERIFY = "verified by a GET of the active profile"
    AGAIN = "sent again after a pause"
    OTHER_MEANS = "the other means, if there is one: DELETE, or a full-rate profile"
    RECONSIDER = "looked at anew: somebody else has sent something"
    WHEN_HEARD = "sent again when the CPO says something of the session; the operator is told"


# By how the DELETE or the full-rate PUT of a release has ended.
RELEASE: Final = {
    "RESULT_ACCEPTED": Next.VERIFY,
    "RESULT_UNKNOWN": Next.VERIFY,
    "RESULT_OTHER": Next.VERIFY,
    "EXPIRED": Next.VERIFY,
    "NO_RESULT": Next.VERIFY,
    "TOO_OFTEN": Next.AGAIN,
    "UNREACHABLE": Next.AGAIN,
    "TIMED_OUT": Next.AGAIN,
    "REJECTED": Next.OTHER_MEANS,
    REFUSED: Next.OTHER_MEANS,
    "NOT_SUPPORTED": Next.OTHER_MEANS,
    "RESULT_REJECTED": Next.OTHER_MEANS,
    "UNKNOWN_SESSION": Next.WHEN_HEARD,
    "SUPERSEDED": Next.RECONSIDER,
}


def how_it_ended(command: ProfileCommand) -> str:
    """The state in which it ended; of a refusal the CPO's word, where it is one of OCPI's."""
    if command.state != CommandState.REFUSED:
        return str(command.state)
    said = answer_of(bytes(envelope.read_answer(bytes(command.answer_body)).data))
    return said.result if said is not None and said.result in _WORDS else REFUSED


def follows(method: str, how: str) -> Follows:
    """The line of the table for an end."""
    return _BY_KEY[method, how]


def as_markdown() -> tuple[str, str]:
    """Both tables, as docs/flexibility.md has them."""
    follows_ = ["| of | ended | what follows | why |", "| --- | --- | --- | --- |"]
    for line in FOLLOWS:
        follows_.append(f"| {', '.join(line.methods)} | {line.how} | {line.then} | {line.reason} |")
    release = ["| its DELETE or PUT ended | the release is |", "| --- | --- |"]
    release += [f"| {how} | {then} |" for how, then in RELEASE.items()]
    return "\n".join(follows_), "\n".join(release)
