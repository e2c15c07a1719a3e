"""Erasures of drivers' data: who, when, how much; never whose."""

from django.contrib import admin
from django.utils.safestring import SafeString

from hub.console.tables import ReadOnlyTable, ago, column
from hub.models import Erasure


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyTable):
    """The audit of manage.py erase_driver."""

    list_display = ("emsp", "erased_by", "erased", "cdrs", "when")
    list_filter = ("emsp", "erased_at")
    search_fields = ("token_hash", "emsp", "erased_by")
    search_help_text = "eMSP, operator or the token's keyed hash"
    ordering = ("-erased_at",)
    fields = ("emsp", "erased_by", "erased_at", "token_hash", "cdrs", "erased", "left_")
    readonly_fields = ("cdrs", "erased", "left_")

    @column("erased")
    def erased(self, erasure: Erasure) -> str:
        """How much of each kind."""
        return _told(erasure.counts) or "nothing was found"

    @column("left for later")
    def left_(self, erasure: Erasure) -> str:
        """What was still going on."""
        return _told(erasure.left) or "nothing"

    @column("CDRs", ordering="are_cdrs_deleted")
    def cdrs(self, erasure: Erasure) -> str:
        """What became of the bills."""
        return "deleted" if erasure.are_cdrs_deleted else "under a pseudonym"

    @column("when", ordering="erased_at")
    def when(self, erasure: Erasure) -> SafeString | None:
        return ago(erasure.erased_at)


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
