"""A check as plain text, for a terminal and for mails to a party's engineer."""

import textwrap
from collections.abc import Iterator
from datetime import datetime

from hub.conformance.findings import Finding, Outcome
from hub.conformance.models import ConformanceCheck
from hub.conformance.noted import Noted
from hub.log import escaped

WIDTH = 110  # characters
# Deviations shown, of up to 200; all of them with `is_full`.
MOST_NOTED = 30


def report(check: ConformanceCheck, noted: Noted, *, is_full: bool = False) -> str:
    """What failed and what was noted, with all that is known; what passed in a line each.

    `is_full`: with what was sent for that too, and with everything that was noted.
    """
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
    lines += _noted(noted, is_full=is_full)
    passed = [one for one in found if one.outcome is Outcome.PASSED]
    if passed:
        lines += ["", "PASSED"]
        for finding in passed:
            lines += [f"  {_title(finding)}", *(_details(finding) if is_full else ())]
    lines += _not_tried([one for one in found if one.outcome is Outcome.NOT_TRIED])
    return "\n".join(lines) + "\n"


def _noted(noted: Noted, *, is_full: bool) -> Iterator[str]:
    """What the hub has counted before this check, what was met last first."""
    if noted.deviations:
        yield from ("", "NOTED IN WHAT IT SENDS (and taken; the hub counts it for its platform)")
    shown = noted.deviations if is_full else noted.deviations[:MOST_NOTED]
    for one in shown:
        yield escaped(f"  {one.path}: {one.meaning}")
        times = "once" if one.count == 1 else f"{one.count:,} times"
        seen = f"{times}, {_minute(one.first_seen)} to {_minute(one.last_seen)} UTC"
        yield from _lines(("counted", seen), ("example", one.example), ("text", one.asked))
    if len(shown) < len(noted.deviations):
        yield f"  and {len(noted.deviations) - len(shown)} more: -v 2"
    for heading, lines in (
        ("LEFT OUT FOR PLATFORMS THAT WANT NO DEVIATIONS", noted.lines_for_others()),
        ("LEFT OUT FOR IT, WHICH WANTS NO DEVIATIONS", noted.lines_for_it()),
    ):
        if told := [escaped(f"  {line}") for line in lines]:
            yield from ("", heading, *told)


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


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
    return _lines(
        ("text", finding.chapter),
        ("sent", finding.sent),
        ("came", finding.came),
        ("request", f"X-Request-ID {finding.request_id}" if finding.request_id else ""),
        ("change", finding.advice),
    )


def _lines(*named: tuple[str, str]) -> Iterator[str]:
    for name, value in named:
        if value:
            yield textwrap.fill(
                escaped(" ".join(value.split())),
                WIDTH,
                initial_indent=f"        {name:7} ",
                subsequent_indent=" " * 16,
                break_long_words=False,
                break_on_hyphens=False,
            )
