"""The page of one session: what it is for, how it goes, and everything that hangs on it.

Everything is read once, as it is when the page is opened or looks again; a section is shown to
whoever may see its rows.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cdrs.models import Cdr
from flex.api.emsp_shown import cost_and_saving
from flex.api.objects import Cost, Saving
from flex.knowledge import active, bounds, coverage, effect, facts
from flex.knowledge.coverage import Covered, Known
from flex.knowledge.effect import Effected
from flex.knowledge.facts import Facts
from flex.life.models import HubCommand
from flex.models import FspAssignment, JournalEntry, PreferenceCopy
from flex.switching.models import FspFailure, FspSwitch
from hub.console import session_chart, session_life
from hub.console.documents import pretty
from hub.console.flexibility import why as why_fsp
from hub.console.hub_commands import age_of_active, request_badge
from hub.console.hub_commands import step_badge as wish_badge
from hub.console.knowledge import (
    bounds_table,
    coverage_table,
    effect_badge,
    effect_table,
    table,
)
from hub.console.plans import cost_table, money, told_by_app
from hub.console.preferences import cpo_said
from hub.console.switches import step_badge, steps_of
from hub.console.tables import ago, local
from hub.console.tables import span as time_between
from hub.ocpi import heads
from sessions.models import Session

_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page that can be folded; `note` stands beside its title."""

    key: str
    title: str
    body: SafeString | str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """A fact that is looked for first."""

    title: str
    value: SafeString | str
    more: SafeString | str = ""


def context(request: HttpRequest, session: Session, status: SafeString) -> dict[str, Any]:
    """For `console/session_live.html`; `?live&open=` asks for no more sections than are open."""
    known = facts.of(session)
    commands = active.commands_of(session)
    effects = effect.of(session, known)
    cost, saving = cost_and_saving(session, known.now)
    assignments = list(session.fsp_assignments.order_by("-epoch")[:_MOST])
    chart = session_chart.of(session, known)
    shown = _Shown(session, known, effects, assignments, cost, saving)
    shows_commands = request.user.has_perm("ocpi_charging_profiles.view_profilecommand")
    keys = request.GET.get("open", "").split(",") if "live" in request.GET else None
    return {
        "session": session,
        "status": status,
        "is_live": not session.is_over,
        "now": known.now,
        "tiles": list(_tiles(shown)),
        "chart": chart,
        "chart_data": chart.data(),
        "lives": session_life.lives(commands, effects) if shows_commands else [],
        "shows_commands": shows_commands,
        "commands_number": len(commands),
        "commands_shown": min(len(commands), session_life.MOST),
        "commands_url": _listed("ocpi_charging_profiles_profilecommand", session.session_id),
        "messages_url": _messages(request, session),
        "sections": _sections(request, shown, keys),
    }


def _listed(model: str, term: str) -> str:
    return f"{reverse(f'admin:{model}_changelist')}?{urlencode({'q': term})}"


def _messages(request: HttpRequest, session: Session) -> str:
    if not request.user.has_perm("record.view_message"):
        return ""
    return f"{reverse('messages')}?{urlencode({'object': session.session_id})}"


# --- Tiles ----------------------------------------------------------------------------------------


def _tiles(shown: "_Shown") -> Iterable[Tile]:
    known, cost, saving = shown.known, shown.cost, shown.saving
    asked = known.preferences
    current = next((one for one in shown.assignments if one.ended_at is None), None)
    yield Tile(
        "Flexibility provider",
        current.label if current else "nobody",
        current.reason if current else "the first whose profile the CPO accepts",
    )
    kwh = shown.session.kwh
    charged = "not told" if kwh is None else f"{kwh:.2f} kWh"
    need = asked.energy_need if asked else None
    wants = f"{asked.profile_type.lower()}: " if asked and asked.profile_type else ""
    yield Tile(
        "Charged",
        charged,
        f"{wants}{need.normalize():f} kWh needed" if need is not None else "no need was told",
    )
    departure = asked.departure_time if asked else None
    yield Tile(
        "Departure (UTC)",
        "not told" if departure is None else f"{departure:%d %b %H:%M}",
        cpo_said(asked) if asked else "no preferences have come",
    )
    yield _limit_now(known)
    yield _proof(shown.effects)
    yield Tile(
        "Cost without VAT",
        money(cost.told_by_cpo, cost.currency) or money(cost.by_tariff, cost.currency) or "unknown",
        f"{money(saving.amount, saving.currency)} saved against uncontrolled"
        if saving.amount is not None
        else saving.why or "",
    )


def _limit_now(known: Facts) -> Tile:
    """Pushed against active, at this moment."""
    moment = known.by_cpo(known.now)
    last = known.set[-1] if known.set else None
    pushed = None
    if last is not None and last.profile is not None and last.until is None:
        pushed = _rate(last.profile.at(moment), last.profile.unit)
    seen = known.latest
    told = None if seen is None else _rate(seen.profile.at(moment), seen.profile.unit)
    said = "" if seen is None else format_html(" ({})", ago(seen.observed_at))
    return Tile(
        "Last limit" if known.is_over else "Limit now",
        f"{pushed} pushed" if pushed else "nothing pushed",
        format_html("{} active{}", told, said) if told else "no active profile is known",
    )


def _rate(value: Any, unit: str) -> str | None:
    if value is None:
        return None
    return f"{float(value) / 1000:g} kW" if unit == "W" else f"{float(value):g} A"


def _proof(effects: Sequence[Effected]) -> Tile:
    """Of the profile that was accepted last."""
    if not effects:
        return Tile("Proof of effect", "none yet", "the CPO has accepted no profile")
    last = effects[0]
    why = "; ".join(filter(None, [last.verdict.because, last.verdict.limited_by]))
    return Tile("Proof of effect", effect_badge(last), why)


# --- Sections -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the sections are made of."""

    session: Session
    known: Facts
    effects: Sequence[Effected]
    assignments: Sequence[FspAssignment]
    cost: Cost
    saving: Saving


# In the order of the page: a key, the permission that it asks for, and what makes it.
_Maker = Callable[[_Shown], Section | None]


def _sections(request: HttpRequest, shown: _Shown, keys: Container[str] | None) -> list[Section]:
    """Those that the user may see, and where `keys` are given of those alone."""
    made = (
        make(shown)
        for key, permission, make in _MAKERS
        if (keys is None or key in keys) and (not permission or request.user.has_perm(permission))
    )
    return [section for section in made if section is not None]


def _effects(shown: _Shown) -> Section:
    number = len(shown.effects)
    return Section("effect", "Proof of effect", effect_table(shown.effects), f"{number} profiles")


def _bounds(shown: _Shown) -> Section:
    found = bounds.derive(shown.known)
    odd = f", {len(found.anomalies)} contradictions" if found.anomalies else ""
    return Section("bounds", "Bounds", bounds_table(found), f"{len(found.bounds)} known{odd}")


def _coverage(shown: _Shown) -> Section:
    covered = coverage.of(shown.session, shown.known)
    return Section("coverage", "Data coverage", coverage_table(covered), _share(covered))


def _costs(shown: _Shown) -> Section:
    return Section("cost", "Cost and saving", cost_table(shown.cost, shown.saving))


def _document(shown: _Shown) -> Section:
    body = pretty(shown.session.document) or "It is not kept any more."
    return Section("document", "Document", body)


def _share(covered: Sequence[Covered]) -> str:
    told = sum(
        one.known is not Known.NOT_TOLD and one.known is not Known.NOT_CARRIED for one in covered
    )
    return f"{told} of {len(covered)} data objects are known"


def _preferences(shown: _Shown) -> Section:
    session = shown.session
    rows = [
        (
            local(one.received_at),
            one.profile_type or None,
            local(one.departure_time),
            None if one.energy_need is None else f"{one.energy_need.normalize():f}",
            {True: "yes", False: "no", None: None}[one.discharge_allowed],
            cpo_said(one),
            _exchange(one.correlation_id),
        )
        for one in PreferenceCopy.objects.filter(session=session).order_by("-received_at")[:_MOST]
    ]
    heads_ = (
        *("received (UTC)", "profile type", "departure (UTC)", "energy need (kWh)"),
        *("may discharge", "CPO's answer", "messages"),
    )
    body = table(heads_, rows, "The driver has told nothing yet.") + told_by_app(session)
    return Section("preferences", "Preferences", body, f"told {len(rows)} times" if rows else "")


def _fsps(shown: _Shown) -> Section:
    rows = [
        (
            str(one.epoch),
            one.label,
            one.reason,
            local(one.started_at),
            time_between(one.started_at, one.ended_at) or "acts",
            one.end_reason,
        )
        for one in shown.assignments
    ]
    heads_ = ("epoch", "FSP", "chosen because", "from (UTC)", "for", "ended because")
    body = table(heads_, rows, "Nobody has been FSP yet.") + why_fsp(shown.session)
    return Section("fsp", "Flexibility providers, and why", body, f"{len(rows)} so far")


def _switches(shown: _Shown) -> Section | None:
    session = shown.session
    switches = FspSwitch.objects.filter(session=session).order_by("-pk").prefetch_related("steps")
    rows = [
        (
            local(one.since),
            one.former,
            one.new,
            one.because,
            step_badge(one),
            steps_of(one),
        )
        for one in switches[:20]
    ]
    left_out = [
        (local(one.since), f"{one.fsp_country_code}-{one.fsp_party_id}", one.why, local(one.until))
        for one in FspFailure.objects.filter(session=session).order_by("-since")[:20]
    ]
    if not rows and not left_out:
        return None
    heads_ = ("since (UTC)", "former", "new", "because", "step", "steps")
    body = table(heads_, rows, "There was no switch.")
    if left_out:
        body += table(("since (UTC)", "left out of the choice", "why", "until"), left_out, "")
    return Section("switches", "Switches of FSP", body, f"{len(rows)}")


def _hub_commands(shown: _Shown) -> Section:
    wishes = HubCommand.objects.filter(session=shown.session).select_related("command")
    rows = [
        (
            local(one.asked_at),
            one.wish,
            one.why,
            wish_badge(one),
            request_badge(one),
            str(one.attempts),
            one.outcome,
        )
        for one in wishes.order_by("-asked_at")[:20]
    ]
    heads_ = ("asked (UTC)", "wish", "why", "step", "request", "attempts", "outcome")
    body = table(heads_, rows, "The hub itself has asked or released nothing.")
    return Section("hub-commands", "Commands of the hub's own", body, str(len(rows) or ""))


def _journal(shown: _Shown) -> Section:
    rows = [
        (local(one.written_at), one.topic, one.reason)
        for one in JournalEntry.objects.filter(session=shown.session).order_by("-id")[:_MOST]
    ]
    body = table(("at (UTC)", "topic", "what"), rows, "Nothing has happened yet.")
    return Section("journal", "What happened to its flexibility", body, str(len(rows) or ""))


def _bills(shown: _Shown) -> Section | None:
    """Where the CDR has the id of its session, as most do."""
    session = shown.session
    if not session.is_over:
        return None
    found = Cdr.at(session.owner, session.emsp, session.session_id)
    rows = [
        (
            format_html(
                '<a href="{}">{}</a>',
                reverse("admin:ocpi_cdrs_cdr_change", args=[one.pk]),
                one.object_id,
            ),
            local(one.last_updated),
            f"HTTP {one.answer_status}",
        )
        for one in ([] if found is None else [found])
    ]
    body = table(("CDR", "last updated (UTC)", "eMSP's answer"), rows, "No CDR of it has come yet.")
    return Section("cdrs", "CDRs", body, str(len(rows) or ""))


def _came(shown: _Shown) -> Section:
    session, known = shown.session, shown.known
    rows = [
        ("last updated by the CPO", local(session.last_updated)),
        ("received", local(session.received_at)),
        ("first known", local(session.created_at)),
        ("sent to", ", ".join(session.sent_to)),
        ("not answered by", session.unanswered_by),
        ("type of the token", session.token_type),
        ("connector", heads.text(known.document.get("connector_id"))),
        ("active profile", age_of_active(known.latest) or "none is known"),
    ]
    return Section("came", "How it came", table(("", "value (times in UTC)"), rows, ""))


def _exchange(correlation_id: str) -> SafeString:
    return format_html(
        '<a href="{}?{}">exchange</a>',
        reverse("exchange"),
        urlencode({"correlation_id": correlation_id}),
    )


_MAKERS: Final[tuple[tuple[str, str, _Maker], ...]] = (
    ("effect", "", _effects),
    ("preferences", "flex.view_preferencecopy", _preferences),
    ("fsp", "flex.view_fspassignment", _fsps),
    ("switches", "flex_switching.view_fspswitch", _switches),
    ("hub-commands", "flex_life.view_hubcommand", _hub_commands),
    ("bounds", "", _bounds),
    ("coverage", "", _coverage),
    ("cost", "", _costs),
    ("journal", "flex.view_journalentry", _journal),
    ("cdrs", "ocpi_cdrs.view_cdr", _bills),
    ("came", "", _came),
    ("document", "", _document),
)
