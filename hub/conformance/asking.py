"""The hub as it asks in a check: by its own client, noted in the record (party/check/asking.py)."""

import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from hub.conformance.models import AwaitedResult, ConformanceCheck
from hub.ocpi import own_paths
from hub.ocpi.errors import HubError
from hub.ocpi.party import PartyId
from hub.outbound import platform_calls
from hub.outbound.message import Message
from hub.record.note import Kind
from hub.routing.directory import PlatformEntry
from party.check.asking import Came, NoAnswer, Result

_LOOK_AGAIN: Final = 0.2  # seconds


class HubAsker:
    """Calls as the hub does; results come in by a view (results.py) and are rows."""

    def __init__(self, hub: PartyId, platform: PlatformEntry, check: ConformanceCheck) -> None:
        self.party = hub
        self._platform = platform
        self._check = check

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        module: str,
        seconds: float,
    ) -> Came:
        """One request; NoAnswer with the words of the hub's own error."""
        message = Message(
            kind=Kind.CHECK,
            method=method,
            url=url,
            platform=self._platform,
            module=module,
            body=body,
            given=headers,
        )
        try:
            answer = message.send_now(seconds=seconds, follow=False)
        except HubError as error:
            is_too_long = isinstance(error.__cause__, platform_calls.TOO_LONG)
            raise NoAnswer(error.message, is_too_long=is_too_long) from error
        return Came(answer.status, answer.headers, answer.body)

    def response_url(self) -> str:
        """A row, and the URL that leads to it."""
        row = AwaitedResult.objects.create(platform_id=self._platform.id)
        return f"{settings.BASE_URL}{own_paths.CHECK_RESULT.path(row.key)}?check={self._check.pk}"

    def result(self, response_url: str, seconds: float) -> Result | None:
        """The row is looked at until it has one."""
        key = urlsplit(response_url).path.rpartition("/")[2]
        deadline = time.monotonic() + seconds
        while True:
            row = AwaitedResult.objects.filter(key=key, body__isnull=False).first()
            if row is not None:
                return Result(row.content, row.query)
            if time.monotonic() > deadline:
                return None
            time.sleep(_LOOK_AGAIN)
