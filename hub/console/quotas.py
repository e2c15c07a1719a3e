"""How much of its quotas each party has used, and the operator's word for a single party."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from hub.console.access import scope
from hub.console.tables import AMBER, RED, ReadOnlyTable, ago, badge, column
from hub.models import Platform
from hub.models.quotas import Usage

# From this share on an operator should look at it.
_NEARLY = 0.9


def used(usage: Usage) -> SafeString | str:
    """`1,234 of 200,000`, coloured when that is nearly or quite all."""
    most = usage.most
    text = f"{usage.number:,} of {most:,}" if most else f"{usage.number:,}, no quota"
    if not most or usage.number < _NEARLY * most:
        return text
    return badge(text, RED if usage.number >= most else AMBER)


def of_platform(platform: Platform) -> SafeString | None:
    """What the parties of a platform have in the hub; the numbers are some minutes old."""
    parties = {str(party.identity) for party in platform.parties.all()}
    rows = Usage.objects.filter(party__in=parties).order_by("party", "what")
    lines = [(usage.party, usage.what, used(usage), _refused(usage)) for usage in rows]
    return format_html_join(mark_safe("<br>"), "{}: {} {}{}", lines) or None


def _refused(usage: Usage) -> str:
    return f", {usage.refused:,} refused" if usage.refused else ""


@admin.register(Usage)
class UsageAdmin(ReadOnlyTable):
    """One row a party and kind; an operator may give a party a quota of its own."""

    list_display = ("party", "what", "used_", "refused", "refused_", "quota")
    list_filter = ("what",)
    search_fields = ("party",)
    search_help_text = "Party (NL-CPO)"
    ordering = ("-refused", "-number", "party", "what")
    fields = ("party", "what", "used_", "counted_", "refused", "refused_", "quota")
    readonly_fields = ("party", "what", "used_", "counted_", "refused", "refused_")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For the quota: the rest is read only."""
        return request.user.has_perm("hub.change_usage")

    def save_model(self, request: HttpRequest, obj: Usage, form: Any, change: bool) -> None:
        """The quota alone: the numbers are written by others meanwhile."""
        obj.save(update_fields=["quota"])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Usage]:
        return scope.rows(request.user, Usage.objects.all())

    @column("used", ordering="number")
    def used_(self, usage: Usage) -> SafeString | str:
        """How many are used, and of how many."""
        return used(usage)

    @column("counted")
    def counted_(self, usage: Usage) -> SafeString | None:
        """When they were last counted one by one."""
        return ago(usage.counted_at)

    @column("last refused", ordering="refused_at")
    def refused_(self, usage: Usage) -> SafeString | None:
        """When something new was last not taken."""
        return ago(usage.refused_at)
