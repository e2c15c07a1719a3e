"""Keys of the admin API: made here and shown once, revoked here (hub/console/api/)."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from hub.console import key_once
from hub.console.access.models import AdminKey
from hub.console.access.roles import Role
from hub.console.accounts import RoleForm
from hub.console.api import keys
from hub.console.dialogs import back, dialog
from hub.console.tables import GREEN, GREY, action, ago, badge, column


class AdminKeyForm(RoleForm):
    """For what, and for how long."""

    days = forms.IntegerField(
        label="Days",
        initial=365,
        min_value=1,
        max_value=3650,
        help_text="Then it opens nothing any more.",
        widget=UnfoldAdminIntegerFieldWidget(),
    )

    class Meta:
        model = AdminKey
        fields = ("name", "role", "parties")
        widgets = {"name": UnfoldAdminTextInputWidget()}

    def _get_validation_exclusions(self) -> set[str]:
        """The row is made by hub/console/api/keys.py, whole."""
        return {field.name for field in AdminKey._meta.fields}

    def validate_constraints(self) -> None:
        """Likewise."""


@admin.register(AdminKey)
class AdminKeyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """One row a key; it is revoked and made anew, and never changed."""

    form = AdminKeyForm
    fields = ("name", "role", "parties", "days")
    list_display = ("prefix", "name", "role", "parties", "state", "used", "made_by", "created")
    list_filter = ("role",)
    list_filter_sheet = False
    search_fields = ("prefix", "name")
    search_help_text = "The part of a key that may be seen, or its name"
    ordering = ("-created_at",)
    actions: Any = None
    actions_row = ("revoke",)
    actions_detail = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: AdminKey | None = None) -> Any:
        """What was chosen, once it is made."""
        return self.fields if obj is None else (*self.list_display, "expires_at")

    def get_readonly_fields(self, request: HttpRequest, obj: AdminKey | None = None) -> Any:
        """All of it, likewise."""
        return () if obj is None else (*self.list_display, "expires_at")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: a key is revoked, and its row tells who had it."""
        return False

    @column("state")
    def state(self, key: AdminKey) -> SafeString:
        """Whether it opens anything still."""
        if key.revoked_at is not None:
            return badge("revoked", GREY)
        return badge("expired", GREY) if key.is_over else badge("valid", GREEN)

    @column("last used", ordering="last_used_at")
    def used(self, key: AdminKey) -> SafeString | None:
        return ago(key.last_used_at)

    @column("made", ordering="created_at")
    def created(self, key: AdminKey) -> SafeString | None:
        return ago(key.created_at)

    def save_model(self, request: HttpRequest, obj: AdminKey, form: Any, change: bool) -> None:
        """Make it; the page that follows shows it, and no other ever does."""
        if change:
            return
        chosen = form.cleaned_data
        made = keys.make(
            Role(chosen["role"]),
            name=chosen["name"],
            made_by=request.user.get_username(),
            parties=chosen["parties"],
            expires_at=timezone.now() + timedelta(days=chosen["days"]),
        )
        for field in AdminKey._meta.concrete_fields:
            setattr(obj, field.attname, getattr(made.key, field.attname))
        request.META[key_once.SECRET] = made.secret

    def response_add(self, request: HttpRequest, obj: AdminKey, *args: Any) -> HttpResponse:
        """The key itself."""
        whose = " ".join([obj.get_role_display(), *obj.parties])
        until = f"{obj.expires_at:%d %b %Y}" if obj.expires_at else "it is revoked"
        facts = [("May what this role may", whose), ("Until", until)]
        return key_once.page(request, "A key of the admin API", facts, table="access_adminkey")

    def has_revoke_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Once."""
        if not request.user.has_perm("access.change_adminkey"):
            return False
        return object_id is None or AdminKey.objects.filter(pk=object_id, revoked_at=None).exists()

    @action(
        "Revoke",
        permissions=["revoke"],
        icon="key_off",
        dialog=dialog("Revoke this key?", "It opens nothing any more.", "Revoke"),
    )
    def revoke(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """End it now."""
        key = get_object_or_404(AdminKey, pk=object_id)
        if keys.revoke(key):
            self.log_change(request, key, "Revoked.")
            messages.success(request, f"Key {key} is revoked.")
        return back(request, reverse("admin:access_adminkey_changelist"))
