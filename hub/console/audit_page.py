"""The audit trail: who did what to which object, newest first; nobody changes it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from hub.console.access.models import AuditEntry
from hub.console.tables import GREY, RED, ReadOnlyTable, ago, badge, column


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyTable):
    """One row an act."""

    list_display = ("age", "who", "way", "did", "object_name", "detail", "address")
    list_filter = ("way", "is_refused", "about", "at")
    search_fields = ("who", "act", "object_name", "detail")
    search_help_text = "Account, act, object or detail"
    ordering = ("-at", "-id")
    fields = (
        *("at", "who", "way", "address", "did"),
        *("about", "object_id", "object_name", "detail"),
    )
    readonly_fields = ("did",)

    @column("when", ordering="at")
    def age(self, entry: AuditEntry) -> SafeString | None:
        return ago(entry.at)

    @column("did", ordering="act")
    def did(self, entry: AuditEntry) -> SafeString:
        """What was refused is red."""
        if entry.is_refused:
            return badge(f"{entry.act} (refused)", RED)
        return badge(entry.act, GREY)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Administrators, and who answers for drivers' data."""
        return bool(request.user.has_perm("access.view_auditentry"))
