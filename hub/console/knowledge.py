"""What is known of a session, and the effect of profiles, as plain tables (SCALE D2.3, 8.4 and 11).

Computed when the page is opened, out of what the hub has been told (flex/knowledge).
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from django.contrib import admin
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from flex.knowledge import effect
from flex.knowledge.bounds import Bounds
from flex.knowledge.coverage import Covered, Known
from flex.knowledge.effect import Effected
from flex.knowledge.models import LABELS, ProfileEffect
from flex.knowledge.verdicts import Effect
from hub.console.tables import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    ReadOnlyTable,
    ago,
    badge,
    column,
    local,
)
from hub.ocpi.party import PartyId

_COLOURS: Final = {
    Effect.IN_FORCE: GREEN,
    Effect.LIMITED: AMBER,
    Effect.NOTHING: RED,
    Effect.UNKNOWN: GREY,
}
_KNOWN_COLOURS: Final = {
    Known.TOLD: GREEN,
    Known.BOUNDED: BLUE,
    Known.BY_EXTENSION: GREEN,
    Known.BY_APP: BLUE,
    Known.NOT_TOLD: AMBER,
    Known.NOT_CARRIED: GREY,
}


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], nothing: str) -> SafeString:
    """Rows under their heads; `nothing` is shown where there are none."""
    named = [list(zip(heads, row, strict=True)) for row in rows]
    return render_to_string(
        "console/rows.html", {"heads": heads, "rows": named, "nothing": nothing}
    )


def effect_badge(one: Effected) -> SafeString:
    """Green follows the profile, amber is limited, red does not follow, grey is not known."""
    return badge(one.label, _COLOURS[one.verdict.effect])


def bounds_table(found: Bounds) -> SafeString:
    """Bounds with their source and expiry, and what contradicts itself."""
    rows = [
        (
            one.quantity,
            one.kind,
            f"{one.value.normalize():f} {one.unit}",
            one.phases,
            f"{one.source}: {one.message}",
            ago(one.observed_at),
            local(one.valid_until),
        )
        for one in found.bounds
    ]
    contradictions = [
        (badge("contradiction", RED), "", one.sentence, None, "", ago(one.observed_at), None)
        for one in found.anomalies
    ]
    return table(
        ("quantity", "bound", "value", "phases", "source", "observed", "valid until"),
        [*rows, *contradictions],
        "Nothing that limits this session has been told.",
    )


def effect_table(found: Sequence[Effected]) -> SafeString:
    """Each accepted profile and what it has done, the last one first."""
    rows = [
        (
            effect_badge(one),
            one.verdict.because,
            one.verdict.limited_by,
            one.verdict.pause,
            one.fsp,
            one.correlation_id,
            ago(one.accepted_at),
            local(one.until),
        )
        for one in found
    ]
    return table(
        ("effect", "because", "limited by", "pause by", "FSP", "correlation", "accepted", "until"),
        rows,
        "The CPO has accepted no profile.",
    )


def coverage_table(found: Sequence[Covered]) -> SafeString:
    """Each data object of the deliverable's two lists."""
    rows = [
        (
            one.object.name,
            ", ".join(one.object.sections),
            badge(one.known, _KNOWN_COLOURS[one.known]),
            f"{one.value} {one.unit}".strip(),
            one.path,
            one.message,
            ago(one.told_at),
        )
        for one in found
    ]
    return table(
        ("data object", "SCALE D2.3", "known", "value", "field", "told by", "age"), rows, ""
    )


def known_share(cpo: PartyId) -> str | None:
    """Of how many accepted profiles of this CPO the effect is known; None where none is counted."""
    found = effect.known_share(cpo)
    if found.share is None:
        return None
    percent = Decimal(found.known * 100) / found.counted
    return f"{percent:.1f} % ({found.known} of {found.counted} in {effect.SHARE_DAYS} days)"


@admin.register(ProfileEffect)
class EffectAdmin(ReadOnlyTable):
    """One row an accepted profile; the share of a CPO stands beside its name."""

    list_display = (
        "session",
        "cpo",
        "effect_",
        "because",
        "limited_by",
        "pause",
        "accepted",
        "known_after",
    )
    list_filter = ("effect", "cpo", "accepted_at")
    search_fields = ("session__session_id", "cpo")
    search_help_text = "Session id or CPO"
    ordering = ("-accepted_at", "-pk")
    list_select_related = ("session",)
    fields = (
        *("session", "cpo", "share", "effect_", "because", "limited_by", "pause"),
        *("accepted_at", "known_at", "is_counted", "is_asked", "due_at"),
    )
    readonly_fields = ("share", "effect_")

    @column("effect", ordering="effect")
    def effect_(self, row: ProfileEffect) -> SafeString:
        found = Effect(row.effect)
        return badge(LABELS[found], _COLOURS[found])

    @column("accepted", ordering="accepted_at")
    def accepted(self, row: ProfileEffect) -> SafeString | None:
        """How long ago the CPO has accepted it."""
        return ago(row.accepted_at)

    @column("known after")
    def known_after(self, row: ProfileEffect) -> str | None:
        """From its acceptance to when its effect was first known."""
        if row.known_at is None:
            return None
        minutes = (row.known_at - row.accepted_at).total_seconds() / 60
        return f"{max(minutes, 0):.0f} min"

    @column("known of this CPO")
    def share(self, row: ProfileEffect) -> str | None:
        """The share of its CPO's profiles whose effect is known."""
        return known_share(PartyId.parse(row.cpo))
