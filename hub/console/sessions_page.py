"""Charging sessions as the hub keeps them, with everything that hangs on them (mod_sessions)."""

from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from flex import hub_commands
from flex.choice import PARTY_KINDS, FspKind
from flex.models import FspAssignment, PreferenceCopy
from hub.console import session_view
from hub.console.access import scope
from hub.console.dialogs import back, dialog
from hub.console.flexibility import SET_FSP, set_by_operator
from hub.console.objects import amount
from hub.console.tables import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
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


RELEASE: Final = dialog(
    "Release this session to its full rate?",
    "The hub clears the profile in force at the CPO, or pushes the full rate where the CPO does "
    "not take that; it tries until the CPO has taken it, and verifies it. The flexibility provider "
    "stays and may push again: to keep it from that, set the FSP to nobody.",
    "Release",
)


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
    actions_detail = ("set_fsp", "release")
    change_form_template = "console/session.html"
    # The page has its own sections (session_view.py).
    fields = ()

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

    # --- The page of one session ------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page; `?live` is its part that changes, which the page asks for while it is open."""
        found = None
        if object_id and request.method == "GET":
            found = self.get_object(request, unquote(object_id))
        if found is None or not self.has_view_permission(request, found):
            return self._as_usual(request, object_id, form_url, extra_context)
        shown = session_view.context(request, found, self.status_(found))
        if "live" in request.GET:
            return TemplateResponse(request, "console/session_live.html", shown)
        extra = {**(extra_context or {}), **shown}
        return self._as_usual(request, object_id, form_url, extra)

    def _as_usual(self, request: HttpRequest, *of: Any) -> HttpResponse:
        response: HttpResponse = super().changeform_view(request, *of)
        return response

    # --- What an operator does -------------------------------------------------------------------

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

    def has_release_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """As to set the FSP."""
        return self.has_set_fsp_permission(request, object_id)

    @action("Release", permissions=["release"], icon="lock_open", dialog=RELEASE)
    def release(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """By a command of the hub's own."""
        session = get_object_or_404(Session, pk=object_id)
        wish = hub_commands.release(session, "an operator has asked for it at the console")
        self.log_change(request, session, "Released it to its full rate.")
        messages.success(request, f"The session is being released, in the name of {wish.fsp}.")
        return back(request, reverse("admin:ocpi_sessions_session_change", args=[session.pk]))
