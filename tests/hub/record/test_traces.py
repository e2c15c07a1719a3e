"""Spans of messages: one trace for an exchange, in whichever process; nothing while it is off."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hub.ocpi.party import PartyId
from hub.record.note import Direction, rows
from hub.record.traces import Traces, trace_id
from stack.__main__ import CHECKOUT
from tests.hub.recording import note


@pytest.fixture
def collector():
    """What an OTLP collector on loopback was sent."""
    came: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_messages_of_one_exchange_are_one_trace_wherever_they_were_sent(collector):
    endpoint, came = collector
    web, worker = Traces(endpoint=endpoint), Traces(endpoint=endpoint)
    cpo, emsp = PartyId("NL", "CPO"), PartyId("DE", "MSP")
    web.tell(rows([note(at=1000.5, seconds=0.25, sender=cpo, receiver=emsp, request_id="r1")]))
    sent = note(direction=Direction.OUT, request_id="r2", status=None, code=4002, problem="no one")
    # Its own correlation id is another one: it belongs to that of the other.
    related = note(direction=Direction.OUT, correlation_id="other", related_id="correlation")
    worker.tell(rows([sent, related, note(correlation_id="quite another")]))
    web.close()
    worker.close()
    [resource, *_] = [one for request in came for one in request.resource_spans]
    assert [(a.key, a.value.string_value) for a in resource.resource.attributes] == [
        ("service.name", "flexhub")
    ]
    spans = [
        span
        for request in came
        for one in request.resource_spans
        for scope in one.scope_spans
        for span in scope.spans
    ]
    expected = trace_id("correlation").to_bytes(16)
    assert sum(span.trace_id == expected for span in spans) == 3
    assert len({span.span_id for span in spans}) == len(spans) == 4
    [first] = [span for span in spans if span.start_time_unix_nano == 1000_500_000_000]
    assert first.end_time_unix_nano - first.start_time_unix_nano == 250_000_000
    told = {one.key: one.value for one in first.attributes}
    assert (told["ocpi.from"].string_value, told["ocpi.to"].string_value) == ("NL-CPO", "DE-MSP")
    assert told["http.response.status_code"].int_value == 200
    [failed] = [span for span in spans if span.status.message]
    assert (failed.status.code, failed.status.message) == (2, "no one")
    assert {span.kind for span in spans} == {2, 3}  # SERVER and CLIENT


LOOKS: str = """
import logging, sys
import hub.asgi
from hub.startup import log
log.about("req", "corr")
logging.getLogger("hub.messages").warning("wrong: %s", "a\\nb")
log.sent("corr"); log.sent("another")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("x").exception("it failed")
# redis-py has a look at OpenTelemetry's metrics where they are installed.
ours = ("opentelemetry.sdk.trace", "opentelemetry.exporter")
print([name for name in sys.modules if name.startswith(ours)])
"""


def test_lines_are_objects_with_ids_and_nothing_of_traces_is_loaded_while_they_are_off():
    done = subprocess.run(
        [sys.executable, "-c", LOOKS],
        cwd=CHECKOUT,
        env=os.environ | {"LOG_FORMAT": "json", "FLEXHUB_WORKER": "web-1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout == "[]\n"
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "WARNING",
        "logger": "hub.messages",
        "message": "wrong: a\nb",
        "process": "web-1",
        "correlation_id": "corr",
        "request_id": "req",
    }
    assert second["correlation_id"] == "another"
    assert "request_id" not in second
    assert second["exception"].endswith("ZeroDivisionError: division by zero")
