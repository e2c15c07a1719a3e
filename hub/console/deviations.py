"""What a platform sends that differs from the text, and what is left out, on its page."""

from collections.abc import Iterable
from typing import Final

from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from hub.conformance import left_out
from hub.console.tables import ReadOnlyRows, ReadOnlyTable, ago, column
from hub.deviations.models import DeviationCount
from hub.deviations.rules import rule_of
from hub.models import Platform
from hub.routing.directory import CONFIRMATION_WAIT
from hub.store import leaving_out
from hub.store.kinds import kinds_left_out

# The field that is more than a field: hub/store/leaving_out.py turns it.
SWITCH: Final = "leaves_out_deviations"
_MOST_LINES: Final = 30


class DeviationRows(ReadOnlyRows):
    """Rule by rule and place by place, what was met last first (hub/deviations/)."""

    model = DeviationCount
    verbose_name_plural = "what differs from the text"
    fields = ("met", "example", "number", "seen", "asked")
    readonly_fields = fields
    ordering = ("-last_at", "rule", "path")
    show_change_link = False

    @column("met")
    def met(self, row: DeviationCount) -> SafeString:
        return _met(row)

    @column("first and last")
    def seen(self, row: DeviationCount) -> SafeString:
        return _seen(row)

    @column("the text asks")
    def asked(self, row: DeviationCount) -> str:
        """What to send instead."""
        return rule_of(row.rule).asked


# --- What is left out ----------------------------------------------------------------------------


def switch(request: HttpRequest, platform_id: int, *, on: bool) -> None:
    """Turn it, and say what that means from now on; outside of a transaction."""
    platform = Platform.objects.get(pk=platform_id)
    confirmed = leaving_out.switch(platform, kinds_left_out(), on=on)
    messages.success(request, leaving_out.explained(platform))
    if not confirmed:
        wait = f"{CONFIRMATION_WAIT:g} s"
        messages.warning(request, f"Not every web process has confirmed it within {wait}.")


def left_out_for(platform: Platform) -> SafeString | None:
    """What its lists and pushes are without, by module and owner; None for nothing."""
    found = left_out.sides(platform.pk).for_it
    return _lines(format_html("{}", one.sentence()) for one in _most_first(found))


def left_out_of(platform: Platform) -> SafeString | None:
    """Which platforms lack what of it; None for nothing."""
    found = left_out.sides(platform.pk, by_receiver=True).for_others
    names = dict(Platform.objects.values_list("pk", "name")) if found else {}
    return _lines(
        format_html(
            '<a href="{}">{}</a>: {}',
            reverse("admin:hub_platform_change", args=[one.receiver]),
            names.get(one.receiver, f"platform {one.receiver}"),
            one.sentence(),
        )
        for one in _most_first(found)
    )


def _most_first(found: Iterable[left_out.Missed]) -> list[left_out.Missed]:
    return sorted(found, key=lambda one: -one.objects)


def _lines(told: Iterable[SafeString]) -> SafeString | None:
    lines = list(told)
    if len(lines) > _MOST_LINES:
        more = len(lines) - _MOST_LINES
        lines[_MOST_LINES:] = [format_html("and {} more", more)]
    return format_html_join(mark_safe("<br>"), "{}", ((line,) for line in lines)) or None


@admin.register(DeviationCount)
class DeviationAdmin(ReadOnlyTable):
    """One row a platform, rule and place; what was met last comes first."""

    list_display = ("platform", "met", "example", "number", "seen", "asked")
    list_filter = ("rule", "platform")
    list_select_related = ("platform",)
    search_fields = ("platform__name", "rule", "path")
    search_help_text = "Platform, rule or path"
    ordering = ("-last_at", "-id")
    fields = ("platform", "met", "example", "number", "seen", "asked")
    readonly_fields = ("met", "seen", "asked")

    @column("met")
    def met(self, row: DeviationCount) -> SafeString:
        return _met(row)

    @column("first and last", ordering="last_at")
    def seen(self, row: DeviationCount) -> SafeString:
        return _seen(row)

    @column("the text asks")
    def asked(self, row: DeviationCount) -> str:
        """What to send instead."""
        return rule_of(row.rule).asked


def _met(row: DeviationCount) -> SafeString:
    """The rule in words, and where."""
    return format_html("{}<br><code>{}</code>", rule_of(row.rule).title, row.path)


def _seen(row: DeviationCount) -> SafeString:
    """When it was first met, and when last."""
    return format_html("{}<br>{}", ago(row.first_at), ago(row.last_at))
