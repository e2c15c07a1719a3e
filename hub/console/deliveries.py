"""Deliveries: the pushes that the hub owes, and what became of them."""

from django.contrib import admin
from django.utils.safestring import SafeString

from hub.console.documents import address, pretty
from hub.console.tables import AMBER, BLUE, GREEN, RED, ReadOnlyTable, ago, badge, column
from hub.console.tables import span as time_between
from hub.models import Delivery, DeliveryState

STATE_COLOURS = {
    DeliveryState.WAITING: BLUE,
    DeliveryState.DELIVERED: GREEN,
    DeliveryState.REFUSED: RED,
    DeliveryState.FAILED: RED,
    DeliveryState.DROPPED: AMBER,
}
FAILED = (DeliveryState.REFUSED, DeliveryState.FAILED, DeliveryState.DROPPED)


def state_badge(delivery: Delivery) -> SafeString:
    """Green is delivered, blue waits, amber was dropped, red failed."""
    state = DeliveryState(delivery.state)
    return badge(state.value, STATE_COLOURS[state], str(state.label))


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
        "took",
        "age",
    )
    list_filter = ("state", "module", "receiver", "created_at")
    list_select_related = ("receiver",)
    search_fields = ("receiver__name", "to_party_id", "from_party_id", "correlation_id", "outcome")
    search_help_text = "Receiver, party id, correlation id or outcome"
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ("push", "receiver", "from_", "to_", "state_", "outcome")}),
        ("Attempts", {"fields": ("attempts", "created_at", "ended_at", "took")}),
        ("Message", {"fields": ("address_", "correlation_id", "body_")}),
    )
    readonly_fields = ("push", "from_", "to_", "state_", "took", "address_", "body_")

    @column("push", ordering="module")
    def push(self, delivery: Delivery) -> str:
        """PUT sessions."""
        return f"{delivery.method} {delivery.module}"

    @column("from", ordering="from_party_id")
    def from_(self, delivery: Delivery) -> str:
        """In whose name."""
        return _named(delivery.from_country_code, delivery.from_party_id) or "the hub"

    @column("to", ordering="to_party_id")
    def to_(self, delivery: Delivery) -> str:
        """Configuration modules name no party."""
        return _named(delivery.to_country_code, delivery.to_party_id)

    @column("state", ordering="state")
    def state_(self, delivery: Delivery) -> SafeString:
        """As a badge."""
        return state_badge(delivery)

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
        if delivery.module == "tokens":
            return f"tokens {delivery.interface_role}: {delivery.path.rpartition('/')[0]}/•••"
        if delivery.interface_role:
            return f"{delivery.module} {delivery.interface_role}: {delivery.path}"
        return address(delivery.path)

    @column("body")
    def body_(self, delivery: Delivery) -> SafeString | None:
        """What identifies a driver is masked."""
        return pretty(bytes(delivery.body))


def _named(country_code: str, party_id: str) -> str:
    return f"{country_code}-{party_id}" if party_id else ""
