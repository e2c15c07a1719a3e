"""What drivers asked for, and who is flexibility provider of which session (SCALE D2.3, 11)."""

from django.contrib import admin
from django.utils.safestring import SafeString

from flex.models import FspAssignment, PreferenceCopy
from hub.console.documents import pretty
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
from hub.console.tables import span as time_between
from sessions.objects import ChargingPreferencesResponse


def cpo_said(preferences: PreferenceCopy) -> SafeString:
    """The CPO's word on preferences: a response, or an error code."""
    said = preferences.cpo_answer
    if said == ChargingPreferencesResponse.ACCEPTED:
        return badge(said, GREEN)
    if said:
        return badge(said.replace("_", " "), AMBER)
    code = f"HTTP {preferences.cpo_http_status}"
    if preferences.cpo_status_code is not None:
        code += f" OCPI {preferences.cpo_status_code}"
    return badge(code, RED if preferences.cpo_http_status >= 300 else AMBER)


@admin.register(PreferenceCopy)
class PreferenceAdmin(ReadOnlyTable):
    """Departure and energy need, with the CPO's answer."""

    list_display = (
        "session",
        "profile_type",
        "departure",
        "energy_need",
        "cpo",
        "received",
        "correlation_id",
    )
    list_filter = ("profile_type", "cpo_answer")
    list_select_related = ("session",)
    search_fields = ("session__session_id", "correlation_id")
    search_help_text = "Session id or correlation id"
    ordering = ("-received_at",)
    fieldsets = (
        (None, {"fields": ("session", "received_at", "correlation_id")}),
        (
            "What the driver asked",
            {
                "fields": (
                    "profile_type",
                    "departure_time",
                    "energy_need",
                    "discharge_allowed",
                    "kwh_at_receipt",
                )
            },
        ),
        ("What the CPO answered", {"fields": ("cpo", "cpo_http_status", "cpo_status_code")}),
        ("As sent", {"fields": ("document_",)}),
    )
    readonly_fields = ("cpo", "document_")

    @column("departure", ordering="departure_time")
    def departure(self, preferences: PreferenceCopy) -> str | None:
        """The departure time."""
        return local(preferences.departure_time)

    @column("CPO's answer", ordering="cpo_answer")
    def cpo(self, preferences: PreferenceCopy) -> SafeString:
        return cpo_said(preferences)

    @column("received", ordering="received_at")
    def received(self, preferences: PreferenceCopy) -> SafeString | None:
        return ago(preferences.received_at)

    @column("document")
    def document_(self, preferences: PreferenceCopy) -> SafeString | None:
        return pretty(preferences.document)


@admin.register(FspAssignment)
class FspAssignmentAdmin(ReadOnlyTable):
    """Who was FSP of a session, from when to when, and why."""

    list_display = ("session", "fsp_", "epoch", "state", "reason", "started", "lasted")
    list_filter = (("ended_at", admin.EmptyFieldListFilter), "kind", "fsp_party_id")
    list_select_related = ("session",)
    search_fields = ("session__session_id", "fsp_party_id", "reason")
    search_help_text = "Session id, party id or reason"
    ordering = ("-started_at",)
    fields = (
        *("session", "fsp_", "kind", "epoch", "reason"),
        *("started_at", "ended_at", "end_reason"),
    )
    readonly_fields = ("fsp_",)

    @column("FSP", ordering="fsp_party_id")
    def fsp_(self, assignment: FspAssignment) -> str:
        """The party, or what acts in its place."""
        return assignment.label

    @column("state", ordering="ended_at")
    def state(self, assignment: FspAssignment) -> SafeString:
        """Whether it is so now."""
        return badge("acts", BLUE) if assignment.ended_at is None else badge("ended", GREY)

    @column("started", ordering="started_at")
    def started(self, assignment: FspAssignment) -> SafeString | None:
        return ago(assignment.started_at)

    @column("for")
    def lasted(self, assignment: FspAssignment) -> str | None:
        """How long, once it has ended."""
        return time_between(assignment.started_at, assignment.ended_at)
