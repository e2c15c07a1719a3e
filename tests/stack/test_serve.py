"""The runner as a person meets it: `python -m stack serve`, with a stand-in for the hub."""

import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import pytest

from stack.errors import SetupError
from stack.outside import check_database, check_redis
from stack.processes import left_behind
from stack.serve import MOST_FILES, Settings, listen, where

STANDIN = Path(__file__).with_name("standin")
CHECKOUT = Path(__file__).resolve().parents[2]
SECONDS = 60
# What the surrounding test run or its shell may have set for the real hub.
OF_THE_HUB = ("DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "HOST", "DJANGO_SETTINGS_MODULE")
# Not measured: a signal of ours that comes while coverage holds its lock would never let it go.
OF_COVERAGE = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


class Run:
    """A runner in a process of its own."""

    def __init__(self, folder: Path, *options: str, **env: str) -> None:
        command = [sys.executable, "-m", "stack", "serve", "--project", str(STANDIN), *options]
        others = {*OF_THE_HUB, *OF_COVERAGE}
        clean = {key: value for key, value in os.environ.items() if key not in others}
        self.process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env={**clean, "PORT": "0", "FLEXHUB_DATA": str(folder), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._queue: SimpleQueue[str] = SimpleQueue()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or []:
            self._queue.put(line.rstrip())

    def line_with(self, text: str) -> str:
        """The next line that holds the text."""
        limit = time.monotonic() + SECONDS
        while time.monotonic() < limit:
            try:
                self.lines.append(self._queue.get(timeout=0.2))
            except Empty:
                assert self.process.poll() is None, "\n".join(self.lines)
                continue
            if text in self.lines[-1]:
                return self.lines[-1]
        raise AssertionError(f"no line with {text!r} in\n" + "\n".join(self.lines))

    def port(self) -> int:
        """Where it listens, once it is ready."""
        found = re.search(r":(\d+)/ocpi/versions", self.line_with("OCPI versions"))
        assert found
        return int(found[1])

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        """Signal it; exit code, all of its output, its errors."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.result()

    def result(self) -> tuple[int, str, str]:
        """What is left when it ends by itself."""
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        while not self._queue.empty():
            self.lines.append(self._queue.get())
        errors = self.process.stderr.read() if self.process.stderr else ""
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
        return code, "\n".join(self.lines), errors


@pytest.fixture
def run(data_folder: Path) -> Iterator[Callable[..., Run]]:
    """Starts runners, by default in the test's data folder; all are gone in the end."""
    runs: list[Run] = []

    def start(*options: str, folder: Path = data_folder, **env: str) -> Run:
        runs.append(Run(folder, *options, **env))
        return runs[-1]

    yield start
    for each in runs:
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGTERM)
            each.result()


def processes_of(folder: Path) -> dict[int, str]:
    """Whatever was started for this data folder: its name is in the environment or the command."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            here = (entry / "cwd").readlink().is_relative_to(folder)
        except OSError:
            continue
        if here or str(folder).encode() in told:
            found[int(entry.name)] = (entry / "comm").read_text().strip()
    found.pop(os.getpid(), None)
    return found


def ask(port: int) -> str:
    """The worker that answered, and its process id."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def wait_until(is_true: Callable[[], object]) -> None:
    limit = time.monotonic() + SECONDS
    while not is_true():
        assert time.monotonic() < limit
        time.sleep(0.05)


def limits(pid: int) -> tuple[str, str]:
    """Soft and hard limit of open files."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("Max open files"))
    return line.split()[3], line.split()[4]


def test_a_whole_life(run, data_folder):
    first = run("--demo")
    port = first.port()
    assert any(f"127.0.0.1 port {port} (this machine alone" in line for line in first.lines)
    told = first.line_with("one-time password")
    assert "operator" in told
    assert "shown-once" in told
    file = data_folder / "operator.txt"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == "operator\nshown-once\n"
    assert f"http://127.0.0.1:{port}/admin/" in "\n".join(first.lines)
    _, pid = ask(port).split()
    soft, hard = limits(int(pid))
    assert hard == "unlimited" or soft == hard or int(soft) >= MOST_FILES

    file = data_folder / "services.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert settings["PORT"] == str(port)
    assert re.fullmatch(r"postgresql://flexhub:\w+@127.0.0.1:\d+/flexhub", settings["DATABASE_URL"])
    assert re.fullmatch(r"redis://:\w+@127.0.0.1:\d+/0", settings["REDIS_URL"])
    demo = data_folder / "demo.arguments"
    wait_until(lambda: demo.exists() and demo.read_text())
    assert demo.read_text() == f"demo --hub-versions-url http://127.0.0.1:{port}/ocpi/versions"

    code, _, errors = run().result()
    assert code == 1
    assert errors == (
        f"flexhub: the data folder {data_folder} is in use by another running server "
        f"(process {first.process.pid}): stop that one, or set FLEXHUB_DATA to another folder\n"
    )

    name, pid = ask(port).split()
    assert name.startswith("web-")
    os.kill(int(pid), signal.SIGKILL)
    assert ask(port).split()[1] != pid  # the other one takes over at once
    assert "ended (SIGKILL), starting it again" in first.line_with("starting it again")

    code, output, errors = first.end(signal.SIGINT)
    assert (code, errors) == (0, "")
    assert "did not stop" not in output
    assert output.count("shown-once") == 2  # again, for who looked away
    assert processes_of(data_folder) == {}
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def is_answering(check: Callable[[str], None], url: str) -> bool:
    try:
        check(url)
    except SetupError:
        return False
    return True


def test_whatever_is_killed_comes_back_and_a_killed_runner_leaves_no_orphan(run, data_folder):
    runner = run()
    runner.port()
    lines = (data_folder / "services.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    for name, folder in (("postgres", "postgres/cluster"), ("valkey", "valkey")):
        os.kill(min(left_behind(data_folder / folder)), signal.SIGKILL)
        assert f"{name} ended (SIGKILL)" in runner.line_with("starting it again")
    wait_until(lambda: is_answering(check_database, settings["DATABASE_URL"]))
    wait_until(lambda: is_answering(check_redis, settings["REDIS_URL"]))

    assert len(processes_of(data_folder)) > 10
    runner.end(signal.SIGKILL)
    wait_until(lambda: not processes_of(data_folder))

    again = run()
    again.port()
    code, output, _ = again.end(signal.SIGTERM)
    assert code == 0
    assert "one-time password" not in output


@pytest.fixture
def web() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `python -m stack web` with the stand-in for the hub."""
    started: list[subprocess.Popen[str]] = []

    def start(**env: str) -> subprocess.Popen[str]:
        clean = {key: value for key, value in os.environ.items() if key not in OF_COVERAGE}
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "stack", "web", "--project", str(STANDIN)],
                cwd=CHECKOUT,
                env={**clean, "PORT": "0", "FLEXHUB_WORKER": "web", **env},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def test_one_web_process_alone_is_kept_alive_and_ends_in_order(web):
    runner = web()
    line = runner.stdout.readline()
    found = re.search(r"listens on 127\.0\.0\.1 port (\d+) \(this machine alone", line)
    assert found, line
    port = int(found[1])
    name, pid = ask(port).split()
    assert name == "web"
    os.kill(int(pid), signal.SIGKILL)
    assert "web ended (SIGKILL), starting it again" in runner.stdout.readline()
    assert ask(port).split()[1] != pid
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(SECONDS) == 0
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_one_web_process_alone_listens_where_host_says(web):
    line = web(HOST="0.0.0.0").stdout.readline()
    assert re.search(r"listens on 0\.0\.0\.0 port \d+ \(HOST says where\)", line)


def test_a_busy_port_is_told_in_one_line(run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        code, output, errors = run(PORT=str(port)).result()
    assert (code, output) == (1, "")
    told = f"cannot listen on 127.0.0.1 port {port}, set PORT or HOST: Address already in use"
    assert errors == f"flexhub: {told}\n"


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("PORT", "http", "PORT must be a number from 0 to 65535, not http"),
        ("PORT", "65536", "PORT must be a number from 0 to 65535, not 65536"),
        ("WEB_WORKERS", "0", "WEB_WORKERS must be a number from 1 to 256, not 0"),
    ],
)
def test_numbers_are_checked(name, value, line):
    with pytest.raises(SetupError) as told:
        Settings.read({name: value}, STANDIN, demo=False)
    assert str(told.value) == line


def test_it_listens_to_other_machines_only_when_it_is_told_so():
    hosts = [
        Settings.read(env, STANDIN, demo=False).host
        for env in ({}, {"PUBLIC_URL": "https://hub.example"}, {"HOST": "::1"}, {"HOST": ""})
    ]
    assert hosts == ["127.0.0.1", "127.0.0.1", "::1", "127.0.0.1"]


def test_the_start_up_line_says_where_it_listens():
    for host, told in (
        ("127.0.0.1", "127.0.0.1 port {} (this machine alone; HOST says where)"),
        ("0.0.0.0", "0.0.0.0 port {} (HOST says where)"),
    ):
        with listen(host, 0) as listener:
            assert where(listener) == told.format(listener.getsockname()[1])


def test_a_wrong_database_url_is_told_in_one_line(run):
    reason = 'connection to server at "127.0.0.1", port 1 failed: Connection refused'
    code, output, errors = run(DATABASE_URL="postgresql://u:s3cr3t@127.0.0.1:1/x").result()
    assert (code, output) == (1, "")
    assert errors == f"flexhub: DATABASE_URL does not work: {reason}\n"


def test_a_data_folder_that_cannot_be_made_is_told_in_one_line(run):
    code, output, errors = run(folder=Path("/dev/null/data")).result()
    assert (code, output) == (1, "")
    assert errors == "flexhub: /dev/null/data: Not a directory\n"


def test_throw_away_services_are_gone_after_their_command(tmp_path):
    script = 'echo "$DATABASE_URL $REDIS_URL"; test -d "$FLEXHUB_DATA" && exit 7'
    done = subprocess.run(
        [sys.executable, "-m", "stack", "test", "--", "sh", "-c", script],
        cwd=CHECKOUT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (7, "")
    assert re.fullmatch(r"postgresql://\S+ redis://\S+\n", done.stdout)
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == {}
