"""Django inside the gateway's process: WSGI requests on a fixed pool of threads.

Each thread keeps its own database connection, looked at before each use. Bodies are read whole (the
gateway caps them) and answers are not streamed, which makes this several times cheaper than
Django's own ASGI handler.
"""

import asyncio
import io
import select
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, ParamSpec, TypeVar

from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.db import connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http.response import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import set_script_prefix

from hub.fairness.lanes import behalf
from hub.fairness.turns import Turns
from hub.ocpi import own_paths
from hub.startup import log

P = ParamSpec("P")
T = TypeVar("T")
Scope = dict[str, Any]
# In `request.META`: the caller's address, also behind a proxy (hub/fairness/callers.py).
CALLER = "flexhub.caller"


class _Views(WSGIHandler):
    """The views alone. The middleware is for people: sessions, CSRF, messages, assets."""

    def load_middleware(self, is_async: bool = False) -> None:
        """None, but an exception still becomes a response."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(self._get_response)  # type: ignore[attr-defined]


@cache
def _handler(*, is_view: bool) -> WSGIHandler:
    """One for all pools of the process, made when it is needed: it looks at each of the assets."""
    return _Views() if is_view else WSGIHandler()


class DjangoThreads:
    """The thread pool that runs Django for one web process; platforms take turns on it.

    `each` is how many of its threads one platform may have at most (hub/fairness/turns.py).
    """

    def __init__(self, threads: int, each: int | None = None) -> None:
        self._turns = Turns(threads, each)
        self._databases: list[BaseDatabaseWrapper] = []
        self._threads = ThreadPoolExecutor(
            threads,
            thread_name_prefix="django",
            initializer=lambda: self._databases.append(connections["default"]),
        )

    def close(self) -> None:
        """Let running requests end; then close each thread's database connection."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for database in self._databases:
            database.inc_thread_sharing()
            database.close()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function that uses the database in the pool."""

        def call() -> T:
            look_at_connection()
            return function(*args, **kwargs)

        return await self._on_a_thread(call)

    async def answer(self, scope: Scope, body: bytes, **extra: Any) -> HttpResponse:
        """Django's response to an ASGI request; `extra` goes into `request.META`."""
        environ = _environ(scope, body) | extra
        is_view = scope["path"].startswith((own_paths.ROOT, own_paths.FLEX))

        def call() -> HttpResponse:
            set_script_prefix("/")
            look_at_connection()
            try:
                return _whole(_handler(is_view=is_view).get_response(WSGIRequest(environ)))
            finally:
                reset_queries()

        return await self._on_a_thread(call)

    async def _on_a_thread(self, call: Callable[[], T]) -> T:
        whose, told = behalf.get(), log.told_about()

        def called() -> T:
            behalf.set(whose)  # A thread has a context of its own.
            log.taken_over(told)
            return call()

        if (turn := self._turns.take(whose)) is not None:
            await self._turns.wait(turn, whose)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, called)
        finally:
            self._turns.give_back(whose)


def _whole(response: HttpResponseBase) -> HttpResponse:
    """What is streamed (assets) is read here, on the thread, and its file closed."""
    if isinstance(response, HttpResponse):
        return response
    assert isinstance(response, StreamingHttpResponse)  # noqa: S101 - narrows for mypy
    whole = HttpResponse(b"".join(response), status=response.status_code)
    whole.headers = response.headers
    whole.cookies = response.cookies
    for close in response._resource_closers:  # type: ignore[attr-defined]
        close()
    return whole


def look_at_connection() -> None:
    """Close this thread's connection where it is lost: the next statement makes another one.

    The server is asked where something has failed, or where it says what nobody has asked, as one
    does that goes away.
    """
    known = connections["default"]
    if known.connection is None or known.in_atomic_block:
        return
    if not known.connection.closed and not known.errors_occurred:
        looking = select.poll()
        looking.register(known.connection.fileno(), select.POLLIN)
        if not looking.poll(0):
            return
    known.errors_occurred = False
    if not known.is_usable():
        known.close()


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """PEP 3333's environment out of an ASGI scope."""
    host, port = scope.get("server") or ("127.0.0.1", 80)
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        value = raw_value.decode("latin-1")
        if name == "CONTENT_TYPE":
            environ["CONTENT_TYPE"] = value
        elif name != "CONTENT_LENGTH" and "_" not in raw_name.decode("latin-1"):
            key = f"HTTP_{name}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ
