#!/usr/bin/env bash
# py-ocpi 0.3.1: a Session whose total_cost has no incl_vat is refused, as in the text's own first
# example of a Session; types: Price has it as optional.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check py-ocpi==0.3.1 fastapi==0.68.2 httpx==0.23.3 pydantic==1.10.27
cat >"$folder/run.py" <<'PYTHON'
from py_ocpi.modules.sessions.v_2_2_1.schemas import Session
from pydantic import ValidationError

session = {
    "country_code": "NL", "party_id": "STK", "id": "101", "start_date_time": "2020-03-09T10:17:09Z",
    "kwh": 0.0, "auth_method": "COMMAND", "location_id": "LOC1", "evse_uid": "3256",
    "connector_id": "1", "currency": "EUR", "total_cost": {"excl_vat": 2.5}, "status": "PENDING",
    "last_updated": "2020-03-09T10:17:09Z",
    "cdr_token": {"country_code": "NL", "party_id": "TST", "uid": "1", "type": "RFID", "contract_id": "C"},
}
try:
    Session(**session)
except ValidationError as error:
    print(*error.errors()[0]["loc"], error.errors()[0]["msg"])
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py" 2>/dev/null)
expected='total_cost property "incl_vat" required'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
