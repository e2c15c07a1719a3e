#!/usr/bin/env bash
# py-ocpi 0.3.1: its push reads the receiver's version details as a list of one, and fails at the
# object that the text shows (version_information_endpoint, GET Method of Version details).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check py-ocpi==0.3.1 fastapi==0.68.2 httpx==0.23.3 pydantic==1.10.27
cat >"$folder/run.py" <<'PYTHON'
import asyncio

import httpx
from py_ocpi.core import push
from py_ocpi.core.enums import ModuleID
from py_ocpi.core.schemas import Push
from py_ocpi.modules.versions.enums import VersionNumber

details = {
    "data": {
        "version": "2.2.1",
        "endpoints": [
            {"identifier": "locations", "role": "RECEIVER", "url": "https://emsp.example/locations"}
        ],
    },
    "status_code": 1000,
    "timestamp": "2026-01-01T10:00:00Z",
}
real = httpx.AsyncClient
push.httpx.AsyncClient = lambda: real(
    transport=httpx.MockTransport(lambda request: httpx.Response(200, json=details))
)
receiver = {"endpoints_url": "https://emsp.example/ocpi/2.2.1", "auth_token": "secret"}
order = Push(module_id=ModuleID.locations, object_id="L1", receivers=[receiver])
try:
    asyncio.run(push.push_object(VersionNumber.v_2_2_1, order, None, None))
except KeyError as error:
    print("KeyError", error)
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py" 2>/dev/null)
expected='KeyError 0'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
