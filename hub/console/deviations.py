"""What a platform sends that differs from the text, on its page."""

from django.utils.safestring import SafeString

from hub.console.tables import ReadOnlyRows, ago, column
from hub.deviations.models import DeviationCount
from hub.deviations.rules import rule_of


class DeviationRows(ReadOnlyRows):
    """Rule by rule and place by place, what was met last first (hub/deviations/)."""

    model = DeviationCount
    verbose_name_plural = "what differs from the text"
    fields = ("rule_", "path", "example", "number", "first_", "last_", "asked")
    readonly_fields = fields
    ordering = ("-last_at", "rule", "path")
    show_change_link = False

    @column("met")
    def rule_(self, row: DeviationCount) -> str:
        """The rule in words."""
        return rule_of(row.rule).title

    @column("first")
    def first_(self, row: DeviationCount) -> SafeString | None:
        """When it was first met."""
        return ago(row.first_at)

    @column("last")
    def last_(self, row: DeviationCount) -> SafeString | None:
        """When it was last met."""
        return ago(row.last_at)

    @column("the text asks")
    def asked(self, row: DeviationCount) -> str:
        """What to send instead."""
        return rule_of(row.rule).asked
