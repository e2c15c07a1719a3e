#!/usr/bin/env bash
# oadr30-ven-ud 1.2.0 (an OpenADR 3 client for devices) on Python 3.11: where an interval has two
# payloads, say a limit and a price, and takes its time from the event, the second one begins too
# late: the interval's offset is added once more for each payload. So the price of the third hour is
# said for the fifth, while its limit is on time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check oadr30-ven-ud==1.2.0
cat >"$folder/run.py" <<'PYTHON'
from oadr30.interval import Interval, IntervalPeriod

hour = IntervalPeriod({"start": "2026-01-01T00:00:00Z", "duration": "PT1H"})
for number in range(3):
    payloads = [
        {"type": "IMPORT_CAPACITY_LIMIT", "values": [40.0]},
        {"type": "PRICE", "values": [0.1]},
    ]
    interval = Interval({"id": number, "payloads": payloads}, number, hour, None)
    told = [f"{one.getPayloadType()} from {one.getStartTime():%H:%M}" for one in interval.getValues()]
    print(f"interval {number}:", ", ".join(told))
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py")
expected='interval 0: IMPORT_CAPACITY_LIMIT from 00:00, PRICE from 00:00
interval 1: IMPORT_CAPACITY_LIMIT from 01:00, PRICE from 02:00
interval 2: IMPORT_CAPACITY_LIMIT from 02:00, PRICE from 04:00'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
