#!/usr/bin/env bash
# extrawest-ocpi 2025.7.16 as CPO: the query parameter of mod_tokens is type, and the library reads
# token_type, so that ?type=APP_USER is kept and looked up as RFID: two Tokens with one uid and two
# types overwrite each other.
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

asked = []


class Crud:
    @classmethod
    async def get(cls, module, role, uid, *args, **kwargs):
        asked.append(kwargs["token_type"].value)

    @classmethod
    async def create(cls, module, role, data, *args, **kwargs):
        asked.append(kwargs["token_type"].value)
        return data


class Everybody(Authenticator):
    @classmethod
    async def get_valid_token_c(cls):
        return ["secret"]

    @classmethod
    async def get_valid_token_a(cls):
        return []


app = get_application([VersionNumber.v_2_2_1], [RoleEnum.cpo], Crud, [ModuleID.tokens], Everybody)
token = {
    "country_code": "DE", "party_id": "MSP", "uid": "U1", "type": "APP_USER", "contract_id": "C1",
    "issuer": "MSP", "valid": True, "whitelist": "NEVER", "last_updated": "2026-01-01T10:00:00Z",
}


async def main():
    sent = {"Authorization": "Token " + base64.b64encode(b"secret").decode()}
    async with httpx.AsyncClient(app=app, base_url="http://cpo") as http:
        answer = await http.put("/ocpi/cpo/2.2.1/tokens/DE/MSP/U1?type=APP_USER", json=token, headers=sent)
    print(answer.status_code, "type in the body:", answer.json()["data"][0]["type"])
    print("the type under which the store is asked:", *asked)


asyncio.run(main())
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py" 2>/dev/null)
expected='200 type in the body: APP_USER
the type under which the store is asked: RFID RFID'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
