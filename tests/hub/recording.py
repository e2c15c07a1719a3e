"""What the tests of the record share: flush, drain, look; and rows without any traffic."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from hub.record.models import Message
from hub.record.note import Direction, Kind, Note
from hub.record.recorder import STREAM, connect, recorder
from hub.record.stream_to_table import copy_to_table
from tests.hub.strangers import until


def recorded(count: int = 0, **fields) -> list[Message]:
    """What is in the table, oldest first, when at least `count` are: noted after the answer."""

    def found() -> list[Message] | None:
        recorder.flush()
        copy_to_table()
        rows = list(Message.objects.filter(**fields).order_by("at", "id"))
        return rows if len(rows) >= count else None

    rows = found() if not count else until(found)
    return rows or []


def empty() -> None:
    """Forget what waits: of other tests."""
    recorder.flush()
    connect(settings.CELERY_BROKER_URL).delete(STREAM)


def note(**changes: Any) -> Note:
    """A forwarded PUT, just now."""
    values: dict[str, Any] = {
        "at": timezone.now().timestamp(),
        "direction": Direction.IN,
        "kind": Kind.FORWARD,
        "method": "PUT",
        "place": None,
        "path": "/ocpi/versions",
        "query": "",
        "request_id": "request",
        "correlation_id": "correlation",
        "related_id": "",
        "sender": "NL-CPO",
        "receiver": "DE-MSP",
        "platform": 1,
        "status": 200,
        "code": 1000,
        "seconds": 0.007,
        "request_bytes": 10,
        "answer_bytes": 20,
        "problem": "",
    }
    return Note(**(values | changes))


def message(**changes) -> Message:
    """A row of the table."""
    values: dict[str, Any] = {
        "at": timezone.now(),
        "direction": "IN",
        "kind": "forward",
        "method": "PUT",
        "module": "locations",
        "interface_role": "RECEIVER",
        "path": "receiver/locations/NL/CPO/LOC1",
        "request_id": "request",
        "correlation_id": "correlation",
        "related_id": "",
        "sender": "NL-CPO",
        "receiver": "DE-MSP",
        "platform_id": 1,
        "http_status": 200,
        "ocpi_code": 1000,
        "is_failed": False,
        "milliseconds": 7.0,
        "request_bytes": 10,
        "answer_bytes": 20,
        "problem": "",
        "request_body": "",
        "answer_body": "",
    }
    return Message.objects.create(**(values | changes))


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(f"{text}+00:00")
