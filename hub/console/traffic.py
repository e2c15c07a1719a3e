"""Traffic and latency of a party: what its platform has sent and got, by the record's minutes."""

from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from django.db.models import Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from hub.console.knowledge import table
from hub.models import Party
from hub.record.models import Minute
from hub.record.note import Direction

_WORDS: Final = {Direction.IN: "sent to the hub", Direction.OUT: "got from the hub"}
_SPANS: Final = (("15 minutes", timedelta(minutes=15)), ("3 hours", timedelta(hours=3)))


def of_party(party: Party) -> SafeString:
    """Of its whole platform; the failed ones lead to the record."""
    now = timezone.now()
    rows = []
    for words, span in _SPANS:
        since = now - span
        counted = (
            Minute.objects.filter(platform_id=party.platform_id, module="", at__gte=since)
            .values("direction")
            .order_by("direction")
            .annotate(messages=Sum("number"), failures=Sum("failed"), time=Sum("seconds"))
        )
        for one in counted:
            number, failed = one["messages"], one["failures"]
            rows.append(
                (
                    f"last {words}",
                    _WORDS[Direction(one["direction"])],
                    f"{number:,}",
                    f"{number / (span / timedelta(minutes=1)):.1f}",
                    f"{failed:,} ({failed / number:.1%})",
                    f"{one['time'] / number * 1000:.0f} ms",
                )
            )
    heads = ("within", "messages", "number", "a minute", "failed", "mean time")
    return table(heads, rows, "No message within 3 hours.") + _links(party)


def _links(party: Party) -> SafeString:
    query = {"party": str(party.identity)}
    return format_html(
        '<p class="console-links"><a href="{0}?{1}">Messages</a> <a href="{0}?{1}&failed=1">Failed '
        'messages</a> <a href="{2}?{1}">CSV of a period</a></p>',
        reverse("messages"),
        urlencode(query),
        reverse("export"),
    )
