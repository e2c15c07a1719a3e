"""Keys of the flex API: made here and shown once, revoked here (flex/api/)."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelect2Widget,
    UnfoldAdminTextInputWidget,
)

from flex.api import keys
from flex.api.models import ApiKey, Prepared, Use
from hub.console import key_once
from hub.console.agreements import parties_to_choose
from hub.console.dialogs import back, dialog
from hub.console.documents import pretty
from hub.console.tables import (
    AMBER,
    GREEN,
    GREY,
    ReadOnlyTable,
    action,
    ago,
    badge,
    column,
    local,
)
from hub.ocpi.party import PartyId


class KeyForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """For which party, and what it opens."""

    party_ = forms.ChoiceField(label="Party", widget=UnfoldAdminSelect2Widget())
    opens = forms.MultipleChoiceField(
        label="Opens",
        choices=Use.choices,
        initial=[use.value for use in Use],
        help_text="As far as the party has the role at the time of each request.",
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )

    class Meta:
        model = ApiKey
        fields = ("name",)
        widgets = {"name": UnfoldAdminTextInputWidget()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["party_"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - narrows for mypy
        field.choices = parties_to_choose("Select a party")

    def _get_validation_exclusions(self) -> set[str]:
        """The row is made by flex/api/keys.py, whole."""
        return {field.name for field in ApiKey._meta.fields}

    def validate_constraints(self) -> None:
        """Likewise."""


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Each key of a back-end, and those that it has minted; of a driver's no token."""

    form = KeyForm
    fields = ("party_", "opens", "name")
    list_display = ("prefix", "party", "kind", "opens_", "state", "used", "name", "created")
    list_filter = ("kind", "party_id")
    list_filter_sheet = False
    search_fields = ("prefix", "party_id", "name")
    search_help_text = "The part of a key that may be seen, party id or name"
    ordering = ("-created_at",)
    actions: Any = None
    actions_row = ("revoke",)
    actions_detail = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """What was chosen, once it is made."""
        return self.fields if obj is None else (*self.list_display, "made_by", "expires_at")

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """A key is revoked and made anew, and never changed."""
        return () if obj is None else (*self.list_display, "made_by", "expires_at")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: a key is revoked, and its row tells who had it."""
        return False

    @column("party", ordering="party_id")
    def party(self, key: ApiKey) -> str:
        return str(key.party)

    @column("opens")
    def opens_(self, key: ApiKey) -> str:
        """What it is for."""
        return ", ".join(key.uses)

    @column("state")
    def state(self, key: ApiKey) -> SafeString:
        """Whether it opens anything still."""
        if key.revoked_at is not None:
            return badge("revoked", GREY)
        return badge("expired", GREY) if key.is_over else badge("valid", GREEN)

    @column("last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> SafeString | None:
        return ago(key.last_used_at)

    @column("made", ordering="created_at")
    def created(self, key: ApiKey) -> SafeString | None:
        return ago(key.created_at)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Make it; the page that follows shows it, and no other ever does."""
        if change:
            return
        chosen = form.cleaned_data
        made = keys.of_party(
            PartyId.parse(chosen["party_"]),
            [Use(one) for one in chosen["opens"]],
            name=chosen["name"],
            made_by=request.user.get_username(),
        )
        for field in ApiKey._meta.concrete_fields:
            setattr(obj, field.attname, getattr(made.key, field.attname))
        request.META[key_once.SECRET] = made.secret

    def response_add(self, request: HttpRequest, obj: ApiKey, *args: Any) -> HttpResponse:
        """The key itself."""
        facts = [("For", str(obj.party)), ("Opens", ", ".join(obj.uses))]
        return key_once.page(request, f"A key for {obj.party}", facts, table="flex_api_apikey")

    def has_revoke_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Once."""
        if not request.user.has_perm("flex_api.change_apikey"):
            return False
        return object_id is None or ApiKey.objects.filter(pk=object_id, revoked_at=None).exists()

    @action(
        "Revoke",
        permissions=["revoke"],
        icon="key_off",
        dialog=dialog(
            "Revoke this key?",
            "It opens nothing any more, nor do the keys of drivers that it has minted.",
            "Revoke",
        ),
    )
    def revoke(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """End it now."""
        key = get_object_or_404(ApiKey, pk=object_id)
        if keys.revoke(key):
            self.log_change(request, key, "Revoked.")
            messages.success(request, f"Key {key} is revoked.")
        return back(request, reverse("admin:flex_api_apikey_changelist"))


@admin.register(Prepared)
class PreparedAdmin(ReadOnlyTable):
    """Preferences that were given before their session; whose token, is not shown."""

    list_display = ("emsp_", "for_", "state_", "outcome", "session", "created", "until")
    list_filter = ("state", "party_id")
    list_select_related = ("session",)
    search_fields = ("party_id", "session__session_id")
    search_help_text = "Party id or session id"
    ordering = ("-id",)
    fields = ("emsp_", "for_", "state_", "outcome", "session", "attempts", "wishes", "document_")
    readonly_fields = ("emsp_", "for_", "state_", "document_")

    @column("eMSP", ordering="party_id")
    def emsp_(self, row: Prepared) -> str:
        return str(row.emsp)

    @column("for")
    def for_(self, row: Prepared) -> str:
        """By what its session is known."""
        return f"START_SESSION {row.authorization_reference}" if not row.token_uid else "a token"

    @column("state", ordering="state")
    def state_(self, row: Prepared) -> SafeString:
        """As a badge."""
        colour = AMBER if row.ended_at is None else GREEN if row.cpo_http_status else GREY
        return badge(row.get_state_display(), colour)

    @column("given", ordering="created_at")
    def created(self, row: Prepared) -> SafeString | None:
        return ago(row.created_at)

    @column("waits until", ordering="expires_at")
    def until(self, row: Prepared) -> str | None:
        return local(row.expires_at)

    @column("as it is sent")
    def document_(self, row: Prepared) -> SafeString | None:
        return pretty(row.document)
