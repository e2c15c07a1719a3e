#!/usr/bin/env bash
# extrawest-ocpi 2025.7.16: reading a DateTime cuts its fraction of a second, which types: DateTime
# allows, so two updates of one second have the same last_updated afterwards; an offset is kept as it
# came and sent on, although what is sent SHALL be UTC.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check extrawest-ocpi==2025.7.16 fastapi==0.101.1 httpx==0.24.1 pydantic==1.10.12
cat >"$folder/run.py" <<'PYTHON'
from py_ocpi.core.data_types import DateTime

for text in ("2026-01-01T12:00:00.100Z", "2026-01-01T12:00:00.900Z", "2026-01-01T13:00:00.500+01:00"):
    print(text, "becomes", DateTime.validate(text))
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py" 2>/dev/null)
expected='2026-01-01T12:00:00.100Z becomes 2026-01-01T12:00:00Z
2026-01-01T12:00:00.900Z becomes 2026-01-01T12:00:00Z
2026-01-01T13:00:00.500+01:00 becomes 2026-01-01T13:00:00+01:00'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
