"""Agreements: the operator's word on which parties may exchange what."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelect2Widget, UnfoldAdminSelectWidget

from flex.extensions import agreement_ended
from hub.console.tables import GREEN, RED, ago, badge, column
from hub.models import Agreement, Party
from hub.ocpi.extensions import AGREED_AS
from hub.ocpi.modules import ROUTES
from hub.ocpi.party import PartyId
from hub.parties import party_status


def parties_to_choose(empty: str, *kept: PartyId) -> list[tuple[str, str]]:
    """Every known party, and those that a row names already."""
    named: dict[str, list[str]] = {}
    for party in Party.objects.order_by("country_code", "party_id", "role"):
        named.setdefault(str(party.identity), [party.name]).append(party.role)
    for identity in kept:
        named.setdefault(str(identity), ["not known here"])
    return [
        ("", empty),
        *((who, f"{who}  {name} ({', '.join(roles)})") for who, (name, *roles) in named.items()),
    ]


def announce(pair: Iterable[PartyId]) -> None:
    """Tell both sides how they see each other now (mod_hub_client_info, Another Party becomes …).

    `last_updated` too, so that a GET with date_from finds it.
    """
    conditions = models.Q(pk__in=())
    for identity in pair:
        conditions |= models.Q(
            country_code__iexact=identity.country_code, party_id__iexact=identity.party_id
        )
    Party.objects.filter(conditions).update(last_updated=timezone.now())
    party_status.push(Party.objects.filter(conditions))


class AgreementForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A pair out of the known parties."""

    one = forms.ChoiceField(label="Party", widget=UnfoldAdminSelect2Widget())
    other = forms.ChoiceField(label="and party", widget=UnfoldAdminSelect2Widget())
    module = forms.ChoiceField(
        required=False,
        widget=UnfoldAdminSelectWidget(),
        help_text="An agreement on one module takes precedence over one on all modules. Extension "
        "fields pass between two parties only where an agreement on them is open.",
    )

    class Meta:
        model = Agreement
        fields = ("module", "is_open", "note")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        pair = self.instance.pair if self.instance.pk else ()
        for name, identity in zip(("one", "other"), pair, strict=False):
            self.fields[name].initial = str(identity)
            self.fields[name].disabled = True
        for name in ("one", "other"):
            self._choices(name, parties_to_choose("Select a party", *pair))
        known = {route.module for route in ROUTES} | {AGREED_AS}
        modules = sorted(known | {self.instance.module} - {""})
        self._choices("module", [("", "all modules"), *((name, name) for name in modules)])
        self.fields["module"].disabled = bool(pair)

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - narrows for mypy
        field.choices = choices

    def clean(self) -> dict[str, Any]:
        """The order of a pair means nothing, so there is one order, and no pair twice."""
        cleaned = super().clean() or {}
        row = self.instance
        if row.pk is None and cleaned.get("one") and cleaned.get("other"):
            first, second = sorted(PartyId.parse(cleaned[name]) for name in ("one", "other"))
            if first == second:
                raise forms.ValidationError("An agreement is between two parties.")
            row.country_code_a, row.party_id_a = first
            row.country_code_b, row.party_id_b = second
            if any(
                agreement.module == cleaned.get("module") and set(agreement.pair) == {first, second}
                for agreement in Agreement.objects.all()
            ):
                raise forms.ValidationError("There is an agreement on this already: change it.")
        return cleaned


@admin.register(Agreement)
class AgreementAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Editable: this is what the operator decides."""

    form = AgreementForm
    fields = ("one", "other", "module", "is_open", "note")
    list_display = ("pair_", "module_", "state", "note", "updated")
    list_filter = ("is_open", "module")
    list_filter_sheet = False
    search_fields = ("country_code_a", "party_id_a", "country_code_b", "party_id_b", "note")
    search_help_text = "Country code, party id or note"
    ordering = ("country_code_a", "party_id_a", "country_code_b", "party_id_b", "module")
    list_before_template = "console/agreements_default.html"
    actions: Any = None

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """With what holds for pairs that are not in the list."""
        context = {"open_by_default": settings.AGREEMENTS_OPEN_BY_DEFAULT, **(extra_context or {})}
        return super().changelist_view(request, context)

    @column("parties", ordering="country_code_a")
    def pair_(self, agreement: Agreement) -> str:
        return " and ".join(map(str, agreement.pair))

    @column("module", ordering="module")
    def module_(self, agreement: Agreement) -> str:
        """The module, or all of them."""
        return agreement.module or "all modules"

    @column("state", ordering="is_open")
    def state(self, agreement: Agreement) -> SafeString:
        """Whether the agreement opens or closes the pair."""
        return badge("open", GREEN) if agreement.is_open else badge("closed", RED)

    @column("changed", ordering="last_updated")
    def updated(self, agreement: Agreement) -> SafeString | None:
        return ago(agreement.last_updated)

    def save_model(self, request: HttpRequest, obj: Agreement, form: Any, change: Any) -> None:
        """Both sides are told in the same transaction."""
        super().save_model(request, obj, form, change)
        if obj.module == AGREED_AS and not obj.is_open:
            agreement_ended(obj.pair)
        announce(obj.pair)

    def delete_model(self, request: HttpRequest, obj: Agreement) -> None:
        """Back to the default: both sides are told."""
        pair = obj.pair
        super().delete_model(request, obj)
        if obj.module == AGREED_AS:
            agreement_ended(pair)
        announce(pair)
