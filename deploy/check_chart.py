"""Renders the chart with Helm and checks each object against the schemas of Kubernetes.

Outside CI, since Helm is large: in an environment of its own,
    pip install helm-python-sdk kubernetes-validate pyyaml && python deploy/check_chart.py
"""

import sys
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import yaml

CHART = Path(__file__).with_name("helm")
VERSIONS = ("1.29", "1.33")
# What an installation may say, beside the defaults.
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "all of it": {
        "image": {"digest": f"sha256:{'0' * 64}", "pullSecrets": [{"name": "registry"}]},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "tlsSecret": "hub-tls",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "2m"},
        },
        "service": {"annotations": {"a": "b"}},
        "podAnnotations": {"a": "b"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "hub", "operator": "Exists"}],
        "settings": {"DJANGO_THREADS": 12, "TRACES": True},
        "web": {"replicas": 4},
    },
}
# What values.schema.json has to refuse.
REFUSED: dict[str, dict[str, Any]] = {
    "no TLS": {"settings": {"PUBLIC_URL": "http://hub.example.com"}},
    "a secret among the settings": {"settings": {"SECRET_KEY": "x"}},
    "no worker of a queue": {"workers": {"pulls": {"replicas": 0}}},
}


def say(line: str) -> None:
    """A line of what was found."""
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """0 when all is well; every problem is a line."""
    problems = 0
    with helm_python.Chart.load(str(CHART)) as chart:
        for case, values in CASES.items():
            rendered = chart.render(values, name="hub", namespace="flexhub")
            objects = [
                found
                for name, text in rendered.items()
                if name.endswith(".yaml")
                for found in yaml.safe_load_all(text)
                if found
            ]
            for found in objects:
                for version in VERSIONS:
                    problems += _check(case, found, version)
            say(f"{case}: {len(objects)} objects, {sorted({one['kind'] for one in objects})}")
        for case, values in REFUSED.items():
            problems += not _is_refused(chart, values, case)
    say(f"{problems} problems")
    return 1 if problems else 0


def _check(case: str, found: dict[str, Any], version: str) -> int:
    try:
        kubernetes_validate.validate(found, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        say(f"{case}: {found['kind']} {found['metadata']['name']}: {error.message}")
        return 1
    return 0


def _is_refused(chart: Any, values: dict[str, Any], case: str) -> bool:
    try:
        chart.validate_schema(chart.merge_values(values))
    except helm_python.HelmError as error:
        say(f"refused, as it should be: {case}: {str(error).splitlines()[-1]}")
        return True
    say(f"not refused: {case}")
    return False


if __name__ == "__main__":
    sys.exit(main())
