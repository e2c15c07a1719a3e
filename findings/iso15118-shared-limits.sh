#!/usr/bin/env bash
# iso15118 0.31.2 (EcoG's charging station side of ISO 15118-2 and -20): what one EV said of its limits
# becomes the limit of every other EV of the same process. EVDataContext keeps rated and session limits
# in objects that are made once as defaults of its arguments, and each message replaces what hangs on
# these. So two EVSEs served by one process share the limits of the EV that spoke last, and a context
# made anew for the next EV begins with those of the one before. What is not a limit (departure time,
# energy asked for) is kept apart.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check iso15118==0.31.2 pydantic==1.10.21
cat >"$folder/run.py" <<'PYTHON'
from iso15118.secc.controller.ev_data import EVDataContext
from iso15118.shared.messages.enums import ServiceV20
from iso15118.shared.messages.iso15118_20.ac import (
    ACChargeParameterDiscoveryReq,
    ACChargeParameterDiscoveryReqParams,
)
from iso15118.shared.messages.iso15118_20.common_types import MessageHeader, RationalNumber


def says(context, watts):
    limits = ACChargeParameterDiscoveryReqParams(
        ev_max_charge_power=RationalNumber.get_rational_repr(watts),
        ev_min_charge_power=RationalNumber.get_rational_repr(1380),
    )
    message = ACChargeParameterDiscoveryReq(
        header=MessageHeader(session_id="0A", timestamp=1700000000), ac_params=limits
    )
    context.update_ac_charge_parameters_v20(ServiceV20.AC, message)


def told(name, context):
    print(f"{name}: {context.session_limits.ac_limits.max_charge_power} W")


left, right = EVDataContext(), EVDataContext()
says(left, 11000)
left.departure_time = 3600
says(right, 3700)
told("EV that can 11000 W", left)
told("EV that can 3700 W", right)
told("EV that has said nothing", EVDataContext())
print("departure of the second:", right.departure_time)
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py")
expected='EV that can 11000 W: 3700 W
EV that can 3700 W: 3700 W
EV that has said nothing: 3700 W
departure of the second: None'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
