"""What a check says: one finding for each rule, and for each module that the rule is about."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from party.check.probe import Call


class Outcome(StrEnum):
    """What a check has found about one rule."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    NOT_TRIED = "NOT_TRIED"


class Finding(msgspec.Struct, omit_defaults=True, kw_only=True):
    """For a party's engineer: the rule, what was sent, what came back, what to change."""

    rule: str
    chapter: str
    title: str
    outcome: Outcome
    subject: str = ""
    sent: str = ""
    came: str = ""
    # To find it in the party's own log.
    request_id: str = ""
    # What to change; of a rule that was not tried, why not.
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One sentence of the text; `change` is what helps those who break it."""

    id: str
    chapter: str
    title: str
    change: str

    def passed(self, call: Call | None = None, note: str = "", subject: str = "") -> Finding:
        """As the text says."""
        return self._finding(Outcome.PASSED, call, note, "", subject)

    def failed(
        self, call: Call | None, what: str = "", subject: str = "", change: str = ""
    ) -> Finding:
        """Not as the text says; `what` is seen beside the answer's status."""
        return self._finding(Outcome.FAILED, call, what, change or self.change, subject)

    def not_tried(self, reason: str, subject: str = "") -> Finding:
        """Nothing can be said, and why."""
        return self._finding(Outcome.NOT_TRIED, None, "", reason, subject)

    def judge(self, is_right: bool, call: Call, what: str = "", subject: str = "") -> Finding:
        """Passed or failed; not tried when no answer came at all, which is a rule of its own."""
        if call.status is None:
            return self.not_tried(f"no answer to {call.asked}: {call.problem}", subject)
        return self.passed(call, what, subject) if is_right else self.failed(call, what, subject)

    def _finding(
        self, outcome: Outcome, call: Call | None, what: str, advice: str, subject: str
    ) -> Finding:
        came = "; ".join(part for part in (call.said if call else "", what) if part)
        return Finding(
            rule=self.id,
            chapter=self.chapter,
            title=self.title,
            outcome=outcome,
            subject=subject,
            sent=call.asked if call else "",
            came=came,
            request_id=call.request_id if call else "",
            advice=advice,
        )
