"""Plan against price, cost and saving of a session, as plain tables (SCALE D2.3, 8.4).

Computed when the page is opened, as the flex API shows them (flex/api/shown.py).
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.utils.safestring import SafeString

from flex.api.emsp_shown import emsp_session
from flex.api.models import Prepared, Wish
from flex.api.shown import Shower, last_taken, latest_preferences
from flex.knowledge import active
from flex.knowledge.profiles import Profile
from hub.console.knowledge import table
from hub.console.tables import ReadOnlyRows, local
from sessions.models import Session


class WishRows(ReadOnlyRows):
    """What the driver's app has told beside OCPI."""

    model = Wish
    verbose_name_plural = "wishes that OCPI has no field for"
    fields = ("wishes", "told_at")
    show_change_link = False


class PreparedRows(ReadOnlyRows):
    """Preferences that were given before the session."""

    model = Prepared
    fields = ("state", "outcome", "attempts", "created_at", "ended_at")


def plan_table(session: Session) -> SafeString:
    """Each quarter of an hour: its price, and the limits that were pushed and that are active."""
    if session.is_over:
        return table((), (), "The session is over.")
    prices = Shower().prices(session, latest_preferences(session))
    command, seen = last_taken(session), active.latest(session)
    pushed = Profile.read(bytes(command.body), command.created_at) if command else None
    rows = [
        (
            local(step.start),
            step.why if step.per_kwh is None else f"{step.per_kwh:f} {prices.currency}",
            _limit(pushed, step.start),
            _limit(seen.profile if seen else None, step.start),
        )
        for step in prices.steps
    ]
    nothing = " ".join(prices.unclear) or "No price is known."
    return table(("from", "a kWh costs", "pushed", "active"), rows, nothing)


def _limit(profile: Profile | None, moment: Any) -> str:
    limit = None if profile is None else profile.at(moment)
    return "" if limit is None or profile is None else f"{float(limit):g} {profile.unit}"


def cost_table(session: Session) -> SafeString:
    """What it has cost, and what steering has saved."""
    return table(("", "without VAT"), _cost_rows(session), "")


def _cost_rows(session: Session) -> Iterator[tuple[str, str]]:
    shown = emsp_session(session, Shower())
    cost, saving = shown.cost, shown.saving
    yield "told by the CPO", _amount(cost.told_by_cpo, cost.currency)
    yield "by its Tariff", _amount(cost.by_tariff, cost.currency) or (cost.unclear or "")
    yield "saved against uncontrolled", _amount(saving.amount, saving.currency) or saving.why or ""
    if saving.how:
        yield "computed", saving.how


def _amount(amount: Decimal | None, currency: str | None) -> str:
    return "" if amount is None else f"{amount:.2f} {currency or ''}".strip()
