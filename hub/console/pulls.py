"""The lists that the hub fetches, on the page of their platform."""

from django.utils.safestring import SafeString

from hub.console.tables import BLUE, GREEN, GREY, RED, ReadOnlyRows, ago, badge, column, local
from hub.models.pulls import Pull, PullState

STATE_COLOURS = {
    PullState.WAITING: GREY,
    PullState.RUNNING: BLUE,
    PullState.FINISHED: GREEN,
    PullState.FAILED: RED,
}


class PullRows(ReadOnlyRows):
    """The lists that the hub fetches from a platform (hub/sync/pull_tasks.py)."""

    model = Pull
    verbose_name_plural = "pulled lists"
    fields = ("list_", "state_", "read_", "last_error", "finished_", "due_", "pushed_")
    readonly_fields = fields
    ordering = ("country_code", "party_id", "module")
    show_change_link = False

    @column("list")
    def list_(self, pull: Pull) -> str:
        """The party and the module of the list."""
        return str(pull)

    @column("state")
    def state_(self, pull: Pull) -> SafeString:
        state = PullState(pull.state)
        return badge(state.value, STATE_COLOURS[state], str(state.label))

    @column("run")
    def read_(self, pull: Pull) -> str:
        """What the run under way, or the last one, has found."""
        counts = {
            "stored": pull.stored,
            "unchanged": pull.unchanged,
            "not valid": pull.bad,
            "of others": pull.foreign,
            "over quota": pull.over_quota,
            "removed": pull.removed,
        }
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count)

    @column("last finished")
    def finished_(self, pull: Pull) -> SafeString | None:
        """When a run last came to an end."""
        return ago(pull.finished_at)

    @column("next")
    def due_(self, pull: Pull) -> str | None:
        """When it is due, if the platform's rule asks for it then."""
        return local(pull.due_at)

    @column("last pushed")
    def pushed_(self, pull: Pull) -> SafeString | None:
        """When the party last pushed such an object by itself."""
        return ago(pull.pushed_at)
