"""A check as plain text, for a terminal and for mails to a party's engineer."""

import textwrap
from collections.abc import Iterator

from hub.conformance.findings import Finding, Outcome
from hub.conformance.models import ConformanceCheck
from hub.log import escaped

WIDTH = 110


def report(check: ConformanceCheck, *, is_full: bool = False) -> str:
    """What failed, with all that is known; what passed in a line each, unless `is_full`."""
    seconds = 0.0
    if check.ended_at and check.began_at:
        seconds = (check.ended_at - check.began_at).total_seconds()
    when = f"{check.created_at:%Y-%m-%d %H:%M} UTC"
    lines = [
        f"{check.identity} ({check.platform}), checked at {when} in {seconds:.1f} s:",
        f"{check.summary}.",
    ]
    found = check.all_findings
    for finding in (one for one in found if one.outcome is Outcome.FAILED):
        lines += ["", f"FAILED  {_title(finding)}", *_details(finding)]
    passed = [one for one in found if one.outcome is Outcome.PASSED]
    if passed:
        lines += ["", "PASSED"]
        for finding in passed:
            lines += [f"  {_title(finding)}", *(_details(finding) if is_full else ())]
    lines += _not_tried([one for one in found if one.outcome is Outcome.NOT_TRIED])
    return "\n".join(lines) + "\n"


def _not_tried(findings: list[Finding]) -> list[str]:
    """One paragraph for each reason."""
    titles: dict[str, list[str]] = {}
    for finding in findings:
        reason = f"[{finding.subject}] {finding.advice}" if finding.subject else finding.advice
        titles.setdefault(reason, []).append(finding.title)
    lines = ["", "NOT TRIED"] if titles else []
    for reason, named in titles.items():
        lines += [f"  {escaped(reason)}", *(f"    {title}" for title in named)]
    return lines


def _title(finding: Finding) -> str:
    subject = f" [{finding.subject}]" if finding.subject else ""
    return escaped(f"{finding.title}{subject}")


def _details(finding: Finding) -> Iterator[str]:
    for name, value in (
        ("text", finding.chapter),
        ("sent", finding.sent),
        ("came", finding.came),
        ("request", f"X-Request-ID {finding.request_id}" if finding.request_id else ""),
        ("change", finding.advice),
    ):
        if value:
            yield textwrap.fill(
                escaped(" ".join(value.split())),
                WIDTH,
                initial_indent=f"        {name:7} ",
                subsequent_indent=" " * 16,
                break_long_words=False,
                break_on_hyphens=False,
            )
