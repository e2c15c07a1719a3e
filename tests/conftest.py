"""What every test may use: a database and a Valkey of its own, a running hub, simulated parties."""

import gc
import os
from collections.abc import Iterator
from contextlib import nullcontext
from urllib.parse import urlsplit

import hypothesis
import pytest
from django.conf import settings
from hypothesis import HealthCheck

# What is loaded and collected stays: the collector would take a fifth of the time that this takes.
gc.disable()
# Each test process has a Redis database of its own; Django's test runner does so for PostgreSQL.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
_REDIS = urlsplit(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
os.environ["REDIS_URL"] = _REDIS._replace(path=f"/{int(_WORKER) + 1}").geturl()
# pytest-django has read the settings before this file; Celery reads them at its first use.
settings.CELERY_BROKER_URL = os.environ["REDIS_URL"]
# Some tests hold a lock while much is asked of the hub, on a machine that may be slow.
settings.DATABASES["default"]["OPTIONS"]["options"] += " -c lock_timeout=50s"
# The same examples each time: a test that fails is one that fails for everybody.
hypothesis.settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment, django_db_blocker, pytestconfig) -> Iterator[None]:
    """The test database, also where only the running hub uses it."""
    with django_db_blocker.unblock():
        before = databases.create(pytestconfig.cache.mkdir("database"))
    yield
    with django_db_blocker.unblock():
        databases.drop(before)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """The collector begins, with what the tests make; this process may run none itself."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """After pytest-cov has begun to look."""
    pause(session.config)


@pytest.fixture(scope="module", autouse=True)
def _measured(request) -> Iterator[None]:
    """Before `hub`: threads are measured or not from their beginning."""
    is_measured = request.node.get_closest_marker("measured") is not None
    with looking(request.config) if is_measured else nullcontext():
        yield


@pytest.fixture(scope="module")
def hub(django_db_setup, django_db_blocker) -> Iterator["RunningHub"]:
    """A hub with its web server and a Celery worker in this process, over real HTTP.

    Its rows are committed and stay for the module, so each test uses ids of its own.
    """
    with django_db_blocker.unblock(), RunningHub() as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules come first: begun late, one would go on when all others have ended.

    Of a module those with a running hub come last: its rows and threads stay for the module.
    """
    modules = {path: number for number, path in enumerate(dict.fromkeys(i.path for i in items))}
    items.sort(
        key=lambda item: (
            item.get_closest_marker("long") is None,
            modules[item.path],
            "hub" in getattr(item, "fixturenames", ()),
        )
    )


def pytest_terminal_summary(terminalreporter) -> None:
    """What tests have counted (record_property) is told also when they pass."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{report.location[2]}: {name}: {value}")


@pytest.fixture(autouse=True)
def _leave_settings_alone(settings) -> None:
    """Settings that a test changes are put back."""


# These read the settings, after REDIS_URL.
from tests import databases  # noqa: E402
from tests.measured import looking, pause  # noqa: E402
from tests.running_hub import RunningHub  # noqa: E402
