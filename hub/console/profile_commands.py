"""Charging profile commands: who asked whom for what, how it ended, and why."""

from django.contrib import admin
from django.utils.safestring import SafeString

from charging_profiles.models import CommandState, ProfileCommand
from charging_profiles.objects import ChargingProfileResponseType
from hub.console.documents import address, pretty
from hub.console.tables import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    ReadOnlyTable,
    ago,
    badge,
    column,
    duration,
)
from hub.console.tables import span as time_between
from hub.ocpi import envelope
from hub.ocpi.masking import without_keys
from hub.ocpi.results import answer_of

STATE_COLOURS = {
    CommandState.WAITING: GREY,
    CommandState.SENDING: BLUE,
    CommandState.ACCEPTED: BLUE,
    CommandState.REFUSED: RED,
    CommandState.NO_RESULT: RED,
    CommandState.UNREACHABLE: RED,
    CommandState.TIMED_OUT: RED,
    CommandState.RESULT_ACCEPTED: GREEN,
    CommandState.RESULT_REJECTED: RED,
    CommandState.RESULT_UNKNOWN: AMBER,
    CommandState.RESULT_OTHER: AMBER,
    CommandState.EXPIRED: AMBER,
    CommandState.SUPERSEDED: GREY,
}
FAILED = (
    CommandState.REFUSED,
    CommandState.NO_RESULT,
    CommandState.UNREACHABLE,
    CommandState.TIMED_OUT,
    CommandState.RESULT_REJECTED,
    CommandState.EXPIRED,
)


def state_badge(command: ProfileCommand) -> SafeString:
    """Green is done, blue on its way, amber ended without an effect, red failed."""
    state = CommandState(command.state)
    return badge(state.value.replace("_", " "), STATE_COLOURS[state], str(state.label))


def why(command: ProfileCommand) -> str:
    """The reason of an end that is not a success, in one line."""
    if command.problem:
        return command.problem
    if command.state != CommandState.REFUSED:
        return "" if command.state == CommandState.RESULT_ACCEPTED else _label(command)
    return answer_in_words(command)


def answer_in_words(command: ProfileCommand) -> str:
    """The CPO's own answer: its result where OCPI knows it, and what is odd of it."""
    answer = envelope.read_answer(bytes(command.answer_body))
    said = answer_of(bytes(answer.data))
    known = said.result if said and said.result in ChargingProfileResponseType.__members__ else ""
    code = f"OCPI {answer.status_code}" if answer.status_code is not None else ""
    if answer.is_success and not known:
        known = f"result {said.result[:30]!r}" if said else "no result in its answer"
    told = [part for part in (known, code, answer.status_message) if part]
    return ", ".join(told) or f"HTTP {command.answer_http_status}"


def _label(command: ProfileCommand) -> str:
    ended = command.state in FAILED or command.state == CommandState.SUPERSEDED
    return str(CommandState(command.state).label) if ended else ""


@admin.register(ProfileCommand)
class ProfileCommandAdmin(ReadOnlyTable):
    """One row a command."""

    list_display = (
        "method",
        "session_id_sent",
        "from_",
        "to_",
        "state_",
        "result_",
        "why_",
        "took",
        "age",
    )
    list_display_links = ("method", "session_id_sent")
    list_filter = ("state", "method", "is_late", "fsp_platform", "cpo_platform", "created_at")
    search_fields = ("session_id_sent", "correlation_id", "fsp_party_id", "cpo_party_id")
    search_help_text = "Session id, party id or correlation id"
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": ("method", "session", "from_", "to_", "state_", "why_", "late")}),
        (
            "Asked",
            {
                "fields": (
                    "created_at",
                    "age",
                    "epoch",
                    "correlation_id",
                    "attempts",
                    "sent_at",
                    "sent_to",
                    "body_",
                )
            },
        ),
        (
            "The CPO's own answer",
            {
                "fields": (
                    "answer_by",
                    "answered_at",
                    "took",
                    "answer_http_status",
                    "passed_on_at",
                    "answer_",
                )
            },
        ),
        (
            "The result",
            {
                "fields": (
                    "result",
                    "result_by",
                    "result_at",
                    "result_took",
                    "follows",
                    "in_force",
                    "goes_to",
                    "is_result_handed_over",
                    "result_body_",
                )
            },
        ),
    )
    readonly_fields = (
        "from_",
        "to_",
        "state_",
        "why_",
        "late",
        "age",
        "took",
        "sent_to",
        "body_",
        "answer_",
        "result_took",
        "goes_to",
        "result_body_",
    )

    @column("from", ordering="fsp_party_id")
    def from_(self, command: ProfileCommand) -> str:
        return str(command.fsp)

    @column("to", ordering="cpo_party_id")
    def to_(self, command: ProfileCommand) -> str:
        return str(command.cpo)

    @column("state", ordering="state")
    def state_(self, command: ProfileCommand) -> SafeString:
        return state_badge(command)

    @column("result", ordering="result")
    def result_(self, command: ProfileCommand) -> SafeString | str:
        """What the CPO posted, marked when it came late."""
        if command.is_late:
            return badge(f"{command.result} late", AMBER, "it came after the command had ended")
        return command.result

    @column("why")
    def why_(self, command: ProfileCommand) -> str:
        """The reason of an end that is not a success."""
        return why(command)

    @column("late")
    def late(self, command: ProfileCommand) -> SafeString:
        """Whether the result came after the command had ended."""
        return badge("late", AMBER) if command.is_late else badge("no")

    @column("CPO took")
    def took(self, command: ProfileCommand) -> str | None:
        """From our row to its own answer."""
        return time_between(command.created_at, command.answered_at)

    @column("result came after")
    def result_took(self, command: ProfileCommand) -> str | None:
        """From its answer to its result."""
        if command.result_at and command.answered_at and command.result_at < command.answered_at:
            return f"{duration(command.answered_at - command.result_at)} before the answer"
        return time_between(command.answered_at, command.result_at)

    @column("age", ordering="-created_at")
    def age(self, command: ProfileCommand) -> SafeString | None:
        """How long ago it came."""
        return ago(command.created_at)

    @column("sent to")
    def sent_to(self, command: ProfileCommand) -> str:
        """The CPO's URL, without the key of ours in it."""
        return without_keys(command.path)

    @column("the result goes to")
    def goes_to(self, command: ProfileCommand) -> str:
        """The FSP's response_url, without its query."""
        return address(command.response_url)

    @column("body")
    def body_(self, command: ProfileCommand) -> SafeString | None:
        """As the CPO got it."""
        return pretty(command.body)

    @column("answer")
    def answer_(self, command: ProfileCommand) -> SafeString | None:
        """As the FSP got it."""
        return pretty(command.answer_body)

    @column("as posted")
    def result_body_(self, command: ProfileCommand) -> SafeString | None:
        """As the FSP got it."""
        return pretty(command.result_body)
