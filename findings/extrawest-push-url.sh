#!/usr/bin/env bash
# extrawest-ocpi 2025.7.16: a push goes to the endpoint's URL and country_code with no slash between,
# so that it works only at a receiver that lists its endpoints with a slash at their end. The text's
# own examples of endpoints have none (version_information_endpoint, Get versions).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check extrawest-ocpi==2025.7.16 fastapi==0.101.1 httpx==0.24.1 pydantic==1.10.12
cat >"$folder/run.py" <<'PYTHON'
from py_ocpi.core.push import client_url
from py_ocpi.core.enums import ModuleID

print(client_url(ModuleID.locations, "LOC1", "https://hub.example/ocpi/2.2.1/receiver/locations"))
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py" 2>/dev/null)
expected='https://hub.example/ocpi/2.2.1/receiver/locationsUS/NON/LOC1'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
