"""Whether a regular expression can take longer than its text: by its structure, without running it.

What is allowed is so little that nothing in it can be searched twice:

- without a bound is only repeated what is one character (of a set), or alternatives that differ in
  their first; what may follow is not in that set, so there is one place where the repeat ends;
- a search must not begin within such a repeat, unless the repeat ends the pattern: it would be
  walked anew from each of its characters;
- bounded repeats that could end in several places multiply, to a small product.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any

# Repeats up to this are bounded; what they may cost for one place of the text.
BOUND = 255
MOST_WAYS = 1_000

_SAMPLE = "".join(map(chr, range(0x250))) + "\u2028\u2029\u212a\u3000\u4e2d\ufeff\U0001f600"
_ONE = {
    _constants.LITERAL,
    _constants.NOT_LITERAL,
    _constants.ANY,
    _constants.IN,
    _constants.CATEGORY,
}
_REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}
_LOOKS = {_constants.ASSERT, _constants.ASSERT_NOT}
Items = Sequence[tuple[Any, Any]]


@dataclass
class Verdict:
    """What is wrong with a pattern; nothing when it is linear."""

    problems: list[str] = field(default_factory=list)
    ways: int = 1
    # The sets that are repeated without a bound and may be walked in vain.
    runs: list[frozenset[str]] = field(default_factory=list)


def problems(pattern: "re.Pattern[Any]", *, anchored: bool) -> list[str]:
    """Why it might not be linear; `anchored` when it is only ever tried at one place."""
    parsed = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    judge = _Judge(parsed.state, pattern)
    items = list(parsed)
    judge.check(items, frozenset(), is_end=True)
    verdict = judge.verdict
    if verdict.ways > MOST_WAYS:
        verdict.problems.append(f"{verdict.ways} ways to read one place")
    begins = items[:1] and items[0][0] is _constants.AT and "BEGINNING" in str(items[0][1])
    if not anchored and not begins:
        first, may_be_empty = judge.first(items)
        for run in verdict.runs:
            if may_be_empty or run & first:
                verdict.problems.append("a search may begin within a repeat without a bound")
    return verdict.problems


class _Judge:
    def __init__(self, state: Any, pattern: "re.Pattern[Any]") -> None:
        self._state = state
        self._pattern = pattern
        self.verdict = Verdict()

    def check(self, items: Items, after: frozenset[str], *, is_end: bool) -> None:
        """Judge a sequence; `after` may follow it, `is_end` when nothing has to."""
        for index, (kind, value) in enumerate(items):
            rest = items[index + 1 :]
            following, may_be_empty = self.first(rest)
            if may_be_empty:
                following |= after
            ends = is_end and not rest
            if kind in _REPEATS:
                least, most, body = value
                self._repeat(least, most, body, following, ends)
            elif kind is _constants.SUBPATTERN:
                self.check(value[3], following, is_end=ends)
            elif kind is _constants.ATOMIC_GROUP:
                self.check(value, following, is_end=ends)
            elif kind is _constants.BRANCH:
                self._branch(value[1], following, ends)
            elif kind in _LOOKS:
                self.check(value[1], frozenset(), is_end=False)
            elif kind not in _ONE | {_constants.AT}:
                self.verdict.problems.append(f"{kind} is not judged")

    def _repeat(
        self, least: int, most: int, body: Any, following: frozenset[str], ends: bool
    ) -> None:
        if least == most:
            self.check(body, following, is_end=ends)
            return
        is_bounded = int(most) <= BOUND
        chars, may_be_empty = self.first(body)
        if not self._is_deterministic(body):
            if most != 1:
                self.verdict.problems.append("what is repeated may be read in several ways")
            self.check(body, following, is_end=ends)
        if may_be_empty:
            self.verdict.problems.append("what is repeated may be empty")
        if chars & following:
            if not is_bounded:
                self.verdict.problems.append("a repeat without a bound may end in several places")
            self.verdict.ways *= int(most) - least + 1 if is_bounded else 1
        if not is_bounded and not ends:
            self.verdict.runs.append(chars)

    def _branch(self, branches: Any, following: frozenset[str], ends: bool) -> None:
        firsts = [self.first(branch)[0] for branch in branches]
        overlapping = sum(
            bool(one & other) for place, one in enumerate(firsts) for other in firsts[:place]
        )
        self.verdict.ways *= overlapping + 1
        for branch in branches:
            self.check(branch, following, is_end=ends)

    def _is_deterministic(self, body: Items) -> bool:
        """Of fixed parts alone, and each alternative told by its first character."""
        for kind, value in body:
            if kind is _constants.SUBPATTERN:
                if not self._is_deterministic(value[3]):
                    return False
            elif kind is _constants.BRANCH:
                firsts = [self.first(branch)[0] for branch in value[1]]
                if any(one & other for i, one in enumerate(firsts) for other in firsts[:i]):
                    return False
                if not all(self._is_deterministic(branch) for branch in value[1]):
                    return False
            elif kind not in _ONE:
                return False
        return True

    def first(self, items: Items) -> tuple[frozenset[str], bool]:
        """The characters that a sequence may begin with, and whether it may be empty."""
        found: frozenset[str] = frozenset()
        for kind, value in items:
            chars, may_be_empty = self._first_of(kind, value)
            found |= chars
            if not may_be_empty:
                return found, False
        return found, True

    def _first_of(self, kind: Any, value: Any) -> tuple[frozenset[str], bool]:
        if kind in _ONE:
            return self._set(kind, value), False
        if kind in _REPEATS:
            chars, may_be_empty = self.first(value[2])
            return chars, may_be_empty or value[0] == 0
        if kind is _constants.SUBPATTERN:
            return self.first(value[3])
        if kind is _constants.ATOMIC_GROUP:
            return self.first(value)
        if kind is _constants.BRANCH:
            each = [self.first(branch) for branch in value[1]]
            return frozenset().union(*(chars for chars, _ in each)), any(empty for _, empty in each)
        return frozenset(), True  # A place, or a look at what stands there.

    def _set(self, kind: Any, value: Any) -> frozenset[str]:
        one = _parser.SubPattern(self._state, [(kind, value)])
        matches = _compiler.compile(one, self._pattern.flags & ~re.DEBUG).fullmatch
        if isinstance(self._pattern.pattern, bytes):
            return frozenset(chr(code) for code in range(256) if matches(bytes([code])))
        return frozenset(character for character in _SAMPLE if matches(character))
