"""Each rule that the hub notes is explained in words."""

import ast
from collections.abc import Iterator
from pathlib import Path

from hub.deviations.rules import RULES, rule_of
from hub.ocpi.odd_urls import mended

ROOT = Path(__file__).parents[3]
APPS = (
    *("hub", "locations", "tariffs", "sessions", "cdrs", "tokens", "commands"),
    *("charging_profiles", "flex"),
)
# Whoever makes a Deviation, and the place of the rule among its arguments.
MAKERS = {"Deviation": 0, "_odd": 0, "_noted": 1, "note": 1}


def _rules_in(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        place = MAKERS.get(name)
        if ast.unparse(node.func) == "audit.note":  # of the audit trail
            continue
        if place is None or len(node.args) <= place:
            continue
        for part in ast.walk(node.args[place]):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def test_each_rule_that_is_noted_has_its_words():
    noted = {
        rule
        for app in APPS
        for file in (ROOT / app).rglob("*.py")
        for rule in _rules_in(file.read_text())
    }
    assert {"date-time", "misspelt-module", "list-without-to", "wrong-kind"} <= noted
    assert noted <= set(RULES)


def test_each_rule_of_a_misspelled_url_has_its_words():
    odd = (
        *("receiver/tariffsNL/CPO/T1", "receiver//tariffs/NL/CPO/T1", "Receiver/tariffs/NL/CPO/T1"),
        "clientinfo",
    )
    assert {mended(f"/ocpi/2.2.1/{one}")[1] for one in odd} == {
        *("missing-slash", "doubled-slash", "letter-case", "module-name"),
    }
    assert {mended(f"/ocpi/2.2.1/{one}")[1] for one in odd} <= set(RULES)


def test_a_rule_that_has_left_the_list_is_shown_by_its_name():
    assert rule_of("some-old-rule").title == "some old rule"
