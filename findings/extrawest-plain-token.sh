#!/usr/bin/env bash
# extrawest-ocpi 2025.7.16 as CPO: a party that writes its token A plain, as many of 2.2 do, is refused
# in three ways as the token's letters have it: HTTP 200 with 3000 where they are not Base64, 403 where
# they stand for bytes that are not UTF-8, 401 where they happen to stand for a text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check extrawest-ocpi==2025.7.16 fastapi==0.101.1 httpx==0.24.1 pydantic==1.10.12
cat >"$folder/run.py" <<'PYTHON'
import asyncio

import httpx
from py_ocpi import get_application
from py_ocpi.core.authentication.authenticator import Authenticator
from py_ocpi.core.enums import ModuleID, RoleEnum
from py_ocpi.modules.versions.enums import VersionNumber

given_out = ["five-letters", "seventeen-letters", "bGV0dGVycyBpbiB0ZXh0"]


class Crud:
    pass


class Invited(Authenticator):
    @classmethod
    async def get_valid_token_c(cls):
        return []

    @classmethod
    async def get_valid_token_a(cls):
        return given_out


app = get_application([VersionNumber.v_2_2_1], [RoleEnum.cpo], Crud, [ModuleID.locations], Invited)


async def main():
    async with httpx.AsyncClient(app=app, base_url="http://cpo") as http:
        for token in given_out:
            answer = await http.get("/ocpi/2.2.1/details", headers={"Authorization": "Token " + token})
            print(token, answer.status_code, answer.json().get("status_code", "without an OCPI status"))


asyncio.run(main())
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py" 2>/dev/null)
expected='five-letters 200 3000
seventeen-letters 403 without an OCPI status
bGV0dGVycyBpbiB0ZXh0 401 without an OCPI status'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
