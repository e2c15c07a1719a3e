"""From memory to Valkey, off the hot path: notes are gathered and leave in batches.

Losing the last moment in a crash is accepted, and so is losing what is noted while Valkey is away:
that is counted. Nobody ever waits for it, and what it holds is bounded.
"""

import atexit
import logging
import threading
from collections import Counter, deque
from itertools import islice
from secrets import token_hex
from typing import Final

import msgspec
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from hub.record import traces
from hub.record.note import Note, Row, rows
from hub.record.strangers import Stranger, joined

logger = logging.getLogger(__name__)
STREAM: Final = "flexhub:messages"
FIELD: Final = b"batch"
SECONDS: Final = 0.5  # seconds
# Memory of one process, while Valkey is slow: about 20 MB.
MOST_NOTES: Final = 20_000
# Memory of Valkey, while nobody drains: a million rows at most, about 200 MB.
MOST_ROWS_OF_A_BATCH: Final = 250
MOST_BATCHES: Final = 4_000
# Then those of the same address and minute are put together: there are a thousand a minute at most.
MOST_STRANGERS: Final = 5_000
# Bodies are few and large.
MOST_BYTES_OF_BODIES: Final = 100_000


class Count(msgspec.Struct, array_like=True):
    """How often something happened that is not a message."""

    name: str
    labels: tuple[str, ...]
    number: int


class Batch(msgspec.Struct, array_like=True):
    """One entry of the stream; `id` tells whether it was drained already."""

    id: str
    rows: list[Row] = []
    counts: list[Count] = []
    strangers: list[Stranger] = []


_encode = msgspec.msgpack.Encoder().encode


def connect(url: str) -> "redis.Redis":
    """A client that says quickly that Valkey is away; made anew it costs nothing until used."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=1,
        socket_timeout=2,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=10,
    )


class Recorder:
    """The recorder of a process; its thread starts with the first note."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._notes: deque[Note] = deque()
        self._dropped = 0
        self._counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._strangers: list[Stranger] = []
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._has_some = threading.Event()
        self._valkey: redis.Redis | None = None
        self._is_away = False
        self._thread: threading.Thread | None = None
        self._traces: traces.Traces | None = None

    def add(self, note: Note) -> None:
        """Keep a note until the next flush; called on the hot path."""
        notes = self._notes
        if len(notes) >= MOST_NOTES:
            self._dropped += 1
            return
        notes.append(note)
        if len(notes) == 1:
            self._wake()

    def count(self, name: str, *labels: str, number: int = 1) -> None:
        """Count that something happened `number` times."""
        with self._lock:
            self._counts[name, labels] += number
        self._wake()

    def stranger(self, stranger: Stranger) -> None:
        """Note a request without a token that is known."""
        with self._lock:
            self._strangers.append(stranger)
            if len(self._strangers) >= MOST_STRANGERS:
                self._strangers = list(joined(self._strangers).values())
        self._wake()

    def _wake(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._traces = traces.of_settings()
                    self._thread = threading.Thread(
                        target=self._flush_on, name="record", daemon=True
                    )
                    self._thread.start()
                    atexit.register(self._end)
        self._has_some.set()

    def _flush_on(self) -> None:
        pause = threading.Event()
        while self._has_some.wait():
            pause.wait(SECONDS)
            self._has_some.clear()
            self.flush()
            if self._notes:
                self._has_some.set()

    def _end(self) -> None:
        self.flush()
        if self._traces is not None:
            self._traces.close()

    def flush(self) -> None:
        """Send what has gathered; what Valkey does not take is dropped and counted."""
        with self._flushing:
            # Other threads go on appending meanwhile.
            notes = [self._notes.popleft() for _ in range(len(self._notes))]
            with self._lock:
                counts, self._counts = self._counts, Counter()
                dropped, self._dropped = self._dropped, 0
                strangers, self._strangers = self._strangers, []
            if dropped:
                counts["unrecorded", ()] += dropped
            if not notes and not counts and not strangers:
                return
            made = rows(notes)
            if self._traces is not None:
                self._traces.tell(made)
            batches = _batches(made)
            batches[0].strangers = list(joined(strangers).values())
            if counts:
                batches[0].counts = [Count(name, labels, n) for (name, labels), n in counts.items()]
            try:
                self._send(batches)
            except (redis.RedisError, OSError) as error:
                self._lost(len(notes) + sum(one.times for one in strangers), counts, error)
            else:
                self._is_away = False

    def _send(self, batches: list[Batch]) -> None:
        if self._valkey is None:
            self._valkey = connect(self._url or settings.CELERY_BROKER_URL)
        pipeline = self._valkey.pipeline(transaction=False)
        for batch in batches:
            pipeline.xadd(STREAM, {FIELD: _encode(batch)}, maxlen=MOST_BATCHES, approximate=True)
        pipeline.execute()

    def _lost(
        self, notes: int, counts: "Counter[tuple[str, tuple[str, ...]]]", error: Exception
    ) -> None:
        """Drop messages, but keep numbers: they go with the next flush that works."""
        with self._lock:
            self._counts.update(counts)
            if notes:
                self._counts["unrecorded", ()] += notes
        if not self._is_away:
            logger.warning("messages are not recorded while Valkey is away: %s", error)
        self._is_away = True


def _batches(rows: list[Row]) -> list[Batch]:
    """The batches, at least one, since it may carry counts alone."""
    batches = []
    left = iter(rows)
    while part := list(islice(left, MOST_ROWS_OF_A_BATCH)):
        batches += _by_bodies(part)
    return batches or [Batch(token_hex(8))]


def _by_bodies(rows: list[Row]) -> list[Batch]:
    batches, part, size = [], [], 0
    for one in rows:
        part.append(one)
        size += len(one.request_body) + len(one.answer_body)
        if size > MOST_BYTES_OF_BODIES:
            batches.append(Batch(token_hex(8), part))
            part, size = [], 0
    return [*batches, Batch(token_hex(8), part)] if part else batches


recorder = Recorder()
