"""A history: what happens to one session, as a list that can be printed, read and replayed."""

import random
from dataclasses import dataclass, field
from typing import Any, Final

FSPS: Final = ("A", "B", "C")
# What a CPO does with a command, and when, in seconds: answers, carries out, posts the result.
# None: it does not.
ANSWERS: Final = {
    "ok": "answers, carries it out, posts the result",
    "slow": "answers; carries it out and posts the result 20 s later",
    "first": "carries it out and posts the result before it answers",
    "refused": "answers REJECTED",
    "too-often": "answers TOO_OFTEN",
    "rejected": "answers ACCEPTED and posts REJECTED 5 s later",
    "no-result": "answers, carries it out, posts nothing",
    "late-result": "answers, carries it out, posts the result after its timeout",
    "lost": "does not get it: the connection is refused",
    "silent": "neither answers nor carries it out",
    "unanswered": "carries it out and does not answer",
    "overdue": "does not answer, and carries it out 20 to 60 s after its time limit",
}
_OFTEN: Final = ("ok", "ok", "ok", "slow", "first", "no-result")
# What one may do, and how often.
_EVENTS: Final = (
    *["put"] * 8,
    *["pass"] * 8,
    *["assign"] * 4,
    *["unassign", "observed", "delete", "suspend", "offline", "online", "online"],
    *["suspend", "stale", "stale", "stale", "preferences", "restart", "restart", "both"],
)


@dataclass(frozen=True, slots=True)
class History:
    """What happens, in order; and what the CPO does with each command that reaches it."""

    seed: int
    keeps_one_per_sender: bool
    is_told: bool
    ignores_delete: bool
    events: list[tuple[Any, ...]]
    answers: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"History(\n    seed={self.seed}, keeps_one_per_sender={self.keeps_one_per_sender}, "
            f"is_told={self.is_told}, ignores_delete={self.ignores_delete},\n"
            "    events=[\n        "
            + ",\n        ".join(map(repr, self.events))
            + f",\n    ],\n    answers={self.answers!r},\n)"
        )


def random_history(seed: int) -> History:
    """The history of a seed: the same each time."""
    chance = random.Random(seed)
    events: list[tuple[Any, ...]] = [("assign", "A"), ("put", "A", *_profile(chance))]
    for _ in range(chance.randint(4, 12)):
        events.append(_event(chance))
    return History(
        seed,
        keeps_one_per_sender=chance.random() < 0.4,
        is_told=chance.random() < 0.7,
        ignores_delete=chance.random() < 0.15,
        events=events,
        answers=[_answer(chance) for _ in range(chance.randint(0, 14))],
    )


def _answer(chance: random.Random) -> str:
    return chance.choice(_OFTEN if chance.random() < 0.6 else tuple(ANSWERS))


def _event(chance: random.Random) -> tuple[Any, ...]:
    kind = chance.choice(_EVENTS)
    fsp = chance.choice(FSPS)
    if kind == "put":
        return (kind, "current", *_profile(chance))
    if kind == "stale":
        return ("put", fsp, *_profile(chance))
    if kind == "pass":
        return (kind, chance.choice((0.2, 1, 3, 10, 31, 65, 130, 310, 700)))
    if kind == "delete":
        return (kind, chance.choice(("current", fsp)))
    if kind == "both":
        # The old one pushes, and in the same moment the word of the operator comes.
        return ("put-and-assign", "current", *_profile(chance), fsp)
    return (kind, fsp)


def _profile(chance: random.Random) -> tuple[tuple[tuple[int, float], ...]]:
    """Amperes from a moment after now on."""
    steps = [(0, float(chance.choice((6, 8, 10, 13, 16, 20))))]
    if chance.random() < 0.4:
        steps.append((chance.choice((60, 300, 900)), float(chance.choice((6, 9, 12, 18)))))
    return (tuple(steps),)
