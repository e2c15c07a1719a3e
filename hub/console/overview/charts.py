"""Small charts over time, drawn here as SVG: no script, no style of their own, nothing fetched.

Colours come from the style sheet by class, so that they fit light and dark.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_HEIGHT: Final = 100
_BAR: Final = 0.78  # of the room for one
_LINE: Final = 24


def bars(numbers: Sequence[int], failures: Sequence[int], last: datetime, told: str) -> SafeString:
    """A bar a minute, the failed part of it in red at its foot; `last` is the newest minute."""
    most = max(*numbers, 1)
    first = last - timedelta(minutes=len(numbers) - 1)
    drawn = (
        _bar(place, number, failed, most, first + timedelta(minutes=place))
        for place, (number, failed) in enumerate(zip(numbers, failures, strict=True))
    )
    return format_html(
        '<svg class="chart-bars" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg>',
        len(numbers),
        _HEIGHT,
        told,
        format_html_join("", "{}", ((one,) for one in drawn)),
    )


def _bar(place: int, number: int, failed: int, most: int, at: datetime) -> SafeString:
    height, red = (round(_HEIGHT * part / most, 2) for part in (number, failed))
    # What is there is seen, however little it is.
    height, red = (max(part, 2) if part else 0 for part in (height, red))
    return format_html(
        '<g><title>{}</title><rect class="chart-room" x="{x}" y="0" width="1" height="{}"/>'
        '<rect class="chart-all" x="{x}" y="{}" width="{w}" height="{}"/>'
        '<rect class="chart-failed" x="{x}" y="{}" width="{w}" height="{}"/></g>',
        f"{at:%H:%M}: {number:,} messages, {failed:,} failed",
        _HEIGHT,
        _HEIGHT - height,
        height,
        _HEIGHT - red,
        red,
        x=place,
        w=_BAR,
    )


def line(numbers: Sequence[int], failures: Sequence[int], told: str) -> SafeString:
    """The same for a line of a table: an area, and the failed ones before it."""
    most = max(*numbers, 1)
    return format_html(
        '<svg class="chart-line" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><path class="chart-all" d="{}"/><path class="chart-failed" d="{}"/></svg>',
        len(numbers) - 1,
        _LINE,
        told,
        _area(numbers, most),
        _area(failures, most) if any(failures) else "",
    )


def _area(numbers: Sequence[int], most: int) -> str:
    points = (
        f"L{place} {round(_LINE - (_LINE - 1) * number / most, 1):g}"
        for place, number in enumerate(numbers)
    )
    return f"M0 {_LINE} {' '.join(points)} L{len(numbers) - 1} {_LINE}Z"
