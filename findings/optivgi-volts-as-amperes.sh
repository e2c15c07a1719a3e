#!/usr/bin/env bash
# optivgi 0.2.0 (Argonne's planner for OCPP profiles) on Python 3.11: a power that is converted to
# amperes without a voltage, which its documentation allows (the default of 240 V is taken), comes out
# as 240, whatever it was: the number of volts is returned as amperes. So a pause of 0 kW becomes a
# limit of 240 A. With a voltage the conversion is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check optivgi==0.2.0 PuLP==3.3.2
cat >"$folder/run.py" <<'PYTHON'
from datetime import UTC, datetime

from optivgi.scm.ev import EV, ChargingRateUnit

W, A = ChargingRateUnit.W, ChargingRateUnit.A
now = datetime(2026, 1, 1, tzinfo=UTC)
for kilowatts in (0, 3.6, 7.2):
    print(f"{kilowatts} kW: {A.convert(kilowatts, W):g} A, at 230 V {A.convert(kilowatts, W, 230):.1f} A")
car = EV(1, True, 1, 1, 1.4, 7.2, now, now, 10.0, voltage=0)
[period] = car.charging_profile(now, A)["chargingSchedule"]["chargingSchedulePeriod"]
print(f"a profile that pauses: limit {period['limit']:g} A")
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py")
printf '%s\n' "$seen"
expected='0 kW: 240 A, at 230 V 0.0 A
3.6 kW: 240 A, at 230 V 15.7 A
7.2 kW: 240 A, at 230 V 31.3 A
a profile that pauses: limit 240 A'
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
