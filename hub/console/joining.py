"""A platform's way in, step by step, as it happens: from the invitation to CONNECTED.

Each step is read from what the hub has anyway, the record above all, so that nothing has to be
ticked off and nothing is told that did not happen (credentials, Registration).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from hub.conformance.models import ConformanceCheck
from hub.console.access import scope
from hub.console.statuses import problem_of
from hub.models import Party, Platform
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.modules import CONFIGURATION_MODULES, FUNCTIONAL_MODULES
from hub.record.models import Message
from hub.record.note import Direction, Kind
from hub.record.search import of_exchange

EVERY = 3  # seconds between two looks of the page
# How far back the record is read for a platform without an invitation.
_A_WEEK: Final = timedelta(days=7)
_MOST: Final = 20
_SENDER, _RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
# terminology, Typical OCPI implementations per Role. "These are not required."
TYPICAL: Final[dict[str, frozenset[tuple[str, str]]]] = {
    Role.CPO: frozenset(
        {(name, _SENDER) for name in ("cdrs", "locations", "sessions", "tariffs")}
        | {
            (name, _RECEIVER)
            for name in ("chargingprofiles", "commands", "hubclientinfo", "tokens")
        }
    ),
    Role.EMSP: frozenset(
        {(name, _SENDER) for name in ("commands", "tokens")}
        | {
            (name, _RECEIVER)
            for name in ("cdrs", "hubclientinfo", "locations", "sessions", "tariffs")
        }
    ),
    Role.SCSP: frozenset(
        {("chargingprofiles", _SENDER), ("hubclientinfo", _RECEIVER), ("sessions", _RECEIVER)}
    ),
    Role.NSP: frozenset((name, _RECEIVER) for name in ("hubclientinfo", "locations", "tariffs")),
    Role.NAP: frozenset((name, _RECEIVER) for name in ("hubclientinfo", "locations", "tariffs")),
}


class State(StrEnum):
    """How far a step is, in the words of the page."""

    DONE = "done"
    FAILED = "failed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened, or is missing; `url` leads to it."""

    text: str
    at: datetime | None = None
    url: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step with what is known of it; `hint` says what to do while it is not done."""

    title: str
    state: State
    lines: tuple[Line, ...] = ()
    hint: str = ""


def page(request: HttpRequest, platform_id: int) -> HttpResponse:
    """The whole page; 404 for a platform that this account may not see."""
    found = _context(request, platform_id)
    context = {
        **admin.site.each_context(request),
        **found,
        "title": f"Joining: {found['platform']}",
        "every": EVERY,
    }
    return TemplateResponse(request, "console/joining.html", context)


def live(request: HttpRequest, platform_id: int) -> HttpResponse:
    """The steps alone, as they are now."""
    return TemplateResponse(request, "console/joining_steps.html", _context(request, platform_id))


def _context(request: HttpRequest, platform_id: int) -> dict[str, Any]:
    scope.check(request.user, "hub.view_party")
    platform = Platform.objects.filter(pk=platform_id).select_related("health").first()
    if platform is None or not scope.sees_platform(request.user, platform_id):
        raise Http404
    found = steps(platform)
    ahead = next((step for step in found if step.state is not State.DONE), None)
    return {"platform": platform, "steps": found, "ahead": ahead, "now": timezone.now()}


def steps(platform: Platform) -> list[Step]:
    """All steps of a platform, in their order."""
    parties = list(platform.parties.order_by("pk"))
    since = platform.invited_at or platform.registered_at or timezone.now() - _A_WEEK
    names = sorted({str(party.identity) for party in parties})
    return [
        _invited(platform, parties),
        _versions(names, since),
        _handshake(platform, since),
        _modules(platform, parties),
        _check(parties),
        _messages(platform, names),
        _connected(platform, parties),
    ]


def _invited(platform: Platform, parties: list[Party]) -> Step:
    roles = ", ".join(f"{party.identity} as {party.role}" for party in parties)
    if platform.invited_at is not None:
        return Step("Invited", State.DONE, (Line(roles, platform.invited_at),))
    if platform.registered_at is not None:
        return Step("Invited", State.DONE, (Line(f"The hub registered there: {roles}"),))
    return Step("Invited", State.OPEN, (), "Invite it, and hand over the token and the URL.")


def _versions(names: list[str], since: datetime) -> Step:
    asked = Message.objects.filter(
        sender__in=names, direction=Direction.IN, module="versions", at__gte=since
    )
    lines = tuple(_line(row, "It asked") for row in asked.order_by("at", "id")[:2])
    hint = "It has not called yet. With the token of the invitation it reads the hub's versions."
    return Step("It reads the hub's versions", _state(lines), lines, hint)


def _handshake(platform: Platform, since: datetime) -> Step:
    title = "Credentials are exchanged"
    tries = Message.objects.filter(
        module="credentials", platform_id=platform.pk, at__gte=since, method__in=("POST", "PUT")
    ).exclude(kind=Kind.STRANGER)
    last = tries.order_by("-at", "-id").first()
    if last is None:
        done = platform.registered_at is not None
        known = (Line("Registered", platform.registered_at),) if done else ()
        hint = "It sends POST credentials with its own token and the URL of its versions."
        return Step(title, State.DONE if done else State.OPEN, known, hint)
    calls = of_exchange(last.correlation_id).filter(direction=Direction.OUT, kind=Kind.HANDSHAKE)
    lines = (
        *(_line(row, "The hub asked") for row in calls[:_MOST] if row.pk != last.pk),
        _line(last, "It sent" if last.direction == Direction.IN else "The hub sent"),
        *(Line(said, is_bad=False) for said in platform.remarks.splitlines()),
    )
    hint = "Its engineer corrects what is named above, and sends POST credentials again."
    return Step(title, State.FAILED if last.is_failed else State.DONE, lines, hint)


def _modules(platform: Platform, parties: Iterable[Party]) -> Step:
    title = "It offers the modules of its roles"
    offered = set(platform.endpoints.values_list("identifier", "role"))
    if not offered:
        return Step(
            title, State.OPEN, (), "They are read from its version details, in the handshake."
        )
    found = [f"{module} {role}" for module, role in sorted(offered) if module != "credentials"]
    lines = [Line("Found: " + ", ".join(found)), *_misspelt(offered)]
    expected = {one for party in parties for one in TYPICAL.get(party.role, ())}
    for module, role in sorted(expected - offered):
        lines.append(Line(f"Not offered: {module} {role}. Typical for its roles, not required."))
    return Step(title, State.DONE, tuple(lines))


def _misspelt(offered: Iterable[tuple[str, str]]) -> Iterator[Line]:
    known = (*FUNCTIONAL_MODULES, *CONFIGURATION_MODULES)
    for module in sorted({module for module, _ in offered} - set(known)):
        if near := get_close_matches(module.lower().replace("_", ""), known, 1, 0.8):
            yield Line(f"{module} is not a module of OCPI; {near[0]} may be meant.", is_bad=True)


def _check(parties: Iterable[Party]) -> Step:
    title = "Its system is checked"
    lines = []
    for identity in dict.fromkeys(party.identity for party in parties):
        if (last := ConformanceCheck.of(identity).first()) is not None:
            url = reverse("admin:conformance_conformancecheck_change", args=[last.pk])
            bad = bool(last.failed or last.problem)
            lines.append(Line(f"{identity}: {last.summary}", last.created_at, url, bad))
    hint = "Press Check on the page of the party. Not required: it says what to change, and where."
    return Step(title, _state(lines), tuple(lines), hint)


def _messages(platform: Platform, names: list[str]) -> Step:
    title = "First messages"
    if platform.registered_at is None:
        return Step(title, State.OPEN, (), "They come after the exchange of credentials.")
    rows = Message.objects.filter(module__in=FUNCTIONAL_MODULES, at__gte=platform.registered_at)
    sent = rows.filter(sender__in=names, direction=Direction.IN).order_by("at", "id").first()
    got = rows.filter(receiver__in=names, direction=Direction.OUT).order_by("at", "id").first()
    lines = [
        _line(row, said) for row, said in ((sent, "It sent"), (got, "It got")) if row is not None
    ]
    hint = "A CPO begins with its Locations, an eMSP with its Tokens (docs/joining.md)."
    return Step(title, State.DONE if lines else State.OPEN, tuple(lines), hint)


def _connected(platform: Platform, parties: list[Party]) -> Step:
    lines = tuple(
        Line(
            f"{party.identity} as {party.role} is {party.status}",
            is_bad=party.status in (ConnectionStatus.OFFLINE, ConnectionStatus.SUSPENDED),
        )
        for party in parties
    )
    if parties and all(party.status == ConnectionStatus.CONNECTED for party in parties):
        return Step("Connected", State.DONE, lines)
    problem = problem_of(platform)
    return Step("Connected", State.FAILED if problem else State.OPEN, lines, problem)


def _state(lines: Iterable[Line]) -> State:
    """By the last line: what went wrong first is mended by what went right later."""
    found = list(lines)
    if not found:
        return State.OPEN
    return State.FAILED if found[-1].is_bad else State.DONE


def _line(row: Message, who: str) -> Line:
    """One message in plain words, with the way to its ladder."""
    code = f"HTTP {row.http_status}" if row.http_status else "no answer"
    if row.ocpi_code is not None:
        code = f"{code}, OCPI {row.ocpi_code}"
    is_details = row.module == "versions" and not row.path.rstrip("/").endswith("versions")
    text = f"{who} {row.method} {'version details' if is_details else row.module}: {code}"
    if row.problem:
        text = f"{text}. {row.problem}"
    url = f"{reverse('exchange')}?{urlencode({'correlation_id': row.correlation_id})}"
    return Line(text, row.at, url, row.is_failed)
