#!/usr/bin/env bash
# optivgi 0.2.0 with its own solver (PuLP 3.3.2, CBC) on Python 3.11: where the minimum powers of the
# cars do not fit under the limit of the site, both of its planners return profiles that exceed it
# (5.5 kW where 4.0 are allowed), and calculate() raises nothing: the heuristic one logs an assertion,
# the linear one takes the values of a solve that has failed. And where there is room, both plan all
# of it: a car that asked for 5 kWh is given 44.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check optivgi==0.2.0 PuLP==3.3.2
cat >"$folder/run.py" <<'PYTHON'
import logging
from datetime import UTC, datetime, timedelta

from optivgi.scm.constants import AlgorithmConstants
from optivgi.scm.ev import EV
from optivgi.scm.go_algorithm import GoAlgorithm
from optivgi.scm.pulp_numerical_algorithm import PulpNumericalAlgorithm

logging.disable()
now = datetime(2026, 1, 1, tzinfo=UTC)
steps = AlgorithmConstants.TIMESTEPS
for planner in (GoAlgorithm, PulpNumericalAlgorithm):
    for count, limit, asked in ((4, 4.0, 10.0), (1, 11.0, 5.0)):
        leave = now + timedelta(hours=4)
        cars = [EV(n, True, n, 1, 1.38, 11.0, now, leave, asked) for n in range(count)]
        planner(cars, [limit] * steps, now).calculate()
        highest = max(sum(car.power[step] for car in cars) for step in range(steps))
        most = max(car.energy_charged() for car in cars)
        print(
            f"{planner.__name__}: {count} car(s), limit {limit} kW, planned up to {highest:.1f} kW; "
            f"asked {asked} kWh, planned up to {most:.1f} kWh"
        )
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py")
printf '%s\n' "$seen"
expected='GoAlgorithm: 4 car(s), limit 4.0 kW, planned up to 5.5 kW; asked 10.0 kWh, planned up to 5.5 kWh
GoAlgorithm: 1 car(s), limit 11.0 kW, planned up to 11.0 kW; asked 5.0 kWh, planned up to 44.0 kWh
PulpNumericalAlgorithm: 4 car(s), limit 4.0 kW, planned up to 5.5 kW; asked 10.0 kWh, planned up to 5.5 kWh
PulpNumericalAlgorithm: 1 car(s), limit 11.0 kW, planned up to 11.0 kW; asked 5.0 kWh, planned up to 44.0 kWh'
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
