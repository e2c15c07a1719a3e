"""What the hub keeps of its parties: Locations, Tariffs, Tokens and CDRs, to look at (design 4)."""

from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from django.contrib import admin
from django.utils.safestring import SafeString

from cdrs.models import Cdr
from hub.console.documents import address, pretty
from hub.console.tables import AMBER, GREEN, GREY, RED, ReadOnlyTable, ago, badge, column
from hub.ocpi.masking import hint
from hub.store import StoredObject
from locations.models import Location
from tariffs.models import Tariff
from tokens.models import Token
from tokens.objects import WhitelistType

Read = TypeVar("Read", bound=msgspec.Struct)


def read(stored: StoredObject, expected: type[Read]) -> Read:
    """A few fields out of the document; empty ones when it is none any more."""
    return msgspec.json.decode(bytes(stored.document) or b"{}", type=expected)


class StoredTable(ReadOnlyTable):
    """One row a variant of an object, the newest first."""

    list_filter: tuple[str, ...] = ("owner", "audience", "last_updated")
    search_fields: tuple[str, ...] = ("owner", "^object_id")
    search_help_text = "Owner (NL-CPO) or the beginning of an id"
    ordering = ("-last_updated", "-id")
    facts: tuple[str, ...] = ()

    def get_readonly_fields(self, request: Any, obj: Any = None) -> tuple[str, ...]:
        """What is computed."""
        return (*self.facts, "document_")

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        """The same for every kind."""
        return (
            (None, {"fields": ("owner", *self.facts)}),
            ("How it came", {"fields": ("last_updated", "received_at")}),
            ("Document", {"fields": ("document_",)}),
        )

    @column("for", ordering="audience")
    def audience_(self, stored: StoredObject) -> str:
        """Everybody, or the one party that was told this variant."""
        return f"{stored.audience} alone" if stored.audience else "everybody"

    @column("last updated", ordering="last_updated")
    def updated(self, stored: StoredObject) -> SafeString | None:
        """By its owner's clock."""
        return ago(stored.last_updated)

    @column("document")
    def document_(self, stored: StoredObject) -> SafeString | None:
        """Whole; what identifies a driver is masked."""
        return pretty(stored.document)


class _Place(msgspec.Struct):
    name: str | None = None
    city: str = ""
    evses: list[msgspec.Raw] | None = None
    publish: bool = False


@admin.register(Location)
class LocationAdmin(StoredTable):
    """Locations with their EVSEs."""

    facts = ("object_id", "place", "evses", "publish", "audience_")
    list_display = ("object_id", "owner", "place", "evses", "publish", "audience_", "updated")

    @column("place")
    def place(self, location: Location) -> str:
        """Name and city."""
        found = read(location, _Place)
        return ", ".join(text for text in (found.name, found.city) if text)

    @column("EVSEs")
    def evses(self, location: Location) -> int:
        """How many."""
        return len(read(location, _Place).evses or [])

    @column("published")
    def publish(self, location: Location) -> str:
        """Whether drivers may be shown it."""
        return "yes" if read(location, _Place).publish else "no"


class _Price(msgspec.Struct):
    currency: str = ""
    type: str | None = None
    elements: list[msgspec.Raw] = []


@admin.register(Tariff)
class TariffAdmin(StoredTable):
    """Tariffs."""

    facts = ("object_id", "currency", "kind", "elements", "audience_")
    list_display = ("object_id", "owner", "currency", "kind", "elements", "audience_", "updated")

    @column("currency")
    def currency(self, tariff: Tariff) -> str:
        """ISO 4217."""
        return read(tariff, _Price).currency

    @column("type")
    def kind(self, tariff: Tariff) -> str | None:
        """When it applies."""
        return read(tariff, _Price).type

    @column("elements")
    def elements(self, tariff: Tariff) -> int:
        """How many."""
        return len(read(tariff, _Price).elements)


class _Card(msgspec.Struct):
    issuer: str = ""
    valid: bool = False
    whitelist: str = ""


@admin.register(Token)
class TokenAdmin(StoredTable):
    """Tokens; a uid is shown by its end alone: whoever knows one can charge with it."""

    search_fields = ("owner", "=object_id")
    search_help_text = "Owner (DE-MSP) or a whole uid"
    list_filter = ("owner", "audience", "type", "last_updated")
    facts = ("uid", "type", "issuer", "valid", "whitelist", "audience_")
    list_display = ("uid", "type", "owner", "issuer", "valid", "whitelist", "audience_", "updated")

    @column("uid", ordering="object_id")
    def uid(self, token: Token) -> str:
        """Its end."""
        return hint(token.object_id)

    @column("issuer")
    def issuer(self, token: Token) -> str:
        """As printed on it."""
        return read(token, _Card).issuer

    @column("valid")
    def valid(self, token: Token) -> SafeString:
        """As a badge."""
        is_valid = read(token, _Card).valid
        return badge("valid" if is_valid else "invalid", GREEN if is_valid else RED)

    @column("whitelist")
    def whitelist(self, token: Token) -> SafeString:
        """Amber: authorized in real time only."""
        word = read(token, _Card).whitelist
        return badge(word, AMBER if word == WhitelistType.NEVER else GREY)


class _Total(msgspec.Struct):
    excl_vat: Decimal = Decimal(0)


class _Bill(msgspec.Struct):
    currency: str = ""
    total_cost: _Total = msgspec.field(default_factory=_Total)
    total_energy: Decimal = Decimal(0)
    credit: bool | None = None


@admin.register(Cdr)
class CdrAdmin(StoredTable):
    """CDRs that their eMSP has taken, each with its answer."""

    facts = ("object_id", "emsp", "cost", "kwh", "answer", "location_", "answer_")
    list_display = ("object_id", "owner", "emsp", "cost", "kwh", "answer", "updated")

    @column("eMSP", ordering="audience")
    def emsp(self, cdr: Cdr) -> str:
        """Who pays it."""
        return cdr.audience

    @column("cost without VAT")
    def cost(self, cdr: Cdr) -> str:
        """A Credit CDR takes money back."""
        bill = read(cdr, _Bill)
        credit = " (credit)" if bill.credit else ""
        return f"{bill.total_cost.excl_vat:.2f} {bill.currency}{credit}"

    @column("energy (kWh)")
    def kwh(self, cdr: Cdr) -> str:
        """In total."""
        return f"{read(cdr, _Bill).total_energy:.2f}"

    @column("eMSP's answer", ordering="answer_status")
    def answer(self, cdr: Cdr) -> str:
        """The HTTP status with which it was taken."""
        return f"HTTP {cdr.answer_status}"

    @column("at its eMSP")
    def location_(self, cdr: Cdr) -> str | None:
        """Whose URL, without its query."""
        return address(cdr.answer_location) or None

    @column("answer")
    def answer_(self, cdr: Cdr) -> SafeString | None:
        """As it came."""
        return pretty(cdr.answer_body)
