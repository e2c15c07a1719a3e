"""Deliveries: the pushes that the hub owes, and what became of them."""

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from hub.console.access import audit, roles, scope
from hub.console.agreements import parties_to_choose
from hub.console.dialogs import back, dialog
from hub.console.documents import callback, pretty
from hub.console.tables import AMBER, BLUE, GREEN, RED, ReadOnlyTable, action, ago, badge, column
from hub.console.tables import span as time_between
from hub.deliveries import resend
from hub.models import GIVEN_UP, Delivery, DeliveryState
from hub.ocpi.modules import SECRET_IDS
from hub.ocpi.party import PartyId

STATE_COLOURS = {
    DeliveryState.WAITING: BLUE,
    DeliveryState.DELIVERED: GREEN,
    DeliveryState.REFUSED: RED,
    DeliveryState.FAILED: RED,
    DeliveryState.DROPPED: AMBER,
}
FAILED = GIVEN_UP
# Those that are sent again by one press of a button; a second press takes the next.
MOST_AT_ONCE: Final = 2_000


def state_badge(delivery: Delivery) -> SafeString:
    """Green is delivered, blue waits, amber was dropped, red failed."""
    state = DeliveryState(delivery.state)
    return badge(state.value, STATE_COLOURS[state], str(state.label))


class AgainFilter(admin.SimpleListFilter):
    """What was given up, and is there to be sent again."""

    title = "can be sent again"
    parameter_name = "again"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """One of them: what else there is has a state."""
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The deliveries that can be sent again."""
        if self.value() != "yes":
            return queryset
        return queryset.filter(is_kept=True, state__in=GIVEN_UP)


_AGAIN_DIALOG: Final = dialog(
    "Send this message again?",
    "It goes as it was written, in its order, unless something newer was sent since.",
    "Send again",
)


class SendAllForm(BaseDialogForm):  # type: ignore[misc]  # unfold has no types
    """Since when, to whom and of which module."""

    since = forms.DateTimeField(
        label="Given up since (UTC)",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "2026-03-01 10:00"}),
    )
    to = forms.ChoiceField(label="To", widget=UnfoldAdminSelectWidget())
    module = forms.ChoiceField(
        label="Module",
        required=False,
        widget=UnfoldAdminSelectWidget(),
        choices=[("", "all"), ("sessions", "sessions"), ("chargingprofiles", "chargingprofiles")],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"].choices = [("ALL", "every receiver"), *parties_to_choose("Select")[1:]]


_ALL_DIALOG: Final = dialog(
    "Send again what was given up?",
    f"All messages since then whose bodies are kept, the oldest {MOST_AT_ONCE:,} of them, in their "
    "order; what something newer was sent of stays where it is.",
    "Send again",
) | {"form_class": SendAllForm}


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyTable):
    """One row a push."""

    list_display = (
        "push",
        "receiver",
        "from_",
        "to_",
        "state_",
        "attempts",
        "outcome",
        "again",
        "took",
        "age",
    )
    list_filter = ("state", AgainFilter, "module", "receiver", "created_at")
    actions = ("send_selected_again",)
    actions_row = ("send_again",)
    actions_list = ("send_all_again",)
    actions_detail = ("send_again",)
    list_select_related = ("receiver",)
    search_fields = ("receiver__name", "to_party_id", "from_party_id", "correlation_id", "outcome")
    search_help_text = "Receiver, party id, correlation id or outcome"
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ("push", "receiver", "from_", "to_", "state_", "outcome", "again")}),
        ("Attempts", {"fields": ("attempts", "created_at", "ended_at", "resent_at", "took")}),
        ("Message", {"fields": ("address_", "correlation_id", "body_")}),
    )
    readonly_fields = ("push", "from_", "to_", "state_", "again", "took", "address_", "body_")

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """With whether it goes to who looks at it."""
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            found.is_to_viewer = scope.is_to_them(request.user, found)
        return found

    @column("push", ordering="module")
    def push(self, delivery: Delivery) -> str:
        return f"{delivery.method} {delivery.module}"

    @column("from", ordering="from_party_id")
    def from_(self, delivery: Delivery) -> str:
        """The party in whose name it is sent."""
        return _named(delivery.from_country_code, delivery.from_party_id) or "the hub"

    @column("to", ordering="to_party_id")
    def to_(self, delivery: Delivery) -> str:
        """Configuration modules name no party."""
        return _named(delivery.to_country_code, delivery.to_party_id)

    @column("state", ordering="state")
    def state_(self, delivery: Delivery) -> SafeString:
        return state_badge(delivery)

    @column("again?")
    def again(self, delivery: Delivery) -> str:
        """For a message that was given up: whether its body is still there."""
        if delivery.state not in GIVEN_UP:
            return ""
        return "yes" if delivery.is_kept else "no, its body is kept no more"

    @column("took")
    def took(self, delivery: Delivery) -> str | None:
        """From the change to its end."""
        return time_between(delivery.created_at, delivery.ended_at)

    @column("age", ordering="-created_at")
    def age(self, delivery: Delivery) -> SafeString | None:
        """Since the change that caused it."""
        return ago(delivery.created_at)

    @column("to the address")
    def address_(self, delivery: Delivery) -> str:
        """Below an endpoint of the receiver, or a callback's URL without its query."""
        where = f"{delivery.module} {delivery.interface_role}"
        if delivery.module in SECRET_IDS:
            return f"{where}: {delivery.path.rpartition('/')[0]}/•••"
        if delivery.interface_role:
            return f"{where}: {delivery.path}"
        return callback(delivery, is_whole=getattr(delivery, "is_to_viewer", False))

    @column("body")
    def body_(self, delivery: Delivery) -> SafeString | None:
        """What identifies a driver is masked."""
        return pretty(bytes(delivery.body))

    # --- Sending again ----------------------------------------------------------------------------

    def has_again_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Only for a message that was given up and whose body is still there."""
        return request.user.has_perm(roles.RESEND) and (
            object_id is None or self._again_of(request).filter(pk=object_id).exists()
        )

    def _again_of(self, request: HttpRequest) -> QuerySet[Delivery]:
        """A party's own staff ask for what was for them, and for nobody else."""
        return scope.to_them(request.user, resend.kept())

    @action("Send again", permissions=["again"], icon="forward_to_inbox", dialog=_AGAIN_DIALOG)
    def send_again(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        self._send(request, list(self._again_of(request).filter(pk=object_id).defer("body")))
        return back(request, reverse("admin:hub_delivery_changelist"))

    @admin.action(description="Send again what was given up", permissions=["again"])
    def send_selected_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        chosen = scope.to_them(request.user, queryset)
        self._send(request, list(chosen.defer("body").order_by("pk")))

    def has_all_again_permission(self, request: HttpRequest) -> bool:
        """The receivers that can be chosen are all there are: not for a party's own staff."""
        return request.user.has_perm(roles.RESEND) and scope.only(request.user) is None

    @action(
        "Send again since …", permissions=["all_again"], icon="forward_to_inbox", dialog=_ALL_DIALOG
    )
    def send_all_again(self, request: HttpRequest, form: Any) -> HttpResponse:
        """To one receiver or all, from a moment on."""
        asked = form.cleaned_data
        found = self._again_of(request).filter(ended_at__gte=asked["since"])
        if asked["to"] != "ALL":
            to = PartyId.parse(asked["to"])
            found = found.filter(
                to_country_code__iexact=to.country_code, to_party_id__iexact=to.party_id
            )
        if asked["module"]:
            found = found.filter(module=asked["module"])
        ids = list(found.values_list("pk", flat=True)[:MOST_AT_ONCE])
        resent = resend.again(ids, by=request.user.get_username())
        what = f"to {asked['to']} since {asked['since']:%Y-%m-%d %H:%M}: {resent}"
        audit.note(request, "send again", detail=what)
        say = messages.success if resent.number else messages.warning
        say(request, f"{resent}.")
        return back(request, reverse("admin:hub_delivery_changelist"))

    def _send(self, request: HttpRequest, chosen: list[Delivery]) -> None:
        resent = resend.again((one.pk for one in chosen), by=request.user.get_username())
        for one in chosen:
            self.log_change(request, one, "Sent again, as far as it could be.")
        say = messages.success if resent.number else messages.warning
        say(request, f"{resent}.")


def _named(country_code: str, party_id: str) -> str:
    return f"{country_code}-{party_id}" if party_id else ""
