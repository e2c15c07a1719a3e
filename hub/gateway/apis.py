"""HTTP APIs beside OCPI, which have keys of their own (flex/api/): limits, waiting, messages.

Their views run on threads. Whose turn it is there is known once a key has been right in this
process; until then it is a stranger's, has the console's threads, and may not be tried often. What
has to wait, for news or for a party's answer, waits here and holds no thread.
"""

import asyncio
import hashlib
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

from django.http.response import HttpResponse

from hub.console.throttle import Allowance, Throttle
from hub.db.django_threads import CALLER
from hub.fairness import callers
from hub.fairness.lanes import Behalf, Lane, behalf
from hub.gateway import hop
from hub.gateway.answer import Outgoing, of_django, of_failure, refusal, send_whole
from hub.gateway.bodies import SenderGone, read_body
from hub.gateway.outcome import Outcome
from hub.gateway.process import Receive, Send, WebProcess
from hub.ocpi.errors import ConnectionProblem, HubError, OcpiError, TooManyRequests
from hub.outbound import loops
from hub.record.note import Kind
from hub.routing import decisions
from hub.routing.directory import KnownToken
from hub.routing.own_messages import OwnMessage
from hub.routing.request import OcpiRequest, Scope
from hub.startup.quick_settings import setting
from hub.views import MessageFirst, NothingYet, problem

logger = logging.getLogger(__name__)
Decide = Callable[[OcpiRequest, Outcome], Awaitable[decisions.Decision]]


class Apis:
    """Answers everything below /flex/."""

    MAX_BODY_BYTES: Final = 256_000
    # Keys that were right a moment ago.
    MOST_KNOWN: Final = 10_000
    # Of an address, with keys that are not known: so many at once, then one after each pause.
    TRIES: Final = Allowance(at_once=20, pause=3)

    def __init__(self, worker: WebProcess, decide: Decide) -> None:
        self._worker = worker
        self._decide = decide
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._tries = Throttle(account=self.TRIES, address=self.TRIES)
        self._rates = _Rates()
        self._waiting = Waiting(worker)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            outgoing = await self._outgoing(scope, receive)
        except SenderGone:
            return
        except OcpiError as error:
            outgoing = of_django(_problem(error))
        except Exception as error:
            failed, _ = of_failure(error, "of the flex API")
            outgoing = of_django(_problem(failed))
        sent = [(b"cache-control", b"no-store"), *outgoing.headers]
        if scope["method"] != "HEAD" and outgoing.status != HTTPStatus.NO_CONTENT:
            sent.append((b"content-length", str(len(outgoing.body)).encode()))
        await send_whole(send, outgoing.status, sent, outgoing.body)

    async def _outgoing(self, scope: Scope, receive: Receive) -> Outgoing:
        asked = dict(scope["headers"])
        if loops.is_own_message(asked):
            raise HubError(loops.REASON)
        address = callers.address_of(scope)
        key = _key_in(asked.get(b"authorization", b""))
        platform = self._known.get(key)
        if platform is None:
            self._try(address)
        else:
            self._rates.check(key, platform)
        body = await read_body(receive, self.MAX_BODY_BYTES)
        response = await self._view(scope, body, address, platform)
        self._learn(key, platform, response, address)
        if isinstance(response, NothingYet):
            whose = getattr(response, "platform", None) or 0
            response = await self._waiting.wait(response, key, whose)
        elif isinstance(response, MessageFirst):
            response = await self._after_message(response)
        return of_django(response)

    async def _view(
        self, scope: Scope, body: bytes, address: str, platform: int | None
    ) -> HttpResponse:
        # The name under which the hub was called means nothing.
        extra = {CALLER: address, "HTTP_HOST": "127.0.0.1"}
        if platform is None:
            return await self._worker.pages.answer(scope, body, **extra)
        whose = Behalf(platform, Lane.READ if scope["method"] in {"GET", "HEAD"} else Lane.PUSH)
        behalf.set(whose)
        async with self._worker.in_hand.one(whose):
            return await self._worker.django.answer(scope, body, **extra)

    # --- Who asks -------------------------------------------------------------------------------

    def _try(self, address: str) -> None:
        wait = self._tries.try_("", callers.group_of(address))
        if wait:
            raise TooManyRequests(
                "Too many requests of your address have come without a key that is right.",
                limit="strangers",
                retry_after=int(wait) + 1,
            )

    def _learn(
        self, key: bytes, platform: int | None, response: HttpResponse, address: str
    ) -> None:
        """By what a view has found: the `platform` of a key, None of one that opens nothing."""
        found: int | None = getattr(response, "platform", None)
        if platform is None and found is not None:
            self._tries.was_right("", callers.group_of(address))
        self._known.pop(key, None)
        if found is not None:
            self._known[key] = found
            if len(self._known) > self.MOST_KNOWN:
                self._known.popitem(last=False)

    # --- A message first ------------------------------------------------------------------------

    async def _after_message(self, first: MessageFirst) -> HttpResponse:
        outcome = Outcome(kind=Kind.FORWARD)
        try:
            outgoing = await self._sent(first.message, outcome)
        except OcpiError as error:
            outgoing = refusal(error)
        finally:
            outcome.give_back()
        return await self._worker.django.run(first.answered, outgoing.status, outgoing.body)

    async def _sent(self, message: OwnMessage, outcome: Outcome) -> Outgoing:
        """The answer to a message that goes in a party's name, as if it had sent it itself."""
        directory = self._worker.directory
        entry = directory.parties.get(message.sender)
        if entry is None:
            raise ConnectionProblem(f"{message.sender} is not connected.")
        request = message.request(directory, KnownToken(entry.platform, is_token_a=False))
        decision = await self._decide(request, outcome)
        if not isinstance(decision, decisions.Forward):
            raise HubError("This message has no receiver.")
        return await hop.forward(self._worker, request, outcome, decision)


def _key_in(authorization: bytes) -> bytes:
    """What stands for a key, however the header around it is spelled."""
    return hashlib.sha256(b"".join(authorization.split()[-1:])).digest()


def _problem(error: OcpiError) -> HttpResponse:
    status = error.http_status if error.http_status >= 400 else HTTPStatus.BAD_GATEWAY
    code = "TOO_MANY_REQUESTS" if isinstance(error, TooManyRequests) else status.name
    return problem(status, code, error.told, error.headers)


class _Rates:
    """Requests a second of each key, and of all keys of a platform; a second's worth at once."""

    MOST: Final = 10_000
    # All keys of a platform together, which may mint many for drivers.
    OF_A_PLATFORM: Final = 10

    def __init__(self) -> None:
        # When the next request is due, were they evenly spread.
        self._due: OrderedDict[bytes | int, float] = OrderedDict()

    def check(self, key: bytes, platform: int) -> None:
        """TooManyRequests beyond the rate."""
        rate: int = setting("FLEX_REQUESTS_PER_SECOND")
        self._check(key, rate, "one key")
        self._check(platform, rate * self.OF_A_PLATFORM, "all keys of a platform")

    def _check(self, whose: bytes | int, rate: int, said: str) -> None:
        now = time.monotonic()
        due = max(self._due.pop(whose, 0.0), now)
        is_early = due - now > max(1.0 - 1 / rate, 0.0)
        self._due[whose] = due if is_early else due + 1 / rate
        if len(self._due) > self.MOST:
            self._due.popitem(last=False)
        if is_early:
            raise TooManyRequests(
                f"This hub takes {rate} requests a second of {said}.", limit="rate"
            )


class Waiting:
    """Those who wait for news: one loop for all asks whether there is some."""

    EVERY: Final = 0.5  # seconds
    MOST: Final = 1_000
    MOST_OF_A_KEY: Final = 8
    MOST_OF_A_PLATFORM: Final = 100

    def __init__(self, worker: WebProcess) -> None:
        self._worker = worker
        self._of_whom: Counter[bytes | int] = Counter()
        self._places: dict[NothingYet, asyncio.Event] = {}
        self._loop: asyncio.Task[None] | None = None

    async def wait(self, nothing: NothingYet, key: bytes, platform: int) -> HttpResponse:
        """What has happened; `nothing` itself after its time."""
        until = time.monotonic() + nothing.seconds
        with self._place(nothing, key, platform) as has_news:
            while (left := until - time.monotonic()) > 0:
                try:
                    async with asyncio.timeout(left):
                        await has_news.wait()
                except TimeoutError:
                    break
                has_news.clear()
                found = await self._worker.django.run(nothing.look)
                if found is not None:
                    return found
        return nothing

    @contextmanager
    def _place(self, nothing: NothingYet, key: bytes, platform: int) -> Iterator[asyncio.Event]:
        if (
            self._of_whom[key] >= self.MOST_OF_A_KEY
            or self._of_whom[platform] >= self.MOST_OF_A_PLATFORM
            or len(self._places) >= self.MOST
        ):
            raise TooManyRequests(
                f"At most {self.MOST_OF_A_KEY} requests of one key, {self.MOST_OF_A_PLATFORM} of a "
                f"platform, and {self.MOST} of all wait for news at the same time.",
                limit="waiting",
            )
        self._of_whom.update((key, platform))
        self._places[nothing] = has_news = asyncio.Event()
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._look())
        try:
            yield has_news
        finally:
            del self._places[nothing]
            self._of_whom.subtract((key, platform))
            self._of_whom += Counter()  # Without those of whom nobody waits.

    async def _look(self) -> None:
        """Ask as long as somebody waits; on the hub's own behalf."""
        behalf.set(Behalf(0, Lane.HUB))
        while True:
            await asyncio.sleep(self.EVERY)
            places = list(self._places.items())
            if not places:
                return
            watches: list[Any] = [nothing.watch for nothing, _ in places]
            try:
                news = await self._worker.django.run(places[0][0].news, watches)
            except Exception:
                # The database may be away for a while; those who wait get their answer in time.
                logger.exception("looking for news failed; trying again")
                continue
            for (_, has_news), is_news in zip(places, news, strict=True):
                if is_news:
                    has_news.set()
