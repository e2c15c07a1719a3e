"""A check as plain text, with what the hub has noted of the party beside it."""

from collections.abc import Iterator
from datetime import datetime

from hub.conformance.met_in_practice import Noted
from hub.conformance.models import ConformanceCheck
from hub.ocpi.escaping import escaped
from party.check.text import lines_of_failed, lines_of_others, named_lines

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
    found = check.all_findings
    lines = [
        f"{check.identity} ({check.platform}), checked at {when} in {seconds:.1f} s:",
        f"{check.summary}.",
        *lines_of_failed(found),
        *_noted(noted, is_full=is_full),
        *lines_of_others(found, is_full=is_full),
    ]
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
        yield from named_lines(("counted", seen), ("example", one.example), ("text", one.asked))
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
