"""Migrations that processes of the release before survive, which run beside the new schema.

What was there at the baseline (tests/data/migrations_of_before.txt, made anew at each release) is
taken for granted. Whatever comes later must be an operation that older code does not notice, or say
in its own words, as `survives`, why older code goes on.
"""

from pathlib import Path

import pytest
from django.apps import apps
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from stack.__main__ import CHECKOUT

OURS = {app.label for app in apps.get_app_configs() if Path(app.path).is_relative_to(CHECKOUT)}
OURS -= {app.label for app in apps.get_app_configs() if ".venv" in Path(app.path).parts}
BASELINE = Path(__file__).parents[2] / "data" / "migrations_of_before.txt"
# Nothing that older code reads or writes is different after these.
HARMLESS = (
    migrations.CreateModel,
    migrations.AddIndex,
    migrations.RemoveIndex,
    migrations.RenameIndex,
    migrations.RemoveConstraint,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
)


def noticed(app: str, operation: Operation, state: ProjectState) -> list[str]:
    """What older code would notice of an operation; `state` is the one before it."""
    match operation:
        case migrations.SeparateDatabaseAndState():
            # The state is Django's own notion: the database alone is shared.
            return [
                why for one in operation.database_operations for why in noticed(app, one, state)
            ]
        case migrations.AddField():
            field = operation.field
            has_value = field.null or field.has_db_default() or field.many_to_many
            return [] if has_value else [f"{operation.describe()}: its INSERTs do not name it"]
        case migrations.AlterField():
            before = state.models[app, operation.model_name_lower].fields[operation.name]
            return [f"{operation.describe()}: {why}" for why in narrowed(before, operation.field)]
        case _ if isinstance(operation, HARMLESS):
            return []
    return [f"{operation.describe()}: it may fail, or read what is not there"]


def narrowed(before: models.Field, after: models.Field) -> list[str]:
    """What a column took before and does not take any more."""
    found = []
    if type(before).mro()[0].__name__ != type(after).mro()[0].__name__:
        found.append("it is of another type")
    if before.null and not after.null:
        found.append("it was NULL")
    if before.has_db_default() and not after.has_db_default():
        found.append("its INSERTs do not name it")
    longest = before.max_length, after.max_length
    if longest[1] is not None and (longest[0] is None or longest[1] < longest[0]):
        found.append("it was longer")
    return found


def test_processes_of_before_survive_each_migration():
    loader = MigrationLoader(None)
    before = set(BASELINE.read_text().split())
    nodes = {f"{app}.{name}" for app, name in loader.disk_migrations}
    assert before - nodes == set()  # a released migration is never edited away
    # Tables of an app that came later are nobody's before.
    known = OURS & {one.partition(".")[0] for one in before}
    problems = []
    for app, name in sorted(loader.disk_migrations):
        migration = loader.disk_migrations[app, name]
        if app not in known or f"{app}.{name}" in before or hasattr(migration, "survives"):
            continue
        state = loader.project_state((app, name), at_end=False)
        for operation in migration.operations:
            problems += [f"{app}.{name}: {why}" for why in noticed(app, operation, state)]
            operation.state_forwards(app, state)
    assert problems == []


def _state(**fields: models.Field) -> ProjectState:
    state = ProjectState()
    made = migrations.CreateModel(
        "Thing", [("id", models.AutoField(primary_key=True)), *fields.items()]
    )
    made.state_forwards("hub", state)
    return state


TEXT = models.CharField(max_length=10, null=True)


@pytest.mark.parametrize(
    ("operation", "is_noticed"),
    [
        (migrations.AddField("thing", "a", models.IntegerField(null=True)), False),
        (migrations.AddField("thing", "a", models.IntegerField(db_default=0)), False),
        (migrations.AddField("thing", "a", models.IntegerField(default=0)), True),
        (migrations.RemoveField("thing", "text"), True),
        (migrations.RenameField("thing", "text", "words"), True),
        (migrations.AlterField("thing", "text", models.CharField(max_length=20, null=True)), False),
        (migrations.AlterField("thing", "text", models.CharField(max_length=9, null=True)), True),
        (migrations.AlterField("thing", "text", models.CharField(max_length=10)), True),
        (migrations.AlterField("thing", "text", models.TextField(null=True)), True),
        (migrations.DeleteModel("thing"), True),
        (migrations.RunSQL("DROP TABLE hub_thing"), True),
        (
            migrations.AddConstraint(
                "thing", models.UniqueConstraint(fields=["text"], name="text_once")
            ),
            True,
        ),
        (
            migrations.SeparateDatabaseAndState(
                database_operations=[migrations.RunSQL("DROP TABLE hub_thing")]
            ),
            True,
        ),
    ],
    ids=lambda value: value.describe() if isinstance(value, Operation) else None,
)
def test_what_older_code_would_notice_is_found(operation, is_noticed):
    assert bool(noticed("hub", operation, _state(text=TEXT))) is is_noticed
