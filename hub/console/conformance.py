"""Conformance checks: what each said, and the button that starts one (hub/conformance)."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldBooleanWidget

from hub.conformance.check import queue
from hub.conformance.met_in_practice import Noted
from hub.conformance.models import ConformanceCheck
from hub.console.access import scope
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
    duration,
)
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import VERSION
from party.check.findings import Outcome


class CheckForm(BaseDialogForm):  # type: ignore[misc]  # unfold has no types
    """How far a check may go."""

    push = forms.BooleanField(
        label="Push test objects too",
        required=False,
        help_text="Marked HUB-CHECK; and ask a charge point for its profile. Tell the party first.",
        widget=UnfoldBooleanWidget(),
    )


DIALOG = {
    "title": f"Check this party against OCPI {VERSION}?",
    "description": "The hub reads the party's versions and lists, and asks for what does not "
    "exist. It takes some seconds, and changes nothing there.",
    "form_submit_text": "Check",
    "form_class": CheckForm,
}


def start(party: PartyId, form: forms.Form) -> str:
    """Queue a check; returns the address of its page."""
    check = queue(party, push=form.cleaned_data["push"])
    return reverse("admin:conformance_conformancecheck_change", args=[check.pk])


def latest(party: PartyId) -> SafeString | None:
    """The last check of a party, with its time, leading to its page."""
    check = ConformanceCheck.of(party).defer("findings").first()
    if check is None:
        return None
    address = reverse("admin:conformance_conformancecheck_change", args=[check.pk])
    return format_html('<a href="{}">{}</a> {}', address, verdict(check), ago(check.created_at))


def verdict(check: ConformanceCheck) -> SafeString:
    """Green when nothing failed."""
    if check.problem:
        return badge(check.problem, AMBER)
    if check.ended_at is None:
        return badge(check.summary, BLUE)
    return badge(check.summary, RED if check.failed else GREEN if check.passed else GREY)


@admin.register(ConformanceCheck)
class ConformanceCheckAdmin(ReadOnlyTable):
    """One row a check."""

    list_display = ("party_", "verdict_", "age", "took", "with_pushes")
    list_filter = ("created_at",)
    search_fields = ("country_code", "party_id", "platform__name")
    search_help_text = "Country code, party id or name of the platform"
    ordering = ("-created_at", "-id")
    list_select_related = ("platform",)
    fieldsets = ((None, {"fields": ("party_", "platform", "created_at", "with_pushes")}),)
    readonly_fields = ("party_", "with_pushes")
    change_form_after_template = "console/check.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        """Lists do not need what was found."""
        return super().get_queryset(request).defer("findings")

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: ConformanceCheck | None = None,
    ) -> HttpResponse:
        """With the findings: what failed first."""
        if obj is not None:
            context |= groups(obj, whole=scope.sees_platform(request.user, obj.platform_id))
            if not request.user.has_perm("hub.view_platform"):
                context["platform_page"] = ""
        response: HttpResponse = super().render_change_form(
            request, context, add, change, form_url, obj
        )
        return response

    @column("party", ordering="party_id")
    def party_(self, check: ConformanceCheck) -> str:
        return str(check.identity)

    @column("found", ordering="failed")
    def verdict_(self, check: ConformanceCheck) -> SafeString:
        return verdict(check)

    @column("when", ordering="created_at")
    def age(self, check: ConformanceCheck) -> SafeString | None:
        return ago(check.created_at)

    @column("took")
    def took(self, check: ConformanceCheck) -> str | None:
        """The seconds from beginning to end."""
        if check.began_at is None or check.ended_at is None:
            return None
        return duration(check.ended_at - check.began_at)

    @column("test objects", ordering="is_pushing")
    def with_pushes(self, check: ConformanceCheck) -> str:
        """Whether it may push."""
        return "pushed" if check.is_pushing else "none"


def groups(check: ConformanceCheck, *, whole: bool) -> dict[str, Any]:
    """The context of console/check.html; not `whole`: without what is told of the platform."""
    found = check.all_findings
    noted = Noted.of(check.platform_id) if whole else Noted([], [], [])
    return {
        "check": check,
        "verdict": verdict(check),
        "is_running": check.ended_at is None,
        "noted": noted.deviations,
        "left_out": (
            ("Left out for platforms that want no deviations", list(noted.lines_for_others())),
            ("Left out for it, which wants no deviations", list(noted.lines_for_it())),
        ),
        "platform_page": reverse("admin:hub_platform_change", args=[check.platform_id]),
        "failed": [one for one in found if one.outcome is Outcome.FAILED],
        "others": [one for one in found if one.outcome is not Outcome.FAILED],
    }
