"""Names of tasks are written in several places; a wrong one would fail at run time alone."""

import ast
import functools
import importlib
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.utils.module_loading import import_string

from hub.celery import app
from hub.models import Job, Timer
from hub.models.workers import QUEUES
from hub.workers.wake import queue_of

ROOT = Path(__file__).parents[3]
FOLDERS = (
    *("hub", "locations", "tariffs", "sessions", "cdrs", "tokens", "commands"),
    *("charging_profiles", "flex", "bench"),
)
MIGRATION = next((ROOT / "hub" / "migrations").glob("*_task_names.py")).stem
BY_THE_CLOCK = [task for turns in settings.TURNS_BY_THE_CLOCK.values() for task in turns]


@pytest.fixture(autouse=True)
def _tasks_are_loaded() -> None:
    app.loader.import_default_modules()


@functools.cache
def woken() -> dict[str, str]:
    """Each name that somebody asks to be run, and where: `wake("…")`, `outbox.wake("…")`."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and node.args):
                    continue
                name, first = node.func, node.args[0]
                called = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
                if called == "wake":
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    assert isinstance(first, ast.Constant), f"{where}: the name cannot be checked"
                    found[str(first.value)] = where
    return found


def test_who_is_woken_exists():
    names = woken()
    assert "pulls.take_turn" in names
    assert {name: where for name, where in names.items() if name not in app.tasks} == {}


def test_what_is_run_by_the_clock_exists():
    assert BY_THE_CLOCK
    assert [name for name in BY_THE_CLOCK if name not in app.tasks] == []


def test_each_task_has_a_name_of_its_own_that_no_move_of_a_file_changes():
    ours = {
        name: task.run.__module__
        for name, task in app.tasks.items()
        if task.run.__module__.split(".")[0] in FOLDERS
    }
    assert set(BY_THE_CLOCK) <= set(ours)
    assert [name for name, module in ours.items() if name.startswith(f"{module}.")] == []


def test_each_task_is_somebodys_work():
    named = {*woken(), *BY_THE_CLOCK}
    assert {queue_of(name) for name in named} <= set(QUEUES)
    patterns = [pattern.removesuffix("*") for pattern in settings.CELERY_TASK_ROUTES]
    assert [name for name in named if not name.startswith(tuple(patterns))] == []


def test_a_permanent_loop_is_a_class_that_runs_looks_and_stops():
    assert set(settings.PERMANENT_LOOPS) <= set(QUEUES)
    for name in settings.PERMANENT_LOOPS.values():
        loop = import_string(name)
        assert all(callable(getattr(loop, method)) for method in ("run", "look", "stop"))


@pytest.mark.django_db
def test_what_waits_under_a_former_name_is_called_by_the_new_one():
    migration = importlib.import_module(f"hub.migrations.{MIGRATION}")
    Timer.objects.all().delete()
    Timer.objects.create(task="hub.pull.sweep")
    for task, key in (
        ("hub.pull.take_turn", "former-1"),
        ("hub.pull.take_turn", "former-2"),
        ("pulls.take_turn", "former-2"),
    ):
        Job.objects.create(queue="pulls", task=task, arguments=[key])
    waiting = Job.objects.filter(arguments__0__startswith="former-").order_by("arguments")

    migration.rename(apps, None)
    assert [(job.task, *job.arguments) for job in waiting] == [
        ("pulls.take_turn", "former-1"),
        ("pulls.take_turn", "former-2"),
    ]
    assert [timer.task for timer in Timer.objects.all()] == ["pulls.queue_due"]

    migration.rename_back(apps, None)
    assert {job.task for job in waiting.all()} == {"hub.pull.take_turn"}
