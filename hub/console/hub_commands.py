"""The hub's own commands to sessions, and what it has learned of CPOs (decision 0037)."""

from django.contrib import admin
from django.utils.safestring import SafeString

from charging_profiles.models import ProfileCommand
from flex.knowledge.active import Seen
from flex.life.models import HubCommand, NotTaken, Spacing, Step
from hub.console.profile_commands import state_badge
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

STEP_COLOURS = {
    Step.DUE: GREY,
    Step.AT_CPO: BLUE,
    Step.VERIFYING: BLUE,
    Step.DONE: GREEN,
    Step.FAILED: RED,
}


def step_badge(wish: HubCommand) -> SafeString:
    """Red is given up, amber goes on but the operator has been told of it."""
    step = Step(wish.step)
    colour = AMBER if wish.is_told and step != Step.FAILED else STEP_COLOURS[step]
    return badge(step.value.replace("_", " "), colour, str(step.label))


def request_badge(wish: HubCommand) -> SafeString | None:
    """What has become of the request that serves it now."""
    command: ProfileCommand | None = wish.command
    return None if command is None else state_badge(command)


@admin.register(HubCommand)
class HubCommandAdmin(ReadOnlyTable):
    """One row a wish of the hub's own."""

    list_display = ("wish", "session", "why", "step_", "command_", "attempts", "outcome", "age")
    list_filter = ("wish", "step", "is_told")
    search_fields = ("session__session_id", "session__party_id")
    search_help_text = "Session id, or party id of its CPO"
    list_select_related = ("session", "command")
    ordering = ("-asked_at", "-id")
    fields = (
        *("wish", "session", "why", "fsp_", "epoch", "step_", "attempts", "due_at", "since"),
        *("command", "command_", "refused_means", "verified_by", "outcome", "is_told"),
        *("asked_at", "ended_at"),
    )
    readonly_fields = ("fsp_", "step_", "command_")

    @column("step", ordering="step")
    def step_(self, wish: HubCommand) -> SafeString:
        return step_badge(wish)

    @column("request")
    def command_(self, wish: HubCommand) -> SafeString | None:
        return request_badge(wish)

    @column("in the name of")
    def fsp_(self, wish: HubCommand) -> str:
        """The FSP, in whose name the CPO is asked."""
        return str(wish.fsp)

    @column("asked", ordering="asked_at")
    def age(self, wish: HubCommand) -> SafeString | None:
        """How long ago it was wanted."""
        return ago(wish.asked_at)


@admin.register(Spacing)
class SpacingAdmin(ReadOnlyTable):
    """One row a CPO and kind of command."""

    list_display = ("cpo", "of", "within", "seconds_", "refusals", "refused")
    search_fields = ("party_id",)
    search_help_text = "Party id of the CPO"
    ordering = ("country_code", "party_id", "of")

    @column("CPO", ordering="party_id")
    def cpo(self, spacing: Spacing) -> str:
        """Who answers TOO_OFTEN."""
        return f"{spacing.country_code}-{spacing.party_id}"

    @column("seconds between two", ordering="seconds")
    def seconds_(self, spacing: Spacing) -> str:
        """What is learned: the hub's own GETs keep it."""
        return f"{spacing.seconds:.1f}"

    @column("last TOO_OFTEN", ordering="refused_at")
    def refused(self, spacing: Spacing) -> SafeString | None:
        """How long ago."""
        return ago(spacing.refused_at)


@admin.register(NotTaken)
class NotTakenAdmin(ReadOnlyTable):
    """One row a CPO, EVSE and method."""

    list_display = ("cpo", "evse_uid", "method", "why", "times", "first_at", "seen")
    list_filter = ("method", "why")
    search_fields = ("party_id", "evse_uid")
    search_help_text = "Party id of the CPO, or EVSE uid"
    ordering = ("country_code", "party_id", "evse_uid", "method")

    @column("CPO", ordering="party_id")
    def cpo(self, known: NotTaken) -> str:
        """Whose EVSE it is."""
        return f"{known.country_code}-{known.party_id}"

    @column("last seen", ordering="last_at")
    def seen(self, known: NotTaken) -> SafeString | None:
        """After a day the hub tries it again."""
        return ago(known.last_at)


def age_of_active(seen: Seen | None) -> str | None:
    """How old what is known of its active profile is, and whence; None: nothing is known."""
    if seen is None:
        return None
    seconds = max((leases.now() - seen.observed_at).total_seconds(), 0)
    by = f"GET of {seen.by}" if seen.source == "GET" else f"told to {seen.by} by the CPO"
    return f"{seconds:.0f} s old: {by}, correlation id {seen.correlation_id}"
