"""The registry of chapters, and running them against a party.

A chapter is a module with RULES and `check(probe)`, which yields findings. A new rule is a Rule and
a few lines in its chapter; a new chapter is one more line here.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from party.check import (
    authorization,
    charging_profiles,
    commands,
    hub_client_info,
    list_windows,
    lists,
    pushes,
    single_objects,
    tokens,
    transport,
    versions,
)
from party.check.findings import Finding, Rule
from party.check.probe import Probe


class Chapter(NamedTuple):
    """What a module of this package offers."""

    rules: tuple[Rule, ...]
    check: Callable[[Probe], Iterator[Finding]]


CHAPTERS = tuple(
    Chapter(module.RULES, module.check)
    for module in (
        versions,
        authorization,
        lists,
        list_windows,
        single_objects,
        hub_client_info,
        tokens,
        commands,
        charging_profiles,
        pushes,
        transport,
    )
)


def findings_of(probe: Probe) -> list[Finding]:
    """What each chapter finds; a rule that none has spoken of was not tried."""
    found: list[Finding] = []
    for chapter in CHAPTERS:
        if not (probe.is_unreachable or probe.over):
            found += chapter.check(probe)
    if probe.is_unreachable:
        found = [transport.IN_TIME.failed(probe.calls[0])]
        reason = "the party cannot be reached"
    else:
        reason = probe.over or "the party offers nothing for it"
    spoken = {finding.rule for finding in found}
    rules = [rule for chapter in CHAPTERS for rule in chapter.rules]
    return [*found, *(rule.not_tried(reason) for rule in rules if rule.id not in spoken)]
