"""Commands that change something are told in the audit trail (hub/console/access/audit.py)."""

from typing import Any, Final

from django.core.management.base import BaseCommand

from hub.console.access import audit

# Options that name what a command is about. No other is told: it could be a token, or a uid.
_TOLD: Final = (
    *(
        "party",
        "scsp",
        "cpo",
        "emsp",
        "one",
        "other",
        "session_id",
        "who",
        "role",
        "roles",
        "parties",
    ),
    *("module", "is_one", "on_return", "off", "take_back", "update", "end", "revoke"),
    *("minutes", "delete_cdrs", "with_running"),
    *("new", "forget", "shards", "push", "kind", "limit", "severity", "tell", "on", "remove"),
)
_DRY: Final = ("dry_run", "list", "check")


class AuditedCommand(BaseCommand):
    """Writes one entry when it has acted, unless it changed nothing (`--dry-run`)."""

    # Set by a command that has acted, and may tell a problem (exit code 1) all the same.
    has_acted = False

    def execute(self, *args: Any, **options: Any) -> Any:
        """The command, then its entry."""
        self.has_acted = False
        try:
            said = super().execute(*args, **options)
            self.has_acted = self.acts(options)
            return said
        finally:
            if self.has_acted:
                name = type(self).__module__.rpartition(".")[2]
                audit.of_command(name, _about(options), detail=_detail(options))

    def acts(self, options: dict[str, Any]) -> bool:
        """Whether it changes something when it ends well."""
        return not any(options.get(name) for name in _DRY)


def _about(options: dict[str, Any]) -> str:
    if options.get("country_code") and options.get("party_id"):
        return f"{options['country_code']}-{options['party_id']}".upper()
    return str(options.get("username") or options.get("session_id") or options.get("name") or "")


def _detail(options: dict[str, Any]) -> str:
    told = {name: options[name] for name in _TOLD if options.get(name)}
    return ", ".join(f"{name} {_text(value)}" for name, value in told.items())


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
