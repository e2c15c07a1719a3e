"""deploy/: the examples start what script/server starts, and name settings that there are."""

import re
import shlex
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from hub.backup.dump import release
from hub.db import batch_writer
from hub.models import Sharding
from hub.startup import heartbeat
from hub.workers.process import JOBS_AT_ONCE
from stack.__main__ import CHECKOUT
from stack.serve import WEB, WORKERS, worker
from stack.supervisor import Patience

DEPLOY = CHECKOUT / "deploy"
UNITS = {path.name: path for path in (DEPLOY / "systemd").glob("flexhub*.*") if path.is_file()}
COMMON = DEPLOY / "systemd" / "flexhub-.service.d" / "common.conf"
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
HUB = {name for name, service in COMPOSE["services"].items() if service["image"] == "flexhub"}
NGINX = (DEPLOY / "nginx.conf").read_text()
PYTHON = "/opt/flexhub/.venv/bin/python"
DATA = Path("/var/lib/flexhub")
ALONE = ["python", "-m", "stack"]
# Not settings of the hub: Python's, libpq's, and the name that a web process is given.
OTHERS = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER"}
OTHERS |= {"PGAPPNAME", "FLEXHUB_WORKER"}
SECRETS = {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEY"}


def values(path: Path, key: str) -> list[str]:
    """What a unit says under a key, in order."""
    lines = (line.partition("=") for line in path.read_text().splitlines())
    return [value for name, equals, value in lines if equals and name == key]


def started(unit: str) -> list[str]:
    """The arguments of Python in a unit; %% is a percent sign there."""
    (command,) = values(UNITS[unit], "ExecStart")
    python, *arguments = shlex.split(command.replace("%%", "%"))
    assert python == PYTHON
    return arguments


def environment() -> dict[str, str]:
    """The file of settings that units and containers share."""
    lines = (DEPLOY / "flexhub.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


# --- The commands -------------------------------------------------------------------------------


def test_units_start_what_the_runner_starts():
    assert started("flexhub-web@.service") == [*WEB, "3"]  # the first socket that systemd gives
    assert started("flexhub-migrate.service") == ["manage.py", "migrate", "--no-input"]
    for group in WORKERS:
        assert started(f"flexhub-worker-{group}.service") == worker(group)


def test_containers_start_what_the_runner_starts():
    dockerfile = (DEPLOY / "Containerfile").read_text()
    (said,) = re.findall(r"^CMD (.+)$", dockerfile, re.MULTILINE)
    assert yaml.safe_load(said) == [*ALONE, "web"]
    assert WEB[-1] == "--fd"
    commands = {name: COMPOSE["services"][name].get("command") for name in HUB}
    # The runner, which minds one process and starts what script/server does.
    expected = {f"worker-{group}": [*ALONE, "worker", group] for group in WORKERS}
    assert commands == {
        "web": None,  # the image's own
        "migrate": ["python", "manage.py", "migrate", "--no-input"],
        **expected,
    }


def test_the_target_starts_every_process():
    wanted = {name for line in values(UNITS["flexhub.target"], "Wants") for name in line.split()}
    assert {re.sub(r"@\d+", "@", name) for name in wanted} == (
        {name for name in UNITS if name.endswith(".service")} - {"flexhub-migrate.service"}
    )
    for name in UNITS.keys() - {"flexhub.target"}:
        assert name.startswith("flexhub-")  # by which common.conf is theirs


def test_processes_wait_for_the_migrations():
    for name, path in UNITS.items():
        if name.endswith(".service") and name != "flexhub-migrate.service":
            for key in ("Requires", "After"):
                assert "flexhub-migrate.service" in values(path, key)[0].split(), name
    for name in HUB - {"migrate"}:
        condition = COMPOSE["services"][name]["depends_on"]["migrate"]["condition"]
        assert condition == "service_completed_successfully"


# --- The settings -------------------------------------------------------------------------------


def known_settings() -> set[str]:
    """Those that hub/settings.py reads, and the runner."""
    source = "".join(
        (CHECKOUT / name).read_text() for name in ("hub/settings.py", "stack/serve.py")
    )
    found = re.findall(r'env(?:iron)?\.\w+\(\s*"([A-Z_]+)"', source)
    return set(found)


def named_settings() -> set[str]:
    """Those that the examples name."""
    named = set(environment())
    for path in (COMMON, *UNITS.values()):
        for line in values(path, "Environment"):
            named |= {pair.partition("=")[0] for pair in shlex.split(line)}
    for name in HUB:
        named |= COMPOSE["services"][name].get("environment", {}).keys()
    dockerfile = (DEPLOY / "Containerfile").read_text()
    for line in re.findall(r"^ENV (.+)$", dockerfile, re.MULTILINE):
        named |= {pair.partition("=")[0] for pair in shlex.split(line)}
    return {name.removesuffix("_FILE") for name in named} - OTHERS


def test_every_setting_that_is_named_exists_and_is_explained():
    named = named_settings()
    assert named >= SECRETS | {"PUBLIC_URL", "FLEXHUB_DATA", "HUB_PARTY_ID"}
    assert named <= known_settings()
    explained = (CHECKOUT / "docs" / "operations.md").read_text()
    assert [name for name in named if f"`{name}`" not in explained] == []


def test_secrets_are_in_files_of_their_own():
    for name in SECRETS:
        assert environment()[f"{name}_FILE"].startswith("/etc/flexhub/secrets/")
        assert name not in environment()
    for name in HUB:
        service = COMPOSE["services"][name]
        assert service["env_file"] == "../flexhub.env"
        assert "./secrets:/etc/flexhub/secrets:ro" in service["volumes"]
    assert values(COMMON, "EnvironmentFile") == ["/etc/flexhub/flexhub.env"]


# --- Limits -------------------------------------------------------------------------------------


def directive(name: str) -> str:
    (found,) = set(re.findall(rf"^\s*{name} (.+);$", NGINX, re.MULTILINE))
    return str(found)


def test_the_proxy_lets_the_hub_answer_first():
    assert int(directive("client_max_body_size").rstrip("m")) * 1024**2 > settings.MAX_BODY_BYTES
    longest = settings.FORWARD_TIMEOUT + settings.CONNECT_TIMEOUT
    assert int(directive("proxy_read_timeout").rstrip("s")) > longest
    kept_alive = int(WEB[WEB.index("--timeout-keep-alive") + 1])
    (upstream,) = re.findall(r"upstream flexhub \{(.+?)\}", NGINX, re.DOTALL)
    assert f"keepalive_timeout {kept_alive - 15}s;" in upstream


@pytest.mark.parametrize(
    "line",
    [
        "proxy_set_header X-Forwarded-Proto $scheme",
        "proxy_set_header Host $host",
        "proxy_next_upstream off",
        "access_log off",
    ],
)
def test_the_proxy_says_what_the_hub_relies_on(line):
    assert f"{line};" in NGINX
    assert settings.SECURE_PROXY_SSL_HEADER == ("HTTP_X_FORWARDED_PROTO", "https")


def test_the_proxy_knows_where_the_hub_listens():
    (listening,) = values(UNITS["flexhub-web.socket"], "ListenStream")
    assert f"server {listening};" in NGINX
    (ports,) = COMPOSE["services"]["web"]["ports"]
    first, last = ports.removeprefix("127.0.0.1:").removesuffix(":8000").split("-")
    assert int(last) - int(first) + 1 == COMPOSE["services"]["web"]["scale"]
    for port in range(int(first), int(last) + 1):
        assert f"server 127.0.0.1:{port};" in NGINX


def test_where_to_listen_is_said_and_not_more_than_the_proxy_needs():
    (listening,) = values(UNITS["flexhub-web.socket"], "ListenStream")
    assert listening.startswith("127.0.0.1:")
    assert environment()["HOST"] == "127.0.0.1"
    web = COMPOSE["services"]["web"]
    assert web["environment"]["HOST"] == "0.0.0.0"
    assert web["environment"]["PORT"] == "8000"
    assert all(port.startswith("127.0.0.1:") for port in web["ports"])


def test_the_proxy_is_trusted_and_says_who_calls():
    proxies = [ip_network(text) for text in environment()["TRUSTED_PROXIES"].split(",")]
    assert ip_network("127.0.0.1") in proxies
    (subnet,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert ip_network(subnet["gateway"]) in proxies
    assert ip_address(subnet["gateway"]) in ip_network(subnet["subnet"])
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in NGINX


@pytest.mark.parametrize("unit", ["web@", *(f"worker-{group}" for group in WORKERS)])
def test_a_process_that_hangs_is_started_again(unit):
    file = UNITS[f"flexhub-{unit}.service"]
    assert values(file, "Type") == ["notify"]
    assert values(file, "NotifyAccess") == ["main"]
    assert values(file, "Restart") == ["always"]
    (seconds,) = map(int, values(file, "WatchdogSec"))
    assert seconds == 3 * heartbeat.EVERY == Patience().silent
    assert "PYTHONFAULTHANDLER=1" in values(file, "Environment")
    # The container's own program is the runner, which minds the web process.
    assert COMPOSE["services"]["web"]["restart"] == "unless-stopped"


def test_images_are_pinned():
    images = {service["image"] for service in COMPOSE["services"].values()} - {"flexhub"}
    containerfile = (DEPLOY / "Containerfile").read_text()
    images |= set(re.findall(r"^FROM (\S+)", containerfile, re.MULTILINE))
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(r"[\w/]+:\d+\.[\w.-]+", image), image


def budget(web: int) -> int:
    """The connections of one set of workers and `web` web processes, as docs/operations.md says."""
    each = settings.DJANGO_THREADS + settings.HANDSHAKE_THREADS + settings.CONSOLE_THREADS + 4
    each += batch_writer.CONNECTIONS
    turns = {name: len(settings.TURNS_BY_THE_CLOCK.get(name, {})) for name in WORKERS}
    # A queue that is new here is missing in the table, too.
    more = {"profiles": 2, "deliveries": 1 + 2 * Sharding.DEFAULT}
    more |= dict.fromkeys(("pulls", "upkeep"), JOBS_AT_ONCE)
    return web * each + sum(4 + turns[name] + more[name] for name in WORKERS) + 10


def test_the_budget_of_connections_is_the_one_that_is_written_down():
    explained = (CHECKOUT / "docs" / "operations.md").read_text()
    assert f"= {budget(web=2)} for two web processes" in explained
    command = COMPOSE["services"]["postgres"]["command"]
    (most,) = (int(part.split("=")[1]) for part in command if part.startswith("max_connections"))
    assert budget(COMPOSE["services"]["web"]["scale"]) < most


def test_script_server_and_script_test_need_nothing_of_it():
    for script in (CHECKOUT / "script").iterdir():
        assert "deploy" not in script.read_text()


# --- The chart, which deploy/check_chart.py renders where Helm is to be had ----------------------

CHART = DEPLOY / "helm"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def template(name: str) -> str:
    return (CHART / "templates" / f"{name}.yaml").read_text()


def test_the_chart_starts_what_the_runner_starts():
    assert VALUES["workers"].keys() == set(WORKERS)
    assert "command: [python, -m, stack, worker, {{ $queue }}]" in template("workers")
    assert "command: [python, -m, stack, web]" in template("web")
    assert "command: [python, manage.py, migrate, --no-input]" in template("migrate")
    assert re.findall(r"path: (/\w+), port", template("web")) == ["/readyz", "/livez", "/livez"]


def test_the_chart_names_settings_that_there_are_and_no_secret():
    named = set(VALUES["settings"]) | set(VALUES["secret"]["files"])
    assert named <= known_settings()
    assert not SECRETS & VALUES["settings"].keys()
    assert set(VALUES["secret"]["files"]) == SECRETS
    # Both are in the same files, whoever reads them.
    files = {
        f"{name}_FILE": f"/etc/flexhub/secrets/{VALUES['secret']['files'][name]}"
        for name in SECRETS
    }
    assert files.items() <= environment().items()


def test_the_chart_is_of_this_release():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == release()
