"""The runner: starts PostgreSQL, Valkey, web processes and workers, and minds them."""

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from stack import folder as data
from stack.detail import Detail
from stack.errors import SetupError
from stack.outside import check_database, check_redis
from stack.postgres import Postgres
from stack.processes import LINE_OF_LOG, STOP_SIGNALS, Child, Sink, log, show, stop
from stack.service import Service
from stack.supervisor import Supervisor
from stack.valkey import Valkey

READY_SECONDS = 300  # a small machine starts all processes at once; one that ends is told at once
MOST_FILES = 65_536
WORKERS = ("profiles", "deliveries", "pulls", "upkeep")  # each of one queue
WEB = ["-m", "uvicorn", "hub.asgi:application", "--loop", "uvloop"]
WEB += [
    "--http",
    "hub.gateway.http_server:Protocol",
]  # uvicorn's httptools, and one write an answer
WEB += ["--lifespan", "on", "--no-access-log", "--no-proxy-headers", "--timeout-keep-alive", "75"]
WEB += ["--log-level", "warning", "--fd"]
# Workers need not know of each other by the broker.
ALONE = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
CELERY = ["-m", "celery", "--quiet", "-A", "hub.celery"]


def worker(group: str) -> list[str]:
    """The arguments of a worker that serves one queue; deploy/ has the same."""
    # One thread for what a broker brings; those of the worker itself are its own (hub/workers/).
    options = ["--pool=threads", "-c", "1", "-Q", group, "-n", f"{group}@%h"]
    return [*CELERY, "worker", *options, *ALONE]


@dataclass(frozen=True)
class Settings:
    """What the environment says about this start."""

    project: Path
    folder: Path
    host: str
    port: int
    public_url: str
    web_workers: int
    database_url: str
    redis_url: str
    demo: bool

    @classmethod
    def read(cls, env: Mapping[str, str], project: Path, *, demo: bool) -> "Settings":
        """Fails loudly on anything that is not a number."""
        public_url = env.get("PUBLIC_URL", "").rstrip("/")
        return cls(
            project=project.resolve(),
            folder=Path(env.get("FLEXHUB_DATA") or project / ".data").resolve(),
            host=host_of(env),
            port=port_of(env),
            public_url=public_url,
            web_workers=_number(env, "WEB_WORKERS", 2, range(1, 257)),
            database_url=env.get("DATABASE_URL", ""),
            redis_url=env.get("REDIS_URL", ""),
            demo=demo,
        )


def host_of(env: Mapping[str, str]) -> str:
    """Where to listen: for this machine alone unless somebody says otherwise."""
    return env.get("HOST") or "127.0.0.1"


def port_of(env: Mapping[str, str]) -> int:
    """PORT; 0 is any that is free."""
    return _number(env, "PORT", 8000, range(65536))


def _number(env: Mapping[str, str], name: str, default: int, allowed: range) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or int(text) not in allowed:
        raise SetupError(f"{name} must be a number from {allowed[0]} to {allowed[-1]}, not {text}")
    return int(text)


def listen(host: str, port: int) -> socket.socket:
    """The one socket of all web processes: when one dies, the others take what waits in it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        number = error.errno or 0  # not positive for an unknown host
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
        raise SetupError(
            f"cannot listen on {host} port {port}, set PORT or HOST: {reason}"
        ) from None


def where(listener: socket.socket) -> str:
    """For the start-up line: what is told to the world is not where we listen."""
    host, port = listener.getsockname()[:2]
    who = "this machine alone; " if ip_address(host).is_loopback else ""
    return f"{host} port {port} ({who}HOST says where)"


def web_process(
    name: str,
    listener: socket.socket,
    env: Mapping[str, str],
    project: Path,
    grace: float = 10,
    sink: Sink = log,
) -> Child:
    """One web process on a socket that outlives it."""
    return Child(
        name,
        [sys.executable, *WEB, str(listener.fileno())],
        # PYTHONFAULTHANDLER: where it hung, should it have to be ended for that.
        env={**env, "PYTHONFAULTHANDLER": "1"},
        cwd=project,
        fds=[listener.fileno()],
        grace=grace,
        beats=True,
        sink=sink,
    )


def raise_file_limit() -> None:
    """As many open files as this user may have: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS: "unlimited" has a limit, too
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Runner:
    """One start of the whole hub."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.messages = settings.folder / "messages.log"
        self.sink = Detail(self.messages).sink if settings.demo else log
        self.services: list[Service] = []
        # In the order in which they are stopped.
        self.groups: dict[str, list[Child]] = {
            name: [] for name in ("once", "workers", "web", "demo")
        }
        # Celery warns root at length, in every worker; that is for script/server to decide.
        self.env = {
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser",
            **os.environ,
        }
        self.operator = ""
        self.signals = 0

    def run(self) -> int:
        """Until a signal ends it."""
        raise_file_limit()
        os.umask(0o077)  # what the children write into the data folder is nobody else's business
        lock = data.Lock(self.settings.folder)
        with lock.file, listen(self.settings.host, self.settings.port) as listener:
            for number in STOP_SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN or number != signal.SIGHUP:  # nohup
                    signal.signal(number, self._on_signal)
            try:
                self._start(listener)
                self._announce(listener)
                Supervisor(self._children()).run()
            except KeyboardInterrupt as interrupt:
                log("runner", f"{interrupt}: stopping; once more to hurry")
            finally:
                self.signals = max(self.signals, 1)
                self._stop()
        return 0

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.signals += 1
        if self.signals == 1:
            raise KeyboardInterrupt(signal.Signals(number).name)

    def _children(self) -> list[Child]:
        services = [service.child for service in self.services if service.child]
        return services + [
            child for name in ("web", "workers", "demo") for child in self.groups[name]
        ]

    # Start, in this order

    def _start(self, listener: socket.socket) -> None:
        settings = self.settings
        if settings.database_url:
            check_database(settings.database_url)
        if settings.redis_url:
            check_redis(settings.redis_url)
        self.env |= {
            "DATABASE_URL": settings.database_url or self._embedded(Postgres),
            "REDIS_URL": settings.redis_url or self._embedded(Valkey),
            "PORT": str(listener.getsockname()[1]),
        }
        shared = "".join(
            f"{key}={self.env[key]}\n" for key in ("DATABASE_URL", "REDIS_URL", "PORT")
        )
        data.write(settings.folder / "services.env", shared)
        self.env |= {"FLEXHUB_DATA": str(settings.folder), "PYTHONUNBUFFERED": "1"}
        self._manage("migrate", "--no-input")
        self._first_operator()
        for number in range(1, settings.web_workers + 1):
            name = f"web-{number}"
            child = web_process(
                name, listener, self._env_of(name), settings.project, sink=self.sink
            )
            self._begin("web", child)
        for group in WORKERS:
            self._add("workers", group, worker(group))
        self._await_web(listener)
        if settings.demo:
            url = f"{self._address(listener)}/ocpi/versions"
            self._add("demo", "demo", ["-m", "simulators", "demo", "--hub-versions-url", url])

    def _embedded(self, kind: type[Service]) -> str:
        service = kind(self.settings.folder / kind.__name__.lower(), sink=self.sink)
        self.services.append(service)
        begun = time.monotonic()
        url = service.start()
        log("runner", f"{service.title} is ready after {time.monotonic() - begun:.1f} s")
        return url

    def _env_of(self, name: str) -> dict[str, str]:
        """PGAPPNAME: pg_stat_activity tells whose each connection is."""
        return self.env | {"FLEXHUB_WORKER": name, "PGAPPNAME": f"flexhub-{name}"}

    def _add(self, group: str, name: str, arguments: list[str]) -> None:
        child = Child(
            name,
            [sys.executable, *arguments],
            # PYTHONFAULTHANDLER: where it hung, should it have to be ended for that.
            env={**self._env_of(name), "PYTHONFAULTHANDLER": "1"},
            cwd=self.settings.project,
            # The demo ends its own parties; the others are made to be killed at any moment.
            dies_with_runner=signal.SIGTERM if group == "demo" else signal.SIGKILL,
            sink=log if group == "demo" else self.sink,
            beats=group == "workers",
        )
        self._begin(group, child)

    def _begin(self, group: str, child: Child) -> None:
        self.groups[group].append(child)
        child.start()

    def _manage(self, command: str, *arguments: str) -> list[str]:
        """Run a management command; its lines in JSON are for us, the others are shown."""
        told: list[str] = []

        def sink(name: str, line: str) -> None:
            if line.startswith("{") and not line.startswith(LINE_OF_LOG):
                told.append(line)
            else:
                self.sink(name, line)

        child = Child(
            command.removeprefix("first_"),
            [sys.executable, "manage.py", command, *arguments],
            env=self.env,
            cwd=self.settings.project,
            sink=sink,
        )
        self.groups["once"].append(child)
        child.start()
        child.wait()
        if child.exit_code != 0:
            raise SetupError(f"manage.py {command} failed: {child.last_words()}")
        return told

    def _first_operator(self) -> None:
        file = self.settings.folder / "operator.txt"
        for line in self._manage("first_operator"):
            answer = json.loads(line)
            if not answer["created"]:
                continue
            name, password = answer["username"], answer["password"]
            told, where_else = f"  Operator       {name}   one-time password {password}", "now only"
            if self.settings.demo:
                # Whoever tries the hub out looks away while it starts.
                data.write(file, f"{name}\n{password}\n")
                where_else = f"now, at the end, and in {file}"
            self.operator = f"{told} (shown {where_else})"
        if self.settings.demo and not self.operator and file.exists():
            self.operator = f"  Operator       the first password stands in {file}, if still in use"

    def _await_web(self, listener: socket.socket) -> None:
        limit = time.monotonic() + READY_SECONDS
        reason = "no answer"
        while reason and time.monotonic() < limit:
            for child in self.groups["web"]:
                if child.wait(0.05):
                    raise SetupError(f"{child.name} did not start: {child.last_words()}")
            reason = self._health(listener)
        if reason:
            raise SetupError(
                f"GET /health was not answered with 200 in {READY_SECONDS} s: {reason}"
            )

    def _health(self, listener: socket.socket) -> str:
        """Empty when the web processes are well."""
        host, port = listener.getsockname()[:2]
        local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
        http_connection = http.client.HTTPConnection(local, port, timeout=5)
        public = urlsplit(self.settings.public_url).netloc
        try:
            http_connection.request("GET", "/health", headers={"Host": public} if public else {})
            status = http_connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
        finally:
            http_connection.close()
        return "" if status == 200 else f"HTTP {status}"

    def _address(self, listener: socket.socket) -> str:
        return self.settings.public_url or f"http://127.0.0.1:{listener.getsockname()[1]}"

    def _announce(self, listener: socket.socket) -> None:
        address = self._address(listener)
        lines = ["", "Flexhub is ready; Ctrl-C stops it.", f"  Listens on     {where(listener)}"]
        lines += [f"  Console        {address}/admin/"]
        lines += [f"  OCPI versions  {address}/ocpi/versions"]
        if self.settings.demo:
            lines += [f"  Each message   {self.messages}"]
        show("\n".join([*lines, self.operator]))
        if not self.settings.demo:
            self.operator = ""

    def _stop(self) -> None:
        begun = time.monotonic()
        for children in self.groups.values():
            stop(children, self._is_hurried)
        for service in reversed(self.services):
            service.stop(self._is_hurried)
        if self.operator:  # of the demo; or created, but it was never ready: it is not told again
            show(self.operator)
        if self.services or any(self.groups.values()):
            log("runner", f"all stopped in {time.monotonic() - begun:.1f} s")

    def _is_hurried(self) -> bool:
        return self.signals > 1
