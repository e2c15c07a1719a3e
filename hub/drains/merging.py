"""Updates of one object that wait together become the one that the receiver needs.

What the receiver ends with is the same: a PUT or DELETE stands for everything before it of the same
path and below, a PATCH goes into the PUT or PATCH before it. What only says that something happened
(CDRs, results of commands and profiles, a Session's charging periods) is never merged.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from hub.ocpi.errors import OcpiError
from hub.ocpi.patches import merged

# Modules whose PUT is the whole object, and those whose PATCH only sets fields.
_WHOLE: Final = frozenset(
    {"hubclientinfo", "locations", "tariffs", "tokens", "sessions", "chargingprofiles"}
)
# mod_sessions, PATCH: charging_periods are appended, so two PATCHes are more than the later one.
_FIELDS: Final = frozenset({"locations", "tariffs", "tokens"})
_REPLACING: Final = frozenset({"PUT", "DELETE"})


class Route(NamedTuple):
    """Where a push goes, and in whose name."""

    module: str
    # Empty for a callback: its path is an absolute URL.
    interface_role: str
    path: str
    sender: tuple[str, str]
    receiver: tuple[str, str]


@dataclass(slots=True, eq=False)
class Push:
    """A delivery row while a drain holds it. Times are those of the monotonic clock."""

    id: int
    platform_id: int
    ordering_key: str
    route: Route
    method: str
    body: bytes
    correlation_id: str
    attempts: int
    due: float
    created: float
    is_broadcast: bool


@dataclass(slots=True, eq=False)
class Call:
    """One request, and the rows that it stands for."""

    pushes: list[Push]
    method: str
    body: bytes

    @property
    def last(self) -> Push:
        """The newest of its rows."""
        return self.pushes[-1]

    @property
    def attempts(self) -> int:
        """How often the most tried of its rows has been tried."""
        return max(push.attempts for push in self.pushes)


def calls_for(pushes: Iterable[Push]) -> list[Call]:
    """The fewest calls for these rows of one receiver and ordering key, oldest first."""
    calls: list[Call] = []
    for push in pushes:
        _add(calls, push)
    return calls


def _add(calls: list[Call], push: Push) -> None:
    route = push.route
    if push.method in _REPLACING and route.module in _WHOLE and route.interface_role:
        _replace(calls, push)
        return
    if push.method == "PATCH" and route.module in _FIELDS:
        for call in reversed(calls):
            if call.last.route == route and call.method in {"PUT", "PATCH"}:
                try:
                    call.body = merged(call.body, push.body)
                except OcpiError:
                    break  # Not an object: the receiver shall say so.
                call.pushes.append(push)
                return
            if _is_related(call.last.route.path, route.path):
                break
    calls.append(Call([push], push.method, push.body))


def _replace(calls: list[Call], push: Push) -> None:
    """Put it in the place of the earliest call that it makes needless."""
    needless = []
    for call in reversed(calls):
        route = call.last.route
        if route[:2] == push.route[:2] and route[3:] == push.route[3:]:
            is_same = route.path == push.route.path
            if is_same or route.path.startswith(f"{push.route.path}/"):
                needless.append(call)
                continue
        if _is_related(route.path, push.route.path):
            break
    replaced = [one for call in reversed(needless) for one in call.pushes]
    call = Call([*replaced, push], push.method, push.body)
    if not needless:
        calls.append(call)
        return
    calls[calls.index(needless[-1])] = call
    for other in needless[:-1]:
        calls.remove(other)


def _is_related(one: str, other: str) -> bool:
    """Whether one path is the other, or is below it; ids are CiStrings."""
    one, other = one.upper(), other.upper()
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
