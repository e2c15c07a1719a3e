"""How many messages came in, minute by minute, and which share of them failed, by module."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.safestring import SafeString

from hub.console.overview import charts
from hub.record import minutes

MINUTES: Final = 60
# `none` and `custom` are no modules that one could search for.
_NOT_SEARCHED: Final = {"none": "no module", "custom": "custom modules"}


@dataclass(frozen=True, slots=True)
class ModuleLine:
    """One module: messages and failed ones in the hour, and where the failed ones are."""

    name: str
    number: int
    failed: int
    share: str
    chart: SafeString
    url: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """The last hour. `now` is a rate: messages in the last whole minute."""

    now: int
    number: int
    failed: int
    share: str
    most: int
    chart: SafeString
    modules: list[ModuleLine]
    failed_url: str


def percent(share: float) -> str:
    """0 %, 0.4 %, 12 %: nothing that failed is told as 0."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"


def of_last_hour(now: datetime) -> Traffic:
    """Out of counters (hub/record/minutes.py), whatever the number of messages."""
    modules = minutes.by_module(MINUTES, now)
    numbers = [sum(column) for column in zip(*(one.numbers for one in modules), strict=True)]
    failures = [sum(column) for column in zip(*(one.failures for one in modules), strict=True)]
    whole = minutes.Counted("", numbers or [0] * MINUTES, failures or [0] * MINUTES)
    told = f"Messages in by the minute: {whole.number:,} in the last hour, {whole.failed:,} failed"
    return Traffic(
        now=whole.numbers[-2],
        number=whole.number,
        failed=whole.failed,
        share=percent(whole.share),
        most=max(whole.numbers),
        chart=charts.bars(whole.numbers, whole.failures, now, told),
        modules=[_line(one) for one in modules],
        failed_url=f"{reverse('messages')}?failed=1",
    )


def _line(one: minutes.Counted) -> ModuleLine:
    asked = {"failed": "1"} if one.name in _NOT_SEARCHED else {"failed": "1", "module": one.name}
    name = _NOT_SEARCHED.get(one.name, one.name)
    return ModuleLine(
        name=name,
        number=one.number,
        failed=one.failed,
        share=percent(one.share),
        chart=charts.line(
            one.numbers, one.failures, f"{name}: {one.number:,} messages, {one.failed:,} failed"
        ),
        url=f"{reverse('messages')}?{urlencode(asked)}",
    )
