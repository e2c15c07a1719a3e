"""Switches of FSP with their steps, those that need an operator, and what CPOs keep (0036)."""

from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from flex.switching.models import CpoSlots, FspSwitch
from flex.switching.steps import Step
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
)
from hub.db import leases

STEP_COLOURS: Final = {
    Step.GIVEN: BLUE,
    Step.ASKED: BLUE,
    Step.CLEARING: BLUE,
    Step.RELEASING: BLUE,
    Step.DONE: GREEN,
    Step.OVER: GREY,
    Step.FOLLOWED: GREY,
    Step.ATTENTION: RED,
}


def step_badge(switch: FspSwitch) -> SafeString:
    """Red needs the operator; amber goes on, but not as it should."""
    step = Step(switch.step)
    told = switch.needs_attention and step != Step.ATTENTION
    return badge(step.value, AMBER if told else STEP_COLOURS[step], switch.get_step_display())


def steps_of(switch: FspSwitch) -> SafeString:
    """Each step with its time and reason, one a line."""
    lines = [(f"{one.at:%H:%M:%S}", one.step, one.why) for one in switch.steps.order_by("pk")]
    return format_html_join(mark_safe("<br>"), "{} {}: {}", lines)


@admin.register(FspSwitch)
class FspSwitchAdmin(ReadOnlyTable):
    """One row a change of FSP; those that need attention are a filter."""

    list_display = ("session", "former", "new", "step_", "why", "age")
    list_filter = ("needs_attention", "step")
    search_fields = ("session__session_id", "former", "new")
    search_help_text = "Session id, or party of the former or new FSP"
    list_select_related = ("session",)
    ordering = ("-since", "-id")
    fields = (
        *("session", "former", "new", "epoch", "because", "step_", "steps_", "since", "ended_at"),
        *("ask", "clear", "release"),
    )
    readonly_fields = ("step_", "steps_")

    @column("step", ordering="step")
    def step_(self, switch: FspSwitch) -> SafeString:
        return step_badge(switch)

    @column("steps")
    def steps_(self, switch: FspSwitch) -> SafeString:
        return steps_of(switch)

    @column("began", ordering="since")
    def age(self, switch: FspSwitch) -> SafeString | None:
        """How long ago the FSP has changed."""
        return ago(switch.since)


@admin.register(CpoSlots)
class CpoSlotsAdmin(ReadOnlyTable):
    """One row a CPO; the operator's word comes before what was learned."""

    list_display = ("cpo", "slots_", "told", "one_seen", "per_sender_seen", "evidence")
    search_fields = ("party_id",)
    search_help_text = "Party id of the CPO"
    ordering = ("country_code", "party_id")
    fields = ("cpo", "slots_", "told", "one_seen", "per_sender_seen", "evidence", "changed_at")
    readonly_fields = ("cpo", "slots_", "one_seen", "per_sender_seen", "evidence", "changed_at")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For the operator's word: the rest is read only."""
        return request.user.has_perm("flex_switching.change_cposlots")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Of a CPO of which nothing was learned."""
        return request.user.has_perm("flex_switching.add_cposlots")

    def get_fields(self, request: HttpRequest, obj: CpoSlots | None = None) -> tuple[str, ...]:
        """A new row names its CPO."""
        return ("country_code", "party_id", "told") if obj is None else self.fields

    def save_model(self, request: HttpRequest, obj: CpoSlots, form: Any, change: bool) -> None:
        """The word alone: the numbers are written by others meanwhile."""
        obj.changed_at = leases.now()
        obj.save(update_fields=["told", "changed_at"] if change else None)
        obj.go_on()

    @column("CPO", ordering="party_id")
    def cpo(self, slots: CpoSlots) -> str:
        """Whose sessions they are."""
        return str(slots.cpo)

    @column("keeps")
    def slots_(self, slots: CpoSlots) -> str:
        """What counts."""
        return slots.slots.value.replace("_", " ").lower()
