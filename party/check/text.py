"""Findings as plain text, for a terminal and for mails to a party's engineer."""

import textwrap
from collections.abc import Iterator, Sequence

from hub.ocpi.escaping import escaped
from party.check.findings import Finding, Outcome

WIDTH = 110  # characters


def summary(findings: Sequence[Finding]) -> str:
    """How many of each outcome."""
    passed, failed, not_tried = (
        sum(finding.outcome is outcome for finding in findings)
        for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.NOT_TRIED)
    )
    return f"{passed} passed, {failed} failed, {not_tried} not tried"


def lines_of_failed(findings: Sequence[Finding]) -> Iterator[str]:
    """What failed, with all that is known."""
    for finding in (one for one in findings if one.outcome is Outcome.FAILED):
        yield from ("", f"FAILED  {_title(finding)}", *_details(finding))


def lines_of_others(findings: Sequence[Finding], *, is_full: bool = False) -> Iterator[str]:
    """What passed, with its calls if `is_full`; what was not tried, and why."""
    passed = [one for one in findings if one.outcome is Outcome.PASSED]
    if passed:
        yield from ("", "PASSED")
        for finding in passed:
            yield from (f"  {_title(finding)}", *(_details(finding) if is_full else ()))
    yield from _not_tried([one for one in findings if one.outcome is Outcome.NOT_TRIED])


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
    return named_lines(
        ("text", finding.chapter),
        ("sent", finding.sent),
        ("came", finding.came),
        ("request", f"X-Request-ID {finding.request_id}" if finding.request_id else ""),
        ("change", finding.advice),
    )


def named_lines(*named: tuple[str, str]) -> Iterator[str]:
    """`(name, value)` below a title, wrapped; none for an empty value."""
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
