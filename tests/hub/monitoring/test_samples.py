"""Samples for Prometheus and Grafana: each metric and label that they name is in /metrics."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml

from hub.monitoring.metrics import _Hub
from stack.__main__ import CHECKOUT

RULES = CHECKOUT / "deploy" / "prometheus" / "flexhub.rules.yaml"
BOARD = CHECKOUT / "deploy" / "grafana" / "flexhub.json"
NAMED = re.compile(r"\b(flexhub_[a-z_]+)(?:\{([^}]*)\})?")


def expressions() -> Iterator[str]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"]
            assert rule["labels"]["severity"] in {"warning", "critical"}
            yield rule["expr"]
    for panel in json.loads(BOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


@pytest.mark.django_db
def test_what_the_samples_name_exists():
    labels: dict[str, set[str]] = {}
    for family in _Hub().collect():
        own = set(family._labelnames)
        for suffix in ("", "_total", "_bucket", "_sum", "_count"):
            labels[family.name + suffix] = own | ({"le"} if suffix == "_bucket" else set())
    assert labels["flexhub_alerts_firing"] == {"kind", "severity"}
    found = list(expressions())
    assert len(found) > 20
    for expression in found:
        names = NAMED.findall(expression)
        assert names or "up{" in expression, expression
        for name, matchers in names:
            assert name in labels, f"{name} is not in /metrics"
            asked = set(re.findall(r"(\w+)\s*[=!]", matchers))
            assert asked <= labels[name], f"{name} has no label {asked - labels[name]}"
        known = set().union(*(labels[name] for name, _ in names))
        for by in re.findall(r"(?:by|on) \(([^)]*)\)", expression):
            assert set(by.replace(" ", "").split(",")) <= known, expression


def test_panels_do_not_lie_upon_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(BOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
