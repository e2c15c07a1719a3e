"""Agreements: the operator's word on which parties may exchange what, and who may be FSP."""

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
from unfold.widgets import UnfoldAdminSelectWidget

from flex.models import FlexAgreement
from hub.console.tables import GREEN, GREY, RED, ago, badge, column
from hub.models import Agreement, Party
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

    one = forms.ChoiceField(label="Party", widget=UnfoldAdminSelectWidget())
    other = forms.ChoiceField(label="and party", widget=UnfoldAdminSelectWidget())
    module = forms.ChoiceField(
        required=False,
        widget=UnfoldAdminSelectWidget(),
        help_text="An agreement on one module takes precedence over one on all modules.",
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
        modules = sorted({route.module for route in ROUTES} | {self.instance.module} - {""})
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
        announce(obj.pair)

    def delete_model(self, request: HttpRequest, obj: Agreement) -> None:
        """Back to the default: both sides are told."""
        pair = obj.pair
        super().delete_model(request, obj)
        announce(pair)


class FlexAgreementForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Parties out of the known ones; what is left empty fits all."""

    fsp_party = forms.ChoiceField(label="Flexibility provider", widget=UnfoldAdminSelectWidget())
    cpo_party = forms.ChoiceField(label="CPO", required=False, widget=UnfoldAdminSelectWidget())
    emsp_party = forms.ChoiceField(label="eMSP", required=False, widget=UnfoldAdminSelectWidget())

    class Meta:
        model = FlexAgreement
        fields = ("token_uid", "location_id", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind in ("fsp", "cpo", "emsp"):
            kept = self._kept(kind)
            field = self.fields[f"{kind}_party"]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - narrows for mypy
            field.choices = parties_to_choose("Select a party" if kind == "fsp" else "any", *kept)
            field.initial = "".join(map(str, kept))

    def _kept(self, kind: str) -> list[PartyId]:
        codes = [getattr(self.instance, f"{kind}_{part}") for part in ("country_code", "party_id")]
        return [PartyId.of(*codes)] if all(codes) else []

    def clean(self) -> dict[str, Any]:
        """Into the row, whose own constraints say what is wrong with it."""
        cleaned = super().clean() or {}
        for kind in ("fsp", "cpo", "emsp"):
            chosen = cleaned.get(f"{kind}_party")
            country_code, party_id = PartyId.parse(chosen) if chosen else ("", "")
            setattr(self.instance, f"{kind}_country_code", country_code)
            setattr(self.instance, f"{kind}_party_id", party_id)
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """The row's constraints are checked with what was filled in out of our own fields."""
        filled = {
            f"{kind}_{part}" for kind in ("cpo", "emsp") for part in ("country_code", "party_id")
        }
        return set(super()._get_validation_exclusions()) - filled  # type: ignore[misc]


@admin.register(FlexAgreement)
class FlexAgreementAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Editable; ended by switching it off, so that assignments keep their reason."""

    form = FlexAgreementForm
    fields = ("fsp_party", "cpo_party", "emsp_party", "token_uid", "location_id", "is_active")
    list_display = ("fsp_", "cpo_", "emsp_", "narrowed", "state", "created")
    list_filter = ("is_active",)
    list_filter_sheet = False
    search_fields = ("fsp_country_code", "fsp_party_id", "cpo_party_id", "emsp_party_id")
    search_help_text = "Party id"
    ordering = ("-is_active", "fsp_country_code", "fsp_party_id", "id")
    actions: Any = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: an agreement is switched off instead."""
        return False

    @column("FSP", ordering="fsp_party_id")
    def fsp_(self, agreement: FlexAgreement) -> str:
        """The SCSP that may act."""
        return str(agreement.fsp)

    @column("CPO", ordering="cpo_party_id")
    def cpo_(self, agreement: FlexAgreement) -> str:
        """The CPO whose sessions it is about."""
        return _named(agreement.cpo_country_code, agreement.cpo_party_id)

    @column("eMSP", ordering="emsp_party_id")
    def emsp_(self, agreement: FlexAgreement) -> str:
        """The eMSP whose drivers it is about."""
        return _named(agreement.emsp_country_code, agreement.emsp_party_id)

    @column("only")
    def narrowed(self, agreement: FlexAgreement) -> str:
        """The token or location that it is narrowed to."""
        found = ["one token"] if agreement.token_uid else []
        if agreement.location_id:
            found.append(f"location {agreement.location_id}")
        return ", ".join(found)

    @column("state", ordering="is_active")
    def state(self, agreement: FlexAgreement) -> SafeString:
        """Whether it is active or has ended."""
        return badge("active", GREEN) if agreement.is_active else badge("ended", GREY)

    @column("since", ordering="created_at")
    def created(self, agreement: FlexAgreement) -> SafeString | None:
        """How long ago it was made."""
        return ago(agreement.created_at)


def _named(country_code: str, party_id: str) -> SafeString | str:
    return f"{country_code}-{party_id}" if party_id else badge("any")
