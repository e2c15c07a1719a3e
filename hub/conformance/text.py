"""A check as plain text, for a terminal and for mails to a party's engineer."""

import textwrap
from collections.abc import Iterator

from hub.conformance.findings import Finding, Outcome
from hub.conformance.models import ConformanceCheck

WIDTH = 110


def report(check: ConformanceCheck) -> str:
    """What failed in full; what passed and what was not tried in a line each."""
    seconds = 0.0
    if check.ended_at and check.began_at:
        seconds = (check.ended_at - check.began_at).total_seconds()
    when = f"{check.created_at:%Y-%m-%d %H:%M} UTC"
    lines = [
        f"{check.identity} ({check.platform}), checked at {when} in {seconds:.1f} s:",
        f"{check.summary}.",
    ]
    by_outcome: dict[Outcome, list[Finding]] = {outcome: [] for outcome in Outcome}
    for finding in check.all_findings:
        by_outcome[finding.outcome].append(finding)
    for finding in by_outcome[Outcome.FAILED]:
        lines += ["", f"FAILED  {_title(finding)}", *_details(finding)]
    if by_outcome[Outcome.NOT_TRIED]:
        lines += ["", "NOT TRIED"]
        lines += [f"  {_title(one)}: {one.advice}" for one in by_outcome[Outcome.NOT_TRIED]]
    if by_outcome[Outcome.PASSED]:
        lines += ["", "PASSED"]
        lines += [f"  {_title(one)}" for one in by_outcome[Outcome.PASSED]]
    return "\n".join(lines) + "\n"


def _title(finding: Finding) -> str:
    subject = f" [{finding.subject}]" if finding.subject else ""
    return f"{finding.title}{subject}"


def _details(finding: Finding) -> Iterator[str]:
    for name, value in (
        ("text", finding.chapter),
        ("sent", finding.sent),
        ("came", finding.came),
        ("change", finding.advice),
    ):
        if value:
            yield textwrap.fill(
                value,
                WIDTH,
                initial_indent=f"        {name:7} ",
                subsequent_indent=" " * 16,
                break_long_words=False,
                break_on_hyphens=False,
            )
