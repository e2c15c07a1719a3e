#!/usr/bin/env bash
# iso15118 0.31.2 (EcoG's charging station side of ISO 15118-20): the state of charge that an EV tells
# while it charges with AC is lost. Both charge loops of the standard carry DisplayParameters (present,
# target, minimum and maximum SOC, capacity of the battery); the station side reads them in
# DC_ChargeLoopReq alone, so that a smart charging provider behind an AC station never learns a battery
# from it. And a SOC of 0, which the schema allows, never replaces what was known before.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check iso15118==0.31.2 pydantic==1.10.21
cat >"$folder/run.py" <<'PYTHON'
from iso15118.secc.controller.ev_data import EVDataContext
from iso15118.shared.messages.enums import ControlMode, ServiceV20
from iso15118.shared.messages.iso15118_20.ac import ACChargeLoopReq, DynamicACChargeLoopReqParams
from iso15118.shared.messages.iso15118_20.common_messages import SelectedEnergyService
from iso15118.shared.messages.iso15118_20.common_types import (
    DisplayParameters,
    MessageHeader,
    RationalNumber,
)
from iso15118.shared.messages.iso15118_20.dc import DCChargeLoopReq, DynamicDCChargeLoopReqParams

HEADER = MessageHeader(session_id="0A", timestamp=1700000000)
number = RationalNumber.get_rational_repr
ENERGY = {
    "ev_target_energy_request": number(20000),
    "ev_max_energy_request": number(30000),
    "ev_min_energy_request": number(0),
    "ev_max_charge_power": number(11000),
    "ev_min_charge_power": number(1380),
}


def shown(present, minimum):
    return DisplayParameters(
        present_soc=present,
        min_soc=minimum,
        battery_energy_capacity=number(60000),
        charging_complete=False,
    )


def by_ac(context, display):
    loop = DynamicACChargeLoopReqParams(
        ev_present_active_power=number(7000), ev_present_reactive_power=number(0), **ENERGY
    )
    message = ACChargeLoopReq(
        header=HEADER, display_parameters=display, meter_info_requested=False, dynamic_params=loop
    )
    context.update_ac_charge_loop_v20(message, ServiceV20.AC, ControlMode.DYNAMIC)


def by_dc(context, display):
    loop = DynamicDCChargeLoopReqParams(
        ev_max_charge_current=number(32),
        ev_max_voltage=number(500),
        ev_min_voltage=number(200),
        **ENERGY,
    )
    message = DCChargeLoopReq(
        header=HEADER,
        display_parameters=display,
        meter_info_requested=False,
        ev_present_voltage=number(400),
        dynamic_params=loop,
    )
    service = SelectedEnergyService(ServiceV20.DC, False, None)
    context.update_dc_charge_loop_parameters_v20(message, service, ControlMode.DYNAMIC)


for name, tell in (("AC", by_ac), ("DC", by_dc)):
    context = EVDataContext()
    for present, minimum in ((40, 20), (41, 0)):
        tell(context, shown(present, minimum))
        print(
            f"{name}: told present {present} %, minimum {minimum} %, 60000 Wh;",
            f"known {context.present_soc}, {context.min_soc}, {context.total_battery_capacity};",
            f"energy {context.target_energy_request}",
        )
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py")
expected='AC: told present 40 %, minimum 20 %, 60000 Wh; known None, None, None; energy 20000
AC: told present 41 %, minimum 0 %, 60000 Wh; known None, None, None; energy 20000
DC: told present 40 %, minimum 20 %, 60000 Wh; known 40, 20, 60000; energy 20000
DC: told present 41 %, minimum 0 %, 60000 Wh; known 41, 20, 60000; energy 20000'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
