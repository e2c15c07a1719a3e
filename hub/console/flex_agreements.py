"""Words on who may be FSP: agreements of operator, eMSPs and CPOs, and exclusions (SCALE D2.3)."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelect2Widget, UnfoldAdminSelectWidget

from flex.choice import FspKind, Speaker
from flex.models import FlexAgreement, FlexExclusion
from hub.console.agreements import parties_to_choose
from hub.console.tables import GREEN, GREY, OnlyItsFilters, ago, badge, column, local
from hub.ocpi.party import PartyId


class _PartiesForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Parties out of the known ones. What a row says stays; it can end."""

    # Of each kind of party: what is offered where none is named.
    EMPTY: dict[str, str] = {}
    STAYS: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_kept = self.instance.pk is not None
        for kind, empty in self.EMPTY.items():
            kept = self._kept(kind)
            field = self.fields[f"{kind}_party"]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - narrows for mypy
            field.choices = parties_to_choose(empty, *kept)
            field.initial = "".join(map(str, kept))
            field.disabled = is_kept
        for name in self.STAYS:
            self.fields[name].disabled = is_kept
        if is_kept and not self.instance.is_active:
            self.fields["is_active"].disabled = True

    def _kept(self, kind: str) -> list[PartyId]:
        codes = [getattr(self.instance, f"{kind}_{part}") for part in ("country_code", "party_id")]
        return [PartyId.of(*codes)] if all(codes) else []

    def clean(self) -> dict[str, Any]:
        """Into the row, whose own constraints say what is wrong with it."""
        cleaned = super().clean() or {}
        for kind in self.EMPTY:
            chosen = cleaned.get(f"{kind}_party")
            country_code, party_id = PartyId.parse(chosen) if chosen else ("", "")
            setattr(self.instance, f"{kind}_country_code", country_code)
            setattr(self.instance, f"{kind}_party_id", party_id)
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """The row's constraints are checked with what was filled in out of our own fields."""
        filled = {f"{kind}_{part}" for kind in self.EMPTY for part in ("country_code", "party_id")}
        # What no field shows counts in the constraints too.
        filled |= {"kind", "said_by", "consent_by", "consented_at", "session"}
        return set(super()._get_validation_exclusions()) - filled  # type: ignore[misc]


class FlexAgreementForm(_PartiesForm):
    """What is left empty fits all."""

    EMPTY = {"fsp": "none: another kind", "cpo": "any", "emsp": "any"}
    STAYS = ("kind", "said_by", "token_uid", "location_id", "consent_by", "valid_from")

    kind = forms.ChoiceField(
        label="Who acts",
        required=False,
        choices=FspKind.choices,
        initial=FspKind.SCSP,
        widget=UnfoldAdminSelectWidget(),
        help_text="CPO, EMS and EV: the hub only observes. Nobody: third parties are kept out.",
    )
    fsp_party = forms.ChoiceField(
        label="Flexibility provider",
        required=False,
        widget=UnfoldAdminSelect2Widget(),
        help_text="Of an SCSP or another party.",
    )
    cpo_party = forms.ChoiceField(label="CPO", required=False, widget=UnfoldAdminSelect2Widget())
    emsp_party = forms.ChoiceField(label="eMSP", required=False, widget=UnfoldAdminSelect2Widget())
    said_by = forms.ChoiceField(
        label="Whose word it is",
        required=False,
        choices=[("", "the eMSP's where one is named, else the CPO's"), *Speaker.choices],
        widget=UnfoldAdminSelectWidget(),
        help_text="The operator's counts most, then the eMSP's for its tokens, then the CPO's.",
    )

    class Meta:
        model = FlexAgreement
        fields = (
            *("kind", "said_by", "token_uid", "location_id", "consent_by"),
            *("valid_from", "valid_until", "is_active"),
        )

    def clean(self) -> dict[str, Any]:
        """With what follows of what was left out."""
        cleaned = super().clean()
        cleaned["kind"] = self.instance.kind = cleaned.get("kind") or FspKind.SCSP
        if cleaned["kind"] == FspKind.SCSP and not cleaned.get("fsp_party"):
            self.add_error("fsp_party", self.fields["fsp_party"].error_messages["required"])
        said_by = cleaned.get("said_by")
        if not said_by:
            said_by = Speaker.EMSP if cleaned.get("emsp_party") else Speaker.CPO
        cleaned["said_by"] = self.instance.said_by = said_by
        if self.instance.pk is None:
            self.instance.consented_at = timezone.now() if cleaned.get("consent_by") else None
        return cleaned


class FlexExclusionForm(_PartiesForm):
    """Whom a CPO excludes."""

    EMPTY = {"cpo": "Select a party", "fsp": "all third parties"}

    cpo_party = forms.ChoiceField(label="CPO", widget=UnfoldAdminSelect2Widget())
    fsp_party = forms.ChoiceField(
        label="Who may not act at its sites", required=False, widget=UnfoldAdminSelect2Widget()
    )

    class Meta:
        model = FlexExclusion
        fields = ("location_id", "is_active")
        help_texts = {"location_id": "Empty: all locations of the CPO."}


class _Words(OnlyItsFilters, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Editable; ended by switching it off, so that assignments keep their reason."""

    list_filter_sheet = False
    actions: Any = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: it is switched off instead."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """The sessions that it is about are looked at within seconds (flex/changed.py)."""
        obj.changed_at = obj.due_at = timezone.now()
        super().save_model(request, obj, form, change)

    @column("CPO", ordering="cpo_party_id")
    def cpo_(self, word: FlexAgreement | FlexExclusion) -> str:
        """The CPO whose sessions it is about."""
        return _named(word.cpo_country_code, word.cpo_party_id)

    @column("state", ordering="is_active")
    def state(self, word: FlexAgreement | FlexExclusion) -> SafeString:
        """Whether it is active or has ended."""
        return badge("active", GREEN) if word.is_active else badge("ended", GREY)

    @column("since", ordering="created_at")
    def created(self, word: FlexAgreement | FlexExclusion) -> SafeString | None:
        """How long ago it was made."""
        return ago(word.created_at)


@admin.register(FlexAgreement)
class FlexAgreementAdmin(_Words):
    """The order in which they count is that of docs/flexibility.md."""

    form = FlexAgreementForm
    fields = (
        *("kind", "fsp_party", "cpo_party", "emsp_party", "token_uid", "location_id"),
        *("said_by", "consent_by", "consent", "valid_from", "valid_until", "is_active"),
    )
    readonly_fields = ("consent",)
    list_display = ("fsp_", "cpo_", "emsp_", "narrowed", "said_by", "valid", "state", "created")
    list_filter = ("is_active", "kind", "said_by")
    search_fields = ("fsp_country_code", "fsp_party_id", "cpo_party_id", "emsp_party_id")
    search_help_text = "Party id"
    ordering = ("-is_active", "fsp_country_code", "fsp_party_id", "id")

    @column("FSP", ordering="fsp_party_id")
    def fsp_(self, agreement: FlexAgreement) -> str:
        """Who may act."""
        return agreement.who

    @column("eMSP", ordering="emsp_party_id")
    def emsp_(self, agreement: FlexAgreement) -> str:
        """The eMSP whose drivers it is about."""
        return _named(agreement.emsp_country_code, agreement.emsp_party_id)

    @column("only")
    def narrowed(self, agreement: FlexAgreement) -> str:
        """What it is narrowed to."""
        found = ["one session"] if agreement.session_id else []
        found += ["one token"] if agreement.token_uid else []
        if agreement.location_id:
            found.append(f"location {agreement.location_id}")
        return ", ".join(found)

    @column("valid")
    def valid(self, agreement: FlexAgreement) -> str | None:
        """From when to when, where that is said."""
        ends = {"from": agreement.valid_from, "until": agreement.valid_until}
        return " ".join(f"{name} {local(end)}" for name, end in ends.items() if end) or None

    @column("consented")
    def consent(self, agreement: FlexAgreement) -> SafeString | None:
        """When the eMSP or the driver has consented."""
        return ago(agreement.consented_at)


@admin.register(FlexExclusion)
class FlexExclusionAdmin(_Words):
    """They are taken away before anybody's word counts."""

    form = FlexExclusionForm
    fields = ("cpo_party", "fsp_party", "location_id", "is_active")
    list_display = ("who", "cpo_", "place", "state", "created")
    list_filter = ("is_active",)
    search_fields = ("fsp_party_id", "cpo_party_id", "location_id")
    search_help_text = "Party id or location"
    ordering = ("-is_active", "cpo_country_code", "cpo_party_id", "id")

    @column("location", ordering="location_id")
    def place(self, word: FlexExclusion) -> SafeString | str:
        """Where it holds."""
        return word.location_id or badge("any")


def _named(country_code: str, party_id: str) -> SafeString | str:
    return f"{country_code}-{party_id}" if party_id else badge("any")
