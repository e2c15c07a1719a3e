#!/usr/bin/env bash
# py-ocpi 0.3.1: a GET of a list without date_to gets the moment at which the process was started, so
# a store that follows the filter never lists what changed since; in the machine's own time zone, too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check py-ocpi==0.3.1 fastapi==0.68.2 httpx==0.23.3 pydantic==1.10.27
cat >"$folder/run.py" <<'PYTHON'
import inspect
import time
from datetime import datetime

started = datetime.now()
from py_ocpi.core.dependencies import pagination_filters

imported = datetime.now()
time.sleep(1.1)
default = inspect.signature(pagination_filters).parameters["date_to"].default.default
print("date_to of a request without one:", "the time of the import" if started <= default <= imported else default)
print("before now:", default < datetime.now())
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py" 2>/dev/null)
expected='date_to of a request without one: the time of the import
before now: True'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
