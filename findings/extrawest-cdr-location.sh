#!/usr/bin/env bash
# extrawest-ocpi 2025.7.16 as eMSP on Python 3.11: the Location of a posted CDR has the names of two
# enums where the version and the module belong, so the CPO's GET of it ends in 404. Enums that are
# str too are written by name in an f-string since Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check extrawest-ocpi==2025.7.16 fastapi==0.101.1 httpx==0.24.1 pydantic==1.10.12
cat >"$folder/run.py" <<'PYTHON'
import asyncio
import base64

import httpx
from py_ocpi import get_application
from py_ocpi.core.authentication.authenticator import Authenticator
from py_ocpi.core.enums import ModuleID, RoleEnum
from py_ocpi.modules.versions.enums import VersionNumber


class Crud:
    @classmethod
    async def create(cls, module, role, data, *args, **kwargs):
        return data


class Everybody(Authenticator):
    @classmethod
    async def get_valid_token_c(cls):
        return ["secret"]

    @classmethod
    async def get_valid_token_a(cls):
        return []


app = get_application([VersionNumber.v_2_2_1], [RoleEnum.emsp], Crud, [ModuleID.cdrs], Everybody)
cdr = {
    "country_code": "NL", "party_id": "CPO", "id": "C1", "start_date_time": "2026-01-01T10:00:00Z",
    "end_date_time": "2026-01-01T11:00:00Z", "auth_method": "WHITELIST", "currency": "EUR",
    "total_cost": {"excl_vat": 4.0}, "total_energy": 15.3, "total_time": 1.0,
    "last_updated": "2026-01-01T11:00:00Z",
    "cdr_token": {"country_code": "DE", "party_id": "MSP", "uid": "1", "type": "RFID", "contract_id": "C"},
    "charging_periods": [
        {"start_date_time": "2026-01-01T10:00:00Z", "dimensions": [{"type": "TIME", "volume": 1.0}]}
    ],
    "cdr_location": {
        "id": "L1", "address": "Street 1", "city": "Gent", "postal_code": "9000", "country": "BEL",
        "coordinates": {"latitude": "51.047599", "longitude": "3.729944"}, "evse_uid": "E1",
        "evse_id": "BE*BEC*E1", "connector_id": "1", "connector_standard": "IEC_62196_T2",
        "connector_format": "SOCKET", "connector_power_type": "AC_1_PHASE",
    },
}


async def main():
    sent = {"Authorization": "Token " + base64.b64encode(b"secret").decode()}
    async with httpx.AsyncClient(app=app, base_url="http://emsp") as http:
        answer = await http.post("/ocpi/emsp/2.2.1/cdrs/", json=cdr, headers=sent)
    print(answer.status_code, answer.headers["Location"])


asyncio.run(main())
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py" 2>/dev/null)
expected='200 https://www.example.com/ocpi/emsp/VersionNumber.v_2_2_1/ModuleID.cdrs/c1'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
