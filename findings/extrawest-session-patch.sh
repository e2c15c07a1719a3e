#!/usr/bin/env bash
# extrawest-ocpi 2025.7.16 as eMSP: a PATCH of a Session with one more charging_period replaces the
# list, where the text asks that it is added to (mod_sessions, PATCH Method): an eMSP that was sent
# the periods one by one is left with the last of them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check extrawest-ocpi==2025.7.16 fastapi==0.101.1 httpx==0.24.1 pydantic==1.10.12
cat >"$folder/run.py" <<'PYTHON'
import asyncio
import base64
import json

import httpx
from py_ocpi import get_application
from py_ocpi.core.authentication.authenticator import Authenticator
from py_ocpi.core.enums import ModuleID, RoleEnum
from py_ocpi.modules.versions.enums import VersionNumber

period = {"start_date_time": "2026-01-01T10:00:00Z", "dimensions": [{"type": "ENERGY", "volume": 1.0}]}
kept = {
    "country_code": "NL", "party_id": "CPO", "id": "S1", "start_date_time": "2026-01-01T10:00:00Z",
    "kwh": 1.0, "auth_method": "WHITELIST", "location_id": "L1", "evse_uid": "E1",
    "connector_id": "1", "currency": "EUR", "status": "ACTIVE", "charging_periods": [period],
    "last_updated": "2026-01-01T10:00:00Z",
    "cdr_token": {"country_code": "DE", "party_id": "MSP", "uid": "1", "type": "RFID", "contract_id": "C"},
}


class Crud:
    @classmethod
    async def get(cls, *args, **kwargs):
        return kept

    @classmethod
    async def update(cls, module, role, data, *args, **kwargs):
        return data


class Everybody(Authenticator):
    @classmethod
    async def get_valid_token_c(cls):
        return ["secret"]

    @classmethod
    async def get_valid_token_a(cls):
        return []


app = get_application([VersionNumber.v_2_2_1], [RoleEnum.emsp], Crud, [ModuleID.sessions], Everybody)


async def main():
    later = period | {"start_date_time": "2026-01-01T10:15:00Z"}
    change = {"charging_periods": [later], "last_updated": "2026-01-01T10:15:00Z"}
    token = base64.b64encode(b"secret").decode()
    async with httpx.AsyncClient(app=app, base_url="http://emsp") as http:
        answer = await http.patch(
            "/ocpi/emsp/2.2.1/sessions/NL/CPO/S1", json=change, headers={"Authorization": f"Token {token}"}
        )
    periods = answer.json()["data"][0]["charging_periods"]
    print(answer.status_code, json.dumps([one["start_date_time"] for one in periods]))


asyncio.run(main())
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py" 2>/dev/null)
expected='200 ["2026-01-01T10:15:00Z"]'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
