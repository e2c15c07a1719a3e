"""Alerts: what was found and who was told, the rules, and the targets with their test button."""

from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from hub.console.dialogs import back, dialog
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
    duration,
    local,
)
from hub.monitoring.alerts import channels, settling
from hub.monitoring.alerts.models import Alert, Channel, Notice, Rule, Severity, Target
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.party import PartyId


def state_badge(alert: Alert) -> SafeString:
    """Firing until somebody was told, then told, then over."""
    if alert.is_over:
        return badge("over", GREY)
    colour = RED if alert.rule.severity == Severity.CRITICAL else AMBER
    is_told = any(notice.told_at for notice in alert.notices.all())
    return badge("told" if is_told else "firing", colour, "it goes on")


class OpenFilter(admin.SimpleListFilter):
    """Those that go on, or those that are over."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "goes on"), ("over", "over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        """By whether they have an end."""
        if self.value() is None:
            return queryset
        return queryset.filter(ended_at__isnull=self.value() == "open")


@admin.register(Alert)
class AlertAdmin(ReadOnlyTable):
    """One row a thing that was found, the newest first."""

    list_display = ("summary", "state_", "rule", "began", "lasted")
    list_filter = (OpenFilter, "rule__kind", "rule__severity")
    list_select_related = ("rule",)
    search_fields = ("summary", "subject")
    ordering = ("-began_at", "-id")
    fields = ("summary", "state_", "rule", "subject", "began", "lasted", "told")
    readonly_fields = ("state_", "began", "lasted", "told")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        """With the messages of each: whether somebody was told."""
        found: QuerySet[Alert] = super().get_queryset(request)
        return found.prefetch_related("notices__target")

    @column("state")
    def state_(self, alert: Alert) -> SafeString:
        return state_badge(alert)

    @column("began", ordering="began_at")
    def began(self, alert: Alert) -> SafeString | None:
        return ago(alert.began_at)

    @column("lasted")
    def lasted(self, alert: Alert) -> str:
        """Until its end, or so far."""
        if alert.ended_at is None:
            return "goes on"
        return duration(alert.ended_at - alert.began_at)

    @column("told")
    def told(self, alert: Alert) -> SafeString | str:
        """A line for each message: to whom, what, when, or why not yet."""
        lines = [(f"{notice.target}: {_notice(notice)}",) for notice in alert.notices.all()]
        if not lines:
            return "There was no target to tell."
        return format_html_join(mark_safe("<br>"), "{}", sorted(lines))


def _notice(notice: Notice) -> str:
    what = f"that it {notice.event.lower()}"
    if notice.withdrawn:
        return f"{what}, not told. {notice.withdrawn}"
    if notice.told_at is None:
        return f"{what}, waits. {notice.target.problem}".strip()
    return f"{what}, told at {local(notice.told_at)} UTC"


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A rule, with a party that is spelt as one."""

    class Meta:
        model = Rule
        fields = (
            *("name", "kind", "limit", "severity", "party", "ends_after", "is_on", "targets"),
        )

    def clean_party(self) -> str:
        """NL-ABC; it need not be here yet."""
        text = self.cleaned_data["party"].strip()
        try:
            return str(PartyId.parse(text)) if text else ""
        except ValueError as error:
            raise forms.ValidationError(f"{text!r} is not of the form NL-ABC.") from error

    def clean_limit(self) -> float:
        """A number that a time can be told by."""
        limit: float = self.cleaned_data["limit"]
        try:
            settling.check_limit(limit)
        except InvalidParameters as error:
            raise forms.ValidationError(error.message) from error
        return limit


@admin.register(Rule)
class RuleAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """What is worth telling somebody, and whom."""

    form = RuleForm
    list_display = ("name", "kind", "limit_", "severity_", "told_to", "on_")
    list_filter = ("kind", "is_on")
    list_filter_sheet = False
    ordering = ("kind", "name")
    filter_horizontal = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        """With the targets of each."""
        found: QuerySet[Rule] = super().get_queryset(request)
        return found.prefetch_related("targets")

    @column("limit", ordering="limit")
    def limit_(self, rule: Rule) -> str:
        return f"{rule.limit:g}"

    @column("severity", ordering="severity")
    def severity_(self, rule: Rule) -> SafeString:
        return badge(rule.severity, RED if rule.severity == Severity.CRITICAL else AMBER)

    @column("told to")
    def told_to(self, rule: Rule) -> str:
        """Nobody chosen is everybody."""
        return ", ".join(sorted(target.name for target in rule.targets.all())) or "everybody"

    @column("on", ordering="is_on")
    def on_(self, rule: Rule) -> SafeString:
        return badge("on", GREEN) if rule.is_on else badge("off", GREY)


class TargetForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A target; its address is not shown again, since a webhook's URL may be a key."""

    address = forms.CharField(
        required=False,
        max_length=2000,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="The URL of a webhook, or an e-mail address. Empty: the one that is kept.",
    )

    class Meta:
        model = Target
        fields = ("name", "channel", "is_on", "quiet_from", "quiet_until", "time_zone")

    def clean_time_zone(self) -> str:
        """One that there is."""
        name: str = self.cleaned_data["time_zone"]
        if name not in available_timezones():
            raise forms.ValidationError("That is not a time zone such as Europe/Amsterdam.")
        return ZoneInfo(name).key

    def clean(self) -> dict[str, Any]:
        """An address that fits the channel; both ends of the quiet hours, or none."""
        cleaned = super().clean() or {}
        if (cleaned.get("quiet_from") is None) != (cleaned.get("quiet_until") is None):
            self.add_error("quiet_until", "Quiet hours have a beginning and an end.")
        address = cleaned.get("address", "").strip()
        is_changed = "channel" in self.changed_data
        if not address and (is_changed or not self.instance.address_encrypted):
            self.add_error("address", "Say where it is told.")
        elif address and "channel" in cleaned:
            try:
                channels.check_address(Channel(cleaned["channel"]), address)
            except InvalidParameters as error:
                self.add_error("address", error.message)
        return cleaned


@admin.register(Target)
class TargetAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Who is told, and how that went last."""

    form = TargetForm
    list_display = ("name", "channel", "address_", "quiet", "last_told", "state_")
    list_filter = ("channel", "is_on")
    list_filter_sheet = False
    ordering = ("name",)
    actions_detail = ("test",)
    fieldsets = (
        (None, {"fields": ("name", "channel", "address", "address_", "is_on")}),
        ("Quiet hours", {"fields": ("quiet_from", "quiet_until", "time_zone")}),
        ("What became of it", {"fields": ("state_", "last_told", "problem_", "secret_")}),
    )
    readonly_fields = ("address_", "state_", "last_told", "problem_", "secret_")

    @column("kept address")
    def address_(self, target: Target) -> str | None:
        """Its host alone."""
        return target.shown_address if target.address_encrypted else None

    @column("quiet hours")
    def quiet(self, target: Target) -> str | None:
        if target.quiet_from is None or target.quiet_until is None:
            return None
        return f"{target.quiet_from:%H:%M} to {target.quiet_until:%H:%M} {target.time_zone}"

    @column("last told", ordering="told_at")
    def last_told(self, target: Target) -> SafeString | None:
        return ago(target.told_at)

    @column("state")
    def state_(self, target: Target) -> SafeString:
        if not target.is_on:
            return badge("off", GREY)
        if target.problem:
            return badge("not reached", RED, target.problem)
        return badge("reached", GREEN) if target.told_at else badge("not tried", BLUE)

    @column("problem")
    def problem_(self, target: Target) -> str | None:
        return target.problem or None

    @column("signed with")
    def secret_(self, target: Target) -> str | None:
        """For a webhook: what its receiver checks the signature with; only who may change it."""
        return target.secret or None

    def get_fieldsets(self, request: HttpRequest, obj: Target | None = None) -> Any:
        """A secret is for those who may change the target; a new one has nothing to tell yet."""
        if obj is None:
            return self.fieldsets[:2]
        if self.has_change_permission(request, obj):
            return self.fieldsets
        name, options = self.fieldsets[2]
        hidden = tuple(field for field in options["fields"] if field != "secret_")
        return (*self.fieldsets[:2], (name, {"fields": hidden}))

    def save_model(self, request: HttpRequest, obj: Target, form: Any, change: Any) -> None:
        """The address is kept encrypted; a webhook gets a secret of its own."""
        settling.keep(obj, form.cleaned_data["address"].strip())

    def has_test_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("alerts.change_target")

    @action(
        "Send a test",
        permissions=["test"],
        icon="send",
        dialog=dialog(
            "Send a test message?",
            "It says that it is a test. Quiet hours do not hold it back.",
            "Send",
        ),
    )
    def test(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Tell it something now, and say what came of it."""
        target = get_object_or_404(Target, pk=object_id)
        problem = settling.test(target)
        if problem:
            messages.error(request, f"{target} was not told: {problem}")
        else:
            messages.success(request, f"{target} has taken a test message.")
        return back(request, reverse("admin:alerts_target_change", args=[target.pk]))
