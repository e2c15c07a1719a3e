"""Objects as strangers spell them: each value of a right one changed, one at a time, or several."""

import copy
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

Path = tuple[str | int, ...]
# A name, which value was changed, and the document with it.
Mutation = tuple[str, Path, dict[str, Any]]
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d").match
_ABSENT = object()


def mutations(document: dict[str, Any]) -> Iterator[Mutation]:
    """Each value changed in each way."""
    for path, value in _values(document):
        for kind, other in _others(value):
            name = f"{'.'.join(map(str, path))} {kind}"
            yield name, path, _with(document, path, other)


def kind_of(mutation: Mutation) -> tuple[str, ...]:
    """What was done to the value of which name, whichever element of a list it is in."""
    what, path, _ = mutation
    return (what.partition(" ")[2], *(step for step in path if isinstance(step, str)))


def together(document: dict[str, Any], found: list[Mutation], most: int = 4) -> Iterator[Mutation]:
    """The same changes in fewer documents: up to `most` at once, where none touches another."""
    waiting: dict[Path, list[Mutation]] = {}
    for one in found:
        waiting.setdefault(one[1], []).append(one)
    while waiting:
        group: list[Mutation] = []
        # Of those that have most to be done, so that few are left alone in the end.
        for path in sorted(waiting, key=lambda path: -len(waiting[path])):
            if len(group) < most and all(_are_apart(path, other) for _, other, _ in group):
                group.append(waiting[path].pop())
                if not waiting[path]:
                    del waiting[path]
        changed = document
        for _, path, mutated in group:
            changed = _with(changed, path, _value_at(path, mutated, document))
        yield " + ".join(what for what, _, _ in group), group[0][1], changed


def _are_apart(one: Path, other: Path) -> bool:
    """Whether they part at a name: what an element of a list becomes may move those after it."""
    ways = next((pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]), None)
    return ways is not None and all(isinstance(step, str) for step in ways)


def _value_at(path: Path, mutated: Any, before: Any) -> Any:
    for step in path[:-1]:
        mutated, before = mutated[step], before[step]
    if isinstance(mutated, dict):
        return mutated.get(path[-1], _ABSENT)
    return mutated[path[-1]] if len(mutated) == len(before) else _ABSENT


def several(
    document: dict[str, Any], count: int, *, seed: int, spare: Callable[[Path], bool]
) -> Iterator[dict[str, Any]]:
    """Documents with a few values changed at once; never those that `spare` names."""
    choose = random.Random(seed)
    for _ in range(count):
        changed = document
        for _ in range(choose.randint(2, 4)):
            places = [one for one in _values(changed) if not spare(one[0])]
            if not places:
                break
            path, value = choose.choice(places)
            _, other = choose.choice(list(_others(value)))
            changed = _with(changed, path, other)
        yield changed


def _values(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if path:
        yield path, value
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for name, one in inner:
        yield from _values(one, (*path, name))


def _others(value: Any) -> Iterator[tuple[str, Any]]:
    """Other spellings, and other things than what belongs there."""
    yield from (("null", None), ("absent", _ABSENT), ("an object", {}), ("a list", []))
    yield from (("true", True), ("a number", 5), ("a fraction", 5.5), ("empty", ""))
    if isinstance(value, str) and _TIME(value):
        plain = value[:19]
        yield from (("UTC", f"{plain}+00:00"), ("an offset", f"{plain}+02:00"))
        yield from (("no zone", plain), ("a blank", f"{plain.replace('T', ' ')}Z"))
        yield from (("lower case", value.lower()), ("a day", plain[:10]), ("a word", "soon"))
        yield from (("milliseconds", f"{plain}.123Z"), ("epoch", 1435617569))
    elif isinstance(value, str):
        yield from (("lower case", value.lower()), ("unknown", "NO_SUCH_VALUE"))
        yield from (("long", value + "x" * 300), ("a line break", f"{value}\n"))
        yield from (("not ASCII", f"{value}\u00fc\u20ac"), ("blanks", f" {value} "), ("NUL", "\0"))
    elif isinstance(value, bool):
        yield from (("a text", str(value).lower()), ("a bit", int(value)))
    elif isinstance(value, (int, float)):
        yield from (("a text", str(value)), ("a float", float(value)), ("huge", 1e300))
        yield from (("negative", -value), ("a word", "a lot"), ("NaN", "NaN"), ("101", 101))
    elif isinstance(value, list):
        yield from (("one alone", value[0] if value else {}), ("a null in it", [*value, None]))
    elif isinstance(value, dict):
        yield from (("in a list", [value]), ("with more", value | {"x_own": {"deep": [1.5]}}))


def _with(document: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    holder: Any = changed
    for step in path[:-1]:
        holder = holder[step]
    if value is not _ABSENT:
        holder[path[-1]] = copy.deepcopy(value)
    elif isinstance(holder, dict):
        holder.pop(path[-1], None)
    else:
        del holder[path[-1]]
    return changed
