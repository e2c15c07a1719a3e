"""Charging sessions as the hub keeps them, with everything that hangs on them (mod_sessions)."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString

from flex.choice import PARTY_KINDS, FspKind
from flex.models import FspAssignment, PreferenceCopy
from hub.console.access import scope
from hub.console.dialogs import back
from hub.console.documents import pretty
from hub.console.flexibility import SET_FSP, FspRows, JournalRows, set_by_operator, why
from hub.console.hub_commands import HubCommandRows, age_of_active
from hub.console.knowledge import bounds_table, coverage_table, effect_table
from hub.console.objects import amount
from hub.console.plans import PreparedRows, WishRows, cost_table, plan_table
from hub.console.preferences import cpo_said
from hub.console.profile_commands import CommandRows
from hub.console.switches import FailureRows, SwitchRows
from hub.console.tables import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    ReadOnlyRows,
    ReadOnlyTable,
    action,
    ago,
    badge,
    column,
    local,
)
from sessions.models import Session
from sessions.objects import OVER, SessionStatus

STATUS_COLOURS: dict[str, str] = {
    SessionStatus.ACTIVE: GREEN,
    SessionStatus.PENDING: BLUE,
    SessionStatus.RESERVATION: AMBER,
    SessionStatus.COMPLETED: GREY,
    SessionStatus.INVALID: RED,
}


class PreferenceRows(ReadOnlyRows):
    """The preferences of the driver."""

    model = PreferenceCopy
    fields = ("profile_type", "departure_time", "energy_need", "cpo", "received_at")
    readonly_fields = ("cpo",)
    ordering = ("-received_at",)

    @column("CPO's answer")
    def cpo(self, preferences: PreferenceCopy) -> SafeString:
        return cpo_said(preferences)


@admin.register(Session)
class SessionAdmin(ReadOnlyTable):
    """One row a session."""

    list_display = (
        "session_id",
        "status_",
        "cpo",
        "emsp_",
        "kwh",
        "departure_",
        "fsp_",
        "location_id",
        "updated",
    )
    list_filter = ("status", "party_id", "emsp_party_id", "last_updated")
    search_fields = ("session_id", "party_id", "emsp_party_id", "location_id", "evse_uid")
    search_help_text = "Session id, party id, location id or EVSE uid"
    ordering = ("-last_updated", "-id")
    inlines = (
        *(PreferenceRows, WishRows, PreparedRows, FspRows, SwitchRows, FailureRows),
        *(CommandRows, HubCommandRows, JournalRows),
    )
    actions_detail = ("set_fsp",)
    fieldsets = (
        (None, {"fields": ("session_id", "status_", "cpo", "emsp_", "kwh", "departure_", "fsp_")}),
        ("Where", {"fields": ("location_id", "evse_uid")}),
        ("Active profile", {"fields": ("known_",)}),
        (
            "How it came",
            {
                "fields": (
                    *("last_updated", "received_at", "created_at"),
                    *("sent_to", "unanswered_by", "token_type"),
                )
            },
        ),
        ("Who is FSP, and why", {"fields": ("why_",)}),
        ("Bounds", {"fields": ("bounds_",)}),
        ("Effect", {"fields": ("effect_",)}),
        ("Plan against price", {"fields": ("plan_",)}),
        ("Cost and saving", {"fields": ("cost_",)}),
        ("Data coverage", {"fields": ("coverage_",)}),
        ("Document", {"fields": ("document_",)}),
    )
    readonly_fields = (
        *("status_", "cpo", "emsp_", "kwh", "departure_", "fsp_", "why_", "known_", "document_"),
        *("bounds_", "effect_", "coverage_", "plan_", "cost_"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        """With the latest preferences and the open assignment, in the one query."""
        latest = PreferenceCopy.objects.filter(session=OuterRef("pk")).order_by("-received_at")
        acting = FspAssignment.objects.filter(session=OuterRef("pk"), ended_at__isnull=True)
        return scope.rows(request.user, Session.objects.all()).annotate(
            departure=Subquery(latest.values("departure_time")[:1]),
            fsp_kind=Subquery(acting.values("kind")[:1]),
            fsp_country_code=Subquery(acting.values("fsp_country_code")[:1]),
            fsp_party_id=Subquery(acting.values("fsp_party_id")[:1]),
        )

    @column("status", ordering="status")
    def status_(self, session: Session) -> SafeString:
        if not session.is_accepted:
            return badge("not accepted", GREY)
        return badge(session.status or "?", STATUS_COLOURS.get(session.status, GREY))

    @column("CPO", ordering="party_id")
    def cpo(self, session: Session) -> str:
        """The CPO of the session."""
        return str(session.owner)

    @column("eMSP", ordering="emsp_party_id")
    def emsp_(self, session: Session) -> str:
        """The eMSP of the driver."""
        return str(session.emsp)

    @column("energy (kWh)")
    def kwh(self, session: Session) -> str:
        """Charged until now, as far as its document can be read."""
        return amount(session.kwh)

    @column("departure", ordering="departure")
    def departure_(self, session: Session) -> str | None:
        """The departure time of the latest preferences."""
        return local(getattr(session, "departure", None))

    @column("FSP", ordering="fsp_party_id")
    def fsp_(self, session: Session) -> str | None:
        """The FSP of the session now."""
        kind = getattr(session, "fsp_kind", None)
        if kind is None:
            return None
        if kind not in PARTY_KINDS:
            return str(FspKind(kind).label)
        return "-".join(getattr(session, f"fsp_{part}") for part in ("country_code", "party_id"))

    @column("last updated", ordering="last_updated")
    def updated(self, session: Session) -> SafeString | None:
        """How long ago it was updated, by the CPO's clock."""
        return ago(session.last_updated)

    @column("known of it")
    def known_(self, session: Session) -> str | None:
        """How old that is, and by what message it came."""
        return age_of_active(session)

    @column("bounds")
    def bounds_(self, session: Session) -> SafeString:
        """What limits EV, EVSE and site, as far as it was told."""
        return bounds_table(session)

    @column("effect")
    def effect_(self, session: Session) -> SafeString:
        """What each accepted profile has done."""
        return effect_table(session)

    @column("data coverage")
    def coverage_(self, session: Session) -> SafeString:
        """Each data object of SCALE D2.3, 8.4.1.1 and 11.1."""
        return coverage_table(session)

    @column("plan")
    def plan_(self, session: Session) -> SafeString:
        """Against the price of each quarter of an hour."""
        return plan_table(session)

    @column("cost")
    def cost_(self, session: Session) -> SafeString:
        """Until now, and what was saved."""
        return cost_table(session)

    @column("document")
    def document_(self, session: Session) -> SafeString | None:
        """Whole; what identifies the driver is masked."""
        return pretty(session.document)

    @column("words")
    def why_(self, session: Session) -> SafeString:
        return why(session)

    # --- Setting the FSP ------------------------------------------------------------------------

    def has_set_fsp_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Who may write agreements; of a session that is not over."""
        return request.user.has_perm("flex.add_flexagreement") and (
            object_id is None
            or Session.objects.filter(pk=object_id).exclude(status__in=OVER).exists()
        )

    @action("Set FSP", permissions=["set_fsp"], icon="swap_horiz", dialog=SET_FSP)
    def set_fsp(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """The operator's word on this session."""
        session = get_object_or_404(Session, pk=object_id)
        who = form.cleaned_data["who"]
        if set_by_operator(request, session, who):
            self.log_change(request, session, f"Set FSP: {who}.")
        return back(request, reverse("admin:ocpi_sessions_session_change", args=[session.pk]))
