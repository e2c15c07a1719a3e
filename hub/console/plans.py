"""Cost and saving of a session, and what its driver's app has told (SCALE D2.3, 8.4)."""

from collections.abc import Iterator
from decimal import Decimal

from django.utils.safestring import SafeString

from flex.api.models import Prepared, Wish
from flex.api.objects import Cost, Saving
from hub.console.knowledge import table
from hub.console.tables import ago, badge
from sessions.models import Session


def told_by_app(session: Session) -> SafeString:
    """Wishes that OCPI has no field for, and preferences that were given before the session."""
    rows = [
        (name, f"{value}", ago(wish.told_at))
        for wish in Wish.objects.filter(session=session)
        for name, value in wish.wishes.items()
    ]
    rows += [
        ("preferences before the session", f"{badge(one.state)} {one.outcome}", ago(one.created_at))
        for one in Prepared.objects.filter(session=session).order_by("-created_at")[:20]
    ]
    return table(("what", "value", "told"), rows, "Nothing was told that OCPI has no field for.")


def cost_table(cost: Cost, saving: Saving) -> SafeString:
    """What it has cost, and what steering has saved."""
    return table(("", "without VAT"), _cost_rows(cost, saving), "")


def _cost_rows(cost: Cost, saving: Saving) -> Iterator[tuple[str, str]]:
    yield "told by the CPO", money(cost.told_by_cpo, cost.currency) or "nothing"
    yield "by its Tariff", money(cost.by_tariff, cost.currency) or (cost.unclear or "")
    yield "saved against uncontrolled", money(saving.amount, saving.currency) or saving.why or ""
    if saving.how:
        yield "computed", saving.how


def money(amount: Decimal | None, currency: str | None) -> str:
    """An amount with its currency; "" where it is not known."""
    return "" if amount is None else f"{amount:.2f} {currency or ''}".strip()
