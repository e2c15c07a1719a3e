"""Who is flexibility provider (FSP) of a session, and why: the order of choice, without a database.

SCALE D2.3, 8.4 and 11.4. First what the CPO excludes is taken away, and who cannot act now; then
rank decides (operator, eMSP for its token, CPO), within a rank the narrower scope (session, token,
location, default), within that the later word. Only where nothing is left does the first profile
that the CPO accepts make its sender FSP.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Final

from django.db import models

from hub.ocpi.party import PartyId


class FspKind(models.TextChoices):
    """What acts as FSP: a party through the hub, or something that the hub only observes."""

    EMSP = "EMSP", "the eMSP of the token"
    SCSP = "SCSP", "an SCSP or another party"
    CPO = "CPO", "the CPO itself"
    EMS = "EMS", "an energy management system on site"
    EV = "EV", "the EV itself"
    NONE = "NONE", "nobody"


class Speaker(models.TextChoices):
    """Whose word it is, in the order of their rank."""

    OPERATOR = "OPERATOR", "the operator"
    EMSP = "EMSP", "the eMSP"
    CPO = "CPO", "the CPO"


class Scope(IntEnum):
    """What a word is about, the narrowest first."""

    SESSION = 0
    TOKEN = 1
    LOCATION = 2
    DEFAULT = 3


FIRST_PUT: Final = "first profile that the CPO accepted"
# Those whose profiles pass through the hub.
PARTY_KINDS: Final = (FspKind.EMSP, FspKind.SCSP)
_RANKS: Final = tuple(Speaker)
_ABOUT: Final = {
    Scope.SESSION: "the session itself",
    Scope.TOKEN: "a token",
    Scope.LOCATION: "a location",
    Scope.DEFAULT: "all that fits",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is to be FSP, and why; `fsp` where it is a party (EMSP, SCSP)."""

    kind: FspKind
    reason: str
    fsp: PartyId | None = None
    # By its first profile that the CPO accepted, since nobody had set anything.
    is_first_put: bool = False

    @classmethod
    def of_party(
        cls, fsp: PartyId, emsp: PartyId, reason: str, *, is_first_put: bool = False
    ) -> "Choice":
        """A party, which is the session's eMSP or another."""
        kind = FspKind.EMSP if fsp == emsp else FspKind.SCSP
        return cls(kind, reason, fsp, is_first_put)

    def __str__(self) -> str:
        return str(self.fsp or self.kind.label)


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody has said of who is FSP, of this session or of what it falls under."""

    id: int
    kind: FspKind
    said_by: Speaker
    scope: Scope
    said_at: datetime
    # The party that it names, of kind SCSP.
    named: PartyId | None = None
    reason: str = ""

    @property
    def order(self) -> tuple[int, int, float, int]:
        """The least of all that fit decides."""
        rank = _RANKS.index(self.said_by)
        return rank, self.scope, -self.said_at.timestamp(), -self.id


@dataclass(frozen=True, slots=True)
class Facts:
    """What a choice depends on, for one session."""

    cpo: PartyId
    # Empty where the Session does not say whose token it is.
    emsp: PartyId
    # All that fit the session and are valid now, in any order.
    words: Sequence[Word] = ()
    # Whom the CPO excludes; None: all third parties.
    excluded: frozenset[PartyId | None] = frozenset()
    # Who cannot act now, and why.
    unable: Mapping[PartyId, str] = field(default_factory=dict)
    # Who has become FSP by its first accepted profile.
    first_put: Choice | None = None


@dataclass(frozen=True, slots=True)
class Considered:
    """One word, and why it was taken or passed over."""

    fsp: str
    reason: str
    why: str
    choice: Choice | None = None
    is_taken: bool = False


def choose(facts: Facts) -> Choice | None:
    """Who is FSP; None: nobody, and the first accepted profile makes one."""
    return next((one.choice for one in consider(facts) if one.is_taken), None)


def consider(facts: Facts) -> Iterator[Considered]:
    """All words in the order of their weight; at most one is taken."""
    taken: Word | None = None
    for word in sorted(facts.words, key=lambda word: word.order):
        choice = _choice(word, facts)
        why = _obstacle(choice, facts)
        if why is None and taken is not None:
            why = _outweighed(word, taken)
        if why is not None:
            yield Considered(str(choice or word.kind.label), word.reason, why)
            continue
        taken = word
        yield Considered(str(choice), word.reason, _weight(word), choice, is_taken=True)
    if facts.first_put is not None:
        yield _considered_first_put(facts.first_put, facts, taken)


def refusal(party: PartyId, facts: Facts) -> str | None:
    """Why a third party must not act or cannot; None where it may."""
    if party == facts.cpo:
        return None
    if None in facts.excluded:
        return f"{facts.cpo} lets no third party act there."
    if party in facts.excluded:
        return f"{facts.cpo} does not let {party} act there."
    return facts.unable.get(party)


def _choice(word: Word, facts: Facts) -> Choice | None:
    """What it means for this session; None where that is nobody."""
    if word.kind not in PARTY_KINDS:
        return Choice(word.kind, word.reason)
    party = facts.emsp if word.kind == FspKind.EMSP else word.named
    if party is None or not party.party_id:
        return None
    if party == facts.cpo:
        return Choice(FspKind.CPO, word.reason)
    return Choice.of_party(party, facts.emsp, word.reason)


def _obstacle(choice: Choice | None, facts: Facts) -> str | None:
    if choice is None:
        return "The Session does not say whose token it is."
    return None if choice.fsp is None else refusal(choice.fsp, facts)


def _weight(word: Word) -> str:
    return f"Taken: said by {word.said_by.label} of {_ABOUT[word.scope]}, and nothing outweighs it."


def _outweighed(word: Word, taken: Word) -> str:
    """Why it is passed over beside the one that was taken."""
    if taken.said_by != word.said_by:
        return f"The word of {taken.said_by.label} counts more than that of {word.said_by.label}."
    if taken.scope != word.scope:
        return f"A word on {_ABOUT[taken.scope]} counts more than one on {_ABOUT[word.scope]}."
    return "A later word counts."


def _considered_first_put(choice: Choice, facts: Facts, taken: Word | None) -> Considered:
    why = "It counts only where nobody has said anything." if taken else None
    if why is None and choice.fsp is not None:
        why = refusal(choice.fsp, facts)
    if why is not None:
        return Considered(str(choice), FIRST_PUT, why)
    return Considered(
        str(choice), FIRST_PUT, "Taken: nobody has said anything.", choice, is_taken=True
    )
