#!/usr/bin/env bash
# openadr3 0.5.0 and toadr3 0.29.0, the OpenADR 3 clients that run on Python 3.11: one event without an
# end, which OpenADR 3.1 writes as the duration P9999Y ("may indicate infinity", intervalPeriod), makes
# the call that lists events raise, so that the other events of the VTN are lost with it: a client hears
# of no limit at all any more. toadr3 can read that duration, but get_events() cannot be told to. A
# start of 0001-01-01 (3.1's "now") is read by both as a date of that year.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check openadr3==0.5.0 toadr3==0.29.0 pendulum==3.3.0 pydantic==2.14.4
cat >"$folder/run.py" <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import aiohttp
import openadr3.api
import toadr3

served = []


class Vtn(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(served).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def event(name, start, duration):
    return {
        "objectType": "EVENT",
        "id": name,
        "createdDateTime": "2026-01-01T00:00:00Z",
        "modificationDateTime": "2026-01-01T00:00:00Z",
        "programID": "limits",
        "intervalPeriod": {"start": start, "duration": duration},
        "intervals": [{"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": [40]}]}],
    }


async def by_toadr3(url):
    async with aiohttp.ClientSession() as session:
        return await toadr3.get_events(session, url, None)


def told(name, ask):
    try:
        events = ask()
    except ValueError as error:
        print(f"{name}: {type(error).__name__}")
    else:
        print(f"{name}:", *(f"{one.id} from {one.interval_period.start.year}" for one in events))


server = HTTPServer(("127.0.0.1", 0), Vtn)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
for events in (
    [event("hour", "2026-01-01T10:00:00Z", "PT1H"), event("now", "0001-01-01T00:00:00Z", "PT1H")],
    [event("hour", "2026-01-01T10:00:00Z", "PT1H"), event("endless", "2026-01-01T10:00:00Z", "P9999Y")],
):
    served[:] = events
    with openadr3.api.OpenADRClient(url) as client:
        told("openadr3", client.events)
    told("toadr3", lambda: asyncio.run(by_toadr3(url)))
server.shutdown()
PYTHON
seen=$("$folder/env/bin/python" "$folder/run.py")
expected='openadr3: hour from 2026 now from 1
toadr3: hour from 2026 now from 1
openadr3: ValueError
toadr3: ValidationError'
printf '%s\n' "$seen"
if [ "$seen" != "$expected" ]; then
  printf 'Changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
