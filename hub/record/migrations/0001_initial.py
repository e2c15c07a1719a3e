"""The message record; `hub_message` is partitioned by day, which Django has no word for."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models.functions import Upper
from django.utils import timezone

MESSAGES = """
CREATE SEQUENCE hub_message_id_seq;
CREATE TABLE hub_message (
    id bigint NOT NULL DEFAULT nextval('hub_message_id_seq'),
    at timestamptz NOT NULL,
    direction varchar(3) NOT NULL,
    kind varchar(12) NOT NULL,
    method varchar(16) NOT NULL,
    module varchar(64) NOT NULL,
    interface_role varchar(8) NOT NULL,
    path varchar(300) NOT NULL,
    request_id varchar(255) NOT NULL,
    correlation_id varchar(255) NOT NULL,
    related_id varchar(255) NOT NULL,
    sender varchar(6) NOT NULL,
    receiver varchar(6) NOT NULL,
    platform_id bigint,
    http_status integer,
    ocpi_code integer,
    is_failed boolean NOT NULL,
    milliseconds double precision NOT NULL,
    request_bytes integer NOT NULL,
    answer_bytes integer NOT NULL,
    problem varchar(300) NOT NULL,
    request_body text NOT NULL,
    answer_body text NOT NULL,
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
ALTER SEQUENCE hub_message_id_seq OWNED BY hub_message.id;
CREATE TABLE hub_message_default PARTITION OF hub_message DEFAULT;
"""
TRIGGER = """
CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
ON record_bodyrecording FOR EACH STATEMENT EXECUTE FUNCTION hub_directory_changed();
"""


def text(longest: int) -> models.CharField[str, str]:
    return models.CharField(max_length=longest)


def own_id() -> models.BigAutoField[int, int]:
    return models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    )


message = migrations.CreateModel(
    name="Message",
    fields=[
        ("id", models.BigAutoField(primary_key=True, serialize=False)),
        ("at", models.DateTimeField()),
        ("direction", text(3)),
        ("kind", text(12)),
        ("method", text(16)),
        ("module", text(64)),
        ("interface_role", text(8)),
        ("path", text(300)),
        ("request_id", text(255)),
        ("correlation_id", text(255)),
        ("related_id", text(255)),
        ("sender", text(6)),
        ("receiver", text(6)),
        ("platform_id", models.BigIntegerField(null=True)),
        ("http_status", models.IntegerField(null=True)),
        ("ocpi_code", models.IntegerField(null=True)),
        ("is_failed", models.BooleanField()),
        ("milliseconds", models.FloatField()),
        ("request_bytes", models.IntegerField()),
        ("answer_bytes", models.IntegerField()),
        ("problem", text(300)),
        ("request_body", models.TextField()),
        ("answer_body", models.TextField()),
    ],
    options={"db_table": "hub_message"},
)
INDEXES = (
    models.Index(fields=["sender", "at", "id"], name="message_by_sender"),
    models.Index(fields=["receiver", "at", "id"], name="message_by_receiver"),
    models.Index(fields=["module", "at", "id"], name="message_by_module"),
    models.Index(
        fields=["ocpi_code", "at", "id"],
        name="message_failed_by_code",
        condition=models.Q(is_failed=True),
    ),
    models.Index(fields=["at", "id"], name="message_failed", condition=models.Q(is_failed=True)),
    models.Index(fields=["correlation_id"], name="message_by_correlation"),
    models.Index(
        fields=["related_id"], name="message_by_related", condition=~models.Q(related_id="")
    ),
)


class Migration(migrations.Migration):
    initial = True
    # The function that the trigger calls.
    dependencies = [("hub", "0002_directory_version")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(MESSAGES, "DROP TABLE hub_message")],
            state_operations=[message],
        ),
        *(migrations.AddIndex("message", index) for index in INDEXES),
        migrations.CreateModel(
            name="DrainedBatch",
            fields=[
                (
                    "batch_id",
                    models.CharField(max_length=16, primary_key=True, serialize=False),
                )
            ],
        ),
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", own_id()),
                ("name", text(40)),
                ("labels", text(200)),
                ("number", models.BigIntegerField()),
                ("seconds", models.FloatField(default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["name", "labels"], name="tally_once")
                ]
            },
        ),
        migrations.CreateModel(
            name="BodyRecording",
            fields=[
                ("id", own_id()),
                ("country_code", text(2)),
                ("party_id", text(3)),
                (
                    "until",
                    models.DateTimeField(help_text="At most a day ahead; then it ends by itself."),
                ),
                ("begun_at", models.DateTimeField(default=timezone.now, editable=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        Upper("country_code"),
                        Upper("party_id"),
                        name="body_recording_once_per_party",
                    )
                ]
            },
        ),
        migrations.RunSQL(TRIGGER, migrations.RunSQL.noop),
    ]
