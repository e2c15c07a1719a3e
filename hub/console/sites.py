"""Sites of CPOs: their members, their limit over time, and whether it is kept (flex/sites/)."""

from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.widgets import (
    UnfoldAdminSelect2Widget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from flex.sites import keeping
from flex.sites.models import Site, SiteLimit
from hub.console.agreements import parties_to_choose
from hub.console.tables import GREEN, GREY, RED, ago, badge, column
from hub.ocpi import lenient
from hub.ocpi.party import PartyId

UNITS: Final = ("W", "A")


class SiteForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A line for each member, and for each change of the limit."""

    cpo = forms.ChoiceField(label="CPO", widget=UnfoldAdminSelect2Widget())
    members_ = forms.CharField(
        label="Members",
        required=False,
        help_text="One a line: the id of a Location, or of a Location and an EVSE (LOC1 EVSE7).",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )
    watts = forms.CharField(
        label="Limit in W",
        required=False,
        help_text="One a line: from when on, and the limit (2026-03-01T00:00:00Z 50000, or none).",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )
    amperes = forms.CharField(
        label="Limit in A of each phase",
        required=False,
        help_text="Likewise. No W are made of it.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )

    class Meta:
        model = Site
        fields = ("name", "rejects_breaches")
        widgets = {
            "name": UnfoldAdminTextInputWidget(),
            "rejects_breaches": UnfoldBooleanSwitchWidget(),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["cpo"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - narrows for mypy
        kept = [self.instance.owner] if self.instance.pk else []
        field.choices = parties_to_choose("Select a CPO", *kept)
        if kept:
            field.initial, field.disabled = str(kept[0]), True
            self.fields["name"].disabled = True
            self.fields["members_"].initial = "\n".join(map(str, self.instance.members.all()))
            for unit, name in zip(UNITS, ("watts", "amperes"), strict=True):
                self.fields[name].initial = _told(self.instance, unit)

    def clean_members_(self) -> list[tuple[str, str]]:
        """Locations, or EVSEs of them."""
        found = []
        for line in self.cleaned_data["members_"].splitlines():
            words = line.split()
            if len(words) > 2 or any(len(word) > 36 for word in words):
                raise forms.ValidationError(f"This is no Location, or Location and EVSE: {line}")
            if words:
                found.append((words[0], words[1] if len(words) == 2 else ""))
        return found

    def clean_watts(self) -> list[dict[str, Any]]:
        """As they are kept."""
        return _periods(self.cleaned_data["watts"])

    def clean_amperes(self) -> list[dict[str, Any]]:
        """Likewise."""
        return _periods(self.cleaned_data["amperes"])

    def clean(self) -> dict[str, Any]:
        """A CPO has one site of a name."""
        cleaned = super().clean() or {}
        if not self.instance.pk and cleaned.get("cpo") and cleaned.get("name"):
            known = Site.of(PartyId.parse(cleaned["cpo"]))
            if known.filter(name__iexact=cleaned["name"]).exists():
                raise forms.ValidationError("This CPO has a site of this name: change it.")
        return cleaned

    def validate_constraints(self) -> None:
        """The row is written by flex/sites/keeping.py."""


def _told(site: Site, unit: str) -> str:
    limit = SiteLimit.objects.filter(site=site, unit=unit, is_current=True).first()
    periods = limit.periods if limit else []
    return "\n".join(
        f"{one['start']} {'none' if one['limit'] is None else format(one['limit'], '.10g')}"
        for one in periods
    )


def _periods(text: str) -> list[dict[str, Any]]:
    found = []
    for line in text.splitlines():
        start, _, limit = line.strip().partition(" ")
        moment, number = lenient.moment(start), lenient.number(limit.strip())
        if not start:
            continue
        if moment is None or (number is None and limit.strip() != "none"):
            raise forms.ValidationError(f"This is no time and limit: {line}")
        if number is not None and number < 0:
            raise forms.ValidationError("A limit is not below 0.")
        value = None if number is None else float(number)
        found.append({"start": moment.isoformat().replace("+00:00", "Z"), "limit": value})
    return sorted(found, key=lambda one: str(one["start"]))


@admin.register(Site)
class SiteAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """What a CPO sets with its key, an operator may set in its stead."""

    form = SiteForm
    fields = ("cpo", "name", "rejects_breaches", "members_", "watts", "amperes")
    list_display = ("name", "owner_", "members__", "limits_", "kept", "rejects_breaches", "looked")
    list_filter = ("party_id", "rejects_breaches")
    list_filter_sheet = False
    search_fields = ("name", "party_id", "members__location_id")
    search_help_text = "Name, party id or Location"
    ordering = ("country_code", "party_id", "name")
    actions: Any = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Site]:
        """With members and limits, each in one query."""
        current = SiteLimit.objects.filter(is_current=True).order_by("unit")
        rows: QuerySet[Site] = super().get_queryset(request)
        return rows.prefetch_related("members", Prefetch("limits", current))

    @column("CPO", ordering="party_id")
    def owner_(self, site: Site) -> str:
        return str(site.owner)

    @column("members")
    def members__(self, site: Site) -> str:
        """The first of them."""
        names = [str(one) for one in site.members.all()]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return ", ".join(names[:3]) + more

    @column("limits")
    def limits_(self, site: Site) -> str:
        """How many periods in which unit."""
        return ", ".join(map(str, site.limits.all()))

    @column("limit")
    def kept(self, site: Site) -> SafeString:
        """Whether what is in force keeps it."""
        if site.breach is not None:
            return badge("broken", RED, site.breach["in_words"])
        return badge("kept", GREEN) if site.limits.all() else badge("none", GREY)

    @column("looked at", ordering="looked_at")
    def looked(self, site: Site) -> SafeString | None:
        return ago(site.looked_at)

    def save_model(self, request: HttpRequest, obj: Site, form: Any, change: bool) -> None:
        """As its CPO would; the journals of its sessions say that it was the operator."""
        chosen = form.cleaned_data
        owner = obj.owner if change else PartyId.parse(chosen["cpo"])
        site, _ = keeping.put(
            owner, obj.name, chosen["members_"], rejects_breaches=obj.rejects_breaches
        )
        for unit, name in zip(UNITS, ("watts", "amperes"), strict=True):
            keeping.set_limits(site, unit, chosen[name], told_by="The operator")
        obj.pk, obj.country_code, obj.party_id = site.pk, site.country_code, site.party_id

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """There is nothing beside what was saved."""
