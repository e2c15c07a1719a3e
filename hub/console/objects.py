"""What the hub keeps of its parties: Locations, Tariffs, Tokens and CDRs, to look at."""

from typing import Any, Final

import msgspec
from django.contrib import admin
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cdrs.models import Cdr, CdrCheck, CheckResult
from hub.console import completeness, tariff_words
from hub.console.documents import address, pretty
from hub.console.tables import AMBER, GREEN, GREY, RED, ReadOnlyTable, ago, badge, column
from hub.ocpi import heads, lenient
from hub.ocpi.datatypes import decode
from hub.ocpi.errors import OcpiError
from hub.ocpi.masking import hint
from hub.store.store import StoredObject
from locations import outlines
from locations.models import Location
from tariffs.models import Tariff
from tariffs.objects import Tariff as TariffObject
from tokens.models import Token
from tokens.objects import WhitelistType


def amount(value: Any) -> str:
    """A number with two decimals, however it is spelled."""
    found = lenient.number(value)
    return "?" if found is None or found.adjusted() > 12 else f"{found:.2f}"


def _document(stored: StoredObject) -> bytes:
    """An empty object when it is none any more."""
    return bytes(stored.document) or b"{}"


def _count(items: Any) -> int:
    return len(items) if isinstance(items, list) else 0


class StoredTable(ReadOnlyTable):
    """One row a variant of an object, the newest first."""

    list_filter: tuple[Any, ...] = ("owner", "audience", "last_updated")
    search_fields: tuple[str, ...] = ("owner", "^object_id")
    search_help_text = "Owner (NL-CPO) or the beginning of an id"
    ordering = ("-last_updated", "-id")
    facts: tuple[str, ...] = ()

    def get_readonly_fields(self, request: Any, obj: Any = None) -> tuple[str, ...]:
        """All fields are read only, the computed ones, too."""
        return (*self.facts, "teller", "document_")

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        """The same for every kind."""
        return (
            (None, {"fields": ("owner", *self.facts)}),
            ("How it came", {"fields": ("teller", "last_updated", "received_at")}),
            ("Document", {"fields": ("document_",)}),
        )

    @column("for", ordering="audience")
    def audience_(self, stored: StoredObject) -> str:
        """Everybody, or the one party that was told this variant."""
        return f"{stored.audience} alone" if stored.audience else "everybody"

    @column("told by")
    def teller(self, stored: StoredObject) -> str:
        """Its owner, or an aggregator in its stead."""
        return stored.told_by or "its owner"

    @column("last updated", ordering="last_updated")
    def updated(self, stored: StoredObject) -> SafeString | None:
        """How long ago it was updated, by its owner's clock."""
        return ago(stored.last_updated)

    @column("document")
    def document_(self, stored: StoredObject) -> SafeString | None:
        """Whole; what identifies a driver is masked."""
        return pretty(stored.document)


class _Place(msgspec.Struct):
    name: Any = None
    city: Any = None
    evses: Any = None
    publish: Any = None


_place = heads.reader(_Place)


@admin.register(Location)
class LocationAdmin(StoredTable):
    """Locations with their EVSEs, and what they do not tell."""

    list_filter = (*StoredTable.list_filter, completeness.MissingFilter)
    list_select_related = ("outline",)
    facts = ("object_id", "place", "evses", "publish", "audience_")
    list_display = (
        *("object_id", "owner", "place", "evses", "missing", "publish", "audience_", "updated"),
    )

    def get_readonly_fields(self, request: Any, obj: Any = None) -> tuple[str, ...]:
        """With what drivers ask for."""
        return (*super().get_readonly_fields(request, obj), "asked_for")

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        """What is missing stands before the document in which it is."""
        *first, document = super().get_fieldsets(request, obj)
        return (*first, ("What drivers ask for", {"fields": ("asked_for",)}), document)

    def changelist_view(self, request: Any, extra_context: Any = None) -> Any:
        """What has come since is looked at first, so much of it."""
        outlines.catch_up()
        return super().changelist_view(request, extra_context)

    @column("missing")
    def missing(self, location: Location) -> str:
        """Of what drivers ask for."""
        seen = getattr(location, "outline", None)
        if seen is None:
            return "not looked at yet"
        return ", ".join(completeness.missing(vars(seen)))

    @column("what drivers ask for")
    def asked_for(self, location: Location) -> SafeString:
        """Each with whether it is told, by the document as it is now."""
        values = outlines.outline(_document(location))
        heads_ = ("field", "told", "what is asked")
        rows = [
            zip(heads_, (name, _told(is_missing=values[name_]), asked), strict=True)
            for name_, (name, asked) in completeness.GAPS.items()
        ]
        return render_to_string("console/rows.html", {"heads": heads_, "rows": rows})

    @column("place")
    def place(self, location: Location) -> str:
        found = _place(_document(location))
        return ", ".join(text for text in map(heads.text, (found.name, found.city)) if text)

    @column("EVSEs")
    def evses(self, location: Location) -> int:
        return _count(_place(_document(location)).evses)

    @column("published")
    def publish(self, location: Location) -> str:
        """Whether drivers may be shown it."""
        return "yes" if _place(_document(location)).publish is True else "no"


def _told(*, is_missing: bool) -> SafeString:
    return badge("missing", AMBER) if is_missing else badge("told", GREEN)


class _Price(msgspec.Struct):
    currency: Any = None
    type: Any = None
    elements: Any = None


_price = heads.reader(_Price)


@admin.register(Tariff)
class TariffAdmin(StoredTable):
    """Tariffs, in words and by the hour."""

    facts = ("object_id", "currency", "kind", "elements", "audience_")
    list_display = (
        *("object_id", "owner", "prices_", "currency", "kind", "elements", "audience_", "updated"),
    )

    def get_readonly_fields(self, request: Any, obj: Any = None) -> tuple[str, ...]:
        """With what it says."""
        return (*super().get_readonly_fields(request, obj), "said", "hours")

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        """Its words first, the document last."""
        whose, *rest = super().get_fieldsets(request, obj)
        return (whose, ("In words", {"fields": ("said", "hours")}), *rest)

    @column("prices")
    def prices_(self, tariff: Tariff) -> str:
        """From the lowest to the highest of each kind."""
        found = _read(tariff)
        return tariff_words.summary(found) if isinstance(found, TariffObject) else ""

    @column("what it says")
    def said(self, tariff: Tariff) -> SafeString:
        """One sentence for each of its elements."""
        found = _said(tariff)
        if isinstance(found, str):
            return format_html("{}", found)
        return render_to_string("console/sentences.html", {"lines": found.words})

    @column("prices by the hour")
    def hours(self, tariff: Tariff) -> SafeString | None:
        """By the clock of the Location, and what is not in the table."""
        found = _said(tariff)
        if isinstance(found, str):
            return None
        days = [
            (day.name, [tuple(zip(tariff_words.HEADS, row, strict=True)) for row in day.rows])
            for day in found.days
        ]
        heads_ = tariff_words.HEADS
        context = {"days": days, "heads": heads_, "doubts": found.doubts}
        return render_to_string("console/tariff_hours.html", context)

    @column("currency")
    def currency(self, tariff: Tariff) -> str:
        return heads.text(_price(_document(tariff)).currency)

    @column("type")
    def kind(self, tariff: Tariff) -> str | None:
        """The type of the Tariff: when it applies."""
        return heads.text(_price(_document(tariff)).type) or None

    @column("elements")
    def elements(self, tariff: Tariff) -> int:
        return _count(_price(_document(tariff)).elements)


def _read(tariff: Tariff) -> TariffObject | str:
    """Why it cannot be read, where it cannot."""
    if not tariff.document:
        return f"It has ended for {tariff.audience}."
    try:
        return decode(bytes(tariff.document), TariffObject)
    except OcpiError as error:
        return f"It cannot be put into words: {error}"


def _said(tariff: Tariff) -> tariff_words.Said | str:
    found = _read(tariff)
    return found if isinstance(found, str) else tariff_words.said(found, timezone.now().date())


class _Card(msgspec.Struct):
    issuer: Any = None
    valid: Any = None
    whitelist: Any = None


_card = heads.reader(_Card)


@admin.register(Token)
class TokenAdmin(StoredTable):
    """Tokens; only the end of a uid is shown, since anybody who knows it can charge with it."""

    search_fields = ("owner", "=object_id")
    search_help_text = "Owner (DE-MSP) or a whole uid"
    list_filter = ("owner", "audience", "type", "last_updated")
    facts = ("uid", "type", "issuer", "valid", "whitelist", "audience_")
    list_display = ("uid", "type", "owner", "issuer", "valid", "whitelist", "audience_", "updated")

    @column("uid")
    def uid(self, token: Token) -> str:
        """The last characters of the uid, which is a secret."""
        return hint(token.object_id)

    @column("issuer")
    def issuer(self, token: Token) -> str:
        """The issuer, as printed on the card."""
        return heads.text(_card(_document(token)).issuer)

    @column("valid")
    def valid(self, token: Token) -> SafeString:
        is_valid = _card(_document(token)).valid is True
        return badge("valid" if is_valid else "invalid", GREEN if is_valid else RED)

    @column("whitelist")
    def whitelist(self, token: Token) -> SafeString:
        """Amber: authorized in real time only."""
        word = heads.text(_card(_document(token)).whitelist, 40)
        return badge(word, AMBER if word == WhitelistType.NEVER else GREY)


class _Bill(msgspec.Struct):
    currency: Any = None
    total_cost: Any = None
    total_energy: Any = None
    credit: Any = None


_bill = heads.reader(_Bill)
_CHECKS: Final = {CheckResult.AS_PRICED: GREEN, CheckResult.DIFFERENT: RED}


@admin.register(Cdr)
class CdrAdmin(StoredTable):
    """CDRs that their eMSP has taken, each with its answer."""

    list_filter = ("priced__result", "owner", "audience", "last_updated")
    list_select_related = ("priced",)
    facts = ("object_id", "emsp", "cost", "kwh", "priced_", "answer", "location_", "answer_")
    list_display = ("object_id", "owner", "emsp", "cost", "kwh", "priced_", "answer", "updated")

    @column("eMSP", ordering="audience")
    def emsp(self, cdr: Cdr) -> str:
        """The eMSP that pays the bill."""
        return cdr.audience

    @column("cost without VAT")
    def cost(self, cdr: Cdr) -> str:
        """A Credit CDR takes money back."""
        bill = _bill(_document(cdr))
        total = bill.total_cost
        total = total.get("excl_vat") if isinstance(total, dict) else total
        credit = " (credit)" if bill.credit is True else ""
        return f"{amount(total)} {heads.text(bill.currency, 40)}{credit}"

    @column("energy (kWh)")
    def kwh(self, cdr: Cdr) -> str:
        """The energy in total."""
        return amount(_bill(_document(cdr)).total_energy)

    @column("beside its Tariffs")
    def priced_(self, cdr: Cdr) -> SafeString | None:
        """Whether it bills what its Tariffs say; what differs, field by field."""
        found: CdrCheck | None = getattr(cdr, "priced", None)
        if found is None:
            return None
        words = [found.reason] if found.reason else []
        for each in found.differences:
            by = f" by {', '.join(each['elements'])}" if each["elements"] else ""
            words.append(f"{each['field']} {each['billed']}, {each['computed']}{by}")
        color = _CHECKS.get(CheckResult(found.result), GREY)
        return format_html("{} {}", badge(found.get_result_display(), color), "; ".join(words))

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
        return pretty(cdr.answer_body)
