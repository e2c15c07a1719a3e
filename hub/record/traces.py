"""Spans for an OpenTelemetry collector: one for each message in and out, made beside its row.

The recorder's thread makes them, so that no message waits for it. Everything of one exchange is one
trace, in whichever process it was sent: the trace's id comes of the correlation id, which rows of
deliveries and commands carry anyway. So spans have no parents, and no other party is told anything.

The packages are an extra (requirements-traces.txt), and looked for only when TRACES is on. Where
spans go, and more, say the variables of OpenTelemetry itself (OTEL_EXPORTER_OTLP_ENDPOINT, …).
"""

import hashlib
import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from django.conf import settings

from hub.record.note import Direction, Row

_NANOSECONDS: Final = 1_000_000_000


class Traces:
    """Sends spans in batches, on a thread of OpenTelemetry's; what it cannot send is dropped."""

    def __init__(self, **exporter: Any) -> None:
        self._api = import_module("opentelemetry.trace")
        self._sdk = import_module("opentelemetry.sdk.trace")
        resources = import_module("opentelemetry.sdk.resources")
        export = import_module("opentelemetry.sdk.trace.export")
        http = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over these.
        identity = {"service.name": "flexhub"}
        self._resource = resources.Resource(identity)
        if os.environ.keys() & {"OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"}:
            self._resource = self._resource.merge(resources.Resource.create())
        self._processor = export.BatchSpanProcessor(http.OTLPSpanExporter(**exporter))

    def tell(self, rows: Sequence[Row]) -> None:
        """A span for each message; from any thread."""
        for row in rows:
            self._processor.on_end(self._span(row))

    def close(self) -> None:
        """Send what has gathered."""
        self._processor.shutdown()

    def _span(self, row: Row) -> Any:
        is_in = row.direction == Direction.IN
        kind = self._api.SpanKind.SERVER if is_in else self._api.SpanKind.CLIENT
        start = int(row.at * _NANOSECONDS)
        status = self._api.StatusCode.ERROR if row.is_failed else self._api.StatusCode.UNSET
        context = self._api.SpanContext(
            trace_id=trace_id(row.related_id or row.correlation_id),
            span_id=_span_id(row),
            is_remote=False,
            trace_flags=self._api.TraceFlags(self._api.TraceFlags.SAMPLED),
        )
        return self._sdk.ReadableSpan(
            f"{row.method} {row.module or 'other'}",
            context,
            resource=self._resource,
            attributes=_attributes(row),
            kind=kind,
            status=self._api.Status(status, row.problem or None if row.is_failed else None),
            start_time=start,
            end_time=start + int(row.milliseconds * 1_000_000),
        )


def trace_id(correlation_id: str) -> int:
    """128 bits, the same for the same exchange on each host; whatever its sender wrote there."""
    return int.from_bytes(hashlib.sha256(correlation_id.encode()).digest()[:16]) or 1


def _span_id(row: Row) -> int:
    """One hop: its request id is new, and its time is where a party repeats its own."""
    text = f"{row.direction} {row.request_id} {row.at}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) or 1


def _attributes(row: Row) -> dict[str, str | int]:
    """What the message record has, without bodies: it holds no secrets."""
    told: dict[str, str | int | None] = {
        "http.request.method": row.method,
        "url.path": row.path,
        "http.response.status_code": row.http_status,
        "ocpi.status_code": row.ocpi_code,
        "ocpi.module": row.module,
        "ocpi.interface_role": row.interface_role,
        "ocpi.from": row.sender,
        "ocpi.to": row.receiver,
        "ocpi.request_id": row.request_id,
        "ocpi.correlation_id": row.correlation_id,
        "flexhub.kind": str(row.kind),
        "http.request.body.size": row.request_bytes,
        "http.response.body.size": row.answer_bytes,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def of_settings() -> Traces | None:
    """None while TRACES is off."""
    return Traces() if settings.TRACES else None
