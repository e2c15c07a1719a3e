"""Accounts of the console: operators, readers, privacy officers, parties' own staff."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.admin import ModelAdmin, StackedInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from hub.console.access.models import Account
from hub.console.access.roles import Role
from hub.console.tables import column
from hub.models import OneTimePassword
from hub.ocpi.party import PartyId

admin.site.unregister(User)
admin.site.unregister(Group)


class RoleForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What the account is for."""

    parties = forms.CharField(
        required=False,
        max_length=200,
        help_text="Of a party's own staff: which, such as NL-ABC. More than one with commas.",
        widget=UnfoldAdminTextInputWidget(),
    )

    class Meta:
        model = Account
        fields = ("role", "parties")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["parties"] = ", ".join(self.instance.parties)

    def clean_parties(self) -> list[str]:
        """As they are compared; they need not be here yet."""
        try:
            named = {PartyId.parse(one) for one in self.cleaned_data["parties"].split(",") if one}
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from error
        return sorted(map(str, named))

    def clean(self) -> dict[str, Any]:
        """A party's staff are of a party, and others of none."""
        cleaned = super().clean() or {}
        is_of_party = cleaned.get("role") == Role.PARTY
        if is_of_party and not cleaned.get("parties") and "parties" not in self.errors:
            self.add_error("parties", "Name the party whose staff this is.")
        if not is_of_party:
            cleaned["parties"] = []
        return cleaned


class RoleRow(StackedInline):  # type: ignore[misc]  # unfold has no types
    """The role, on the page of the account; none for an administrator."""

    model = Account
    form = RoleForm
    can_delete = True
    verbose_name_plural = "role"


@admin.register(User)
class OperatorAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]  # unfold has no types
    """Django's own accounts; a new one's password, where it has one, is for one time."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "first_name",
        "last_name",
        "role",
        "is_active",
        "last_login",
    )
    list_filter = ("account__role", "is_superuser", "is_active")
    list_select_related = ("account",)
    inlines = (RoleRow,)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    filter_horizontal = ("user_permissions",)

    @column("role", ordering="account__role")
    def role(self, user: User) -> str:
        """An administrator's word counts more than any role."""
        if user.is_superuser:
            return "administrator"
        return str(getattr(user, "account", None) or "none")

    def get_inlines(self, request: HttpRequest, obj: User | None) -> Any:
        """A new account gets its role on the page that follows."""
        return () if obj is None else super().get_inlines(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What somebody may is a superuser's word: nobody else can give themselves more."""
        may = () if _is_superuser(request) else ("is_staff", "is_superuser", "user_permissions")
        return (*super().get_readonly_fields(request, obj), *may)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Only superusers change a superuser, or its password."""
        return _may_touch(request, obj) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_touch(request, obj) and bool(super().has_delete_permission(request, obj))

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: Any) -> None:
        """The maker of the account knows its password, so it must be replaced.

        Who comes by single sign-on alone has none.
        """
        super().save_model(request, obj, form, change)
        if not change and obj.has_usable_password():
            OneTimePassword.objects.create(user=obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Who is given a role may log in with it; later on that can be taken away."""
        super().save_related(request, form, formsets, change)
        if any(isinstance(made, Account) for each in formsets for made in each.new_objects):
            User.objects.filter(pk=form.instance.pk).update(is_staff=True)


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


def _may_touch(request: HttpRequest, account: User | None) -> bool:
    return account is None or not account.is_superuser or _is_superuser(request)
