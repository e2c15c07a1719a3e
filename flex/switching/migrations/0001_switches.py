"""Switches of FSP with their steps, FSPs that failed a session, what CPOs keep."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("flex_life", "0001_initial"),
        ("ocpi_charging_profiles", "0013_purpose_clear"),
        ("ocpi_sessions", "0010_task_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="CpoSlots",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("country_code", models.CharField(max_length=2)),
                ("party_id", models.CharField(max_length=3)),
                (
                    "told",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("ONE", "one profile"),
                            ("PER_SENDER", "one profile of each sender; the least counts"),
                        ],
                        help_text="Empty: what was learned counts.",
                        max_length=10,
                        verbose_name="told by the operator",
                    ),
                ),
                ("one_seen", models.PositiveIntegerField(default=0)),
                ("per_sender_seen", models.PositiveIntegerField(default=0)),
                ("evidence", models.CharField(blank=True, max_length=300)),
                ("changed_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "profiles that a CPO keeps",
                "verbose_name_plural": "profiles that CPOs keep",
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Upper("country_code"),
                        django.db.models.functions.text.Upper("party_id"),
                        name="slots_of_cpo_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="FspSwitch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("former", models.CharField(max_length=60)),
                ("new", models.CharField(max_length=60)),
                ("epoch", models.PositiveIntegerField()),
                ("because", models.CharField(max_length=300)),
                (
                    "step",
                    models.CharField(
                        choices=[
                            ("GIVEN", "the new FSP has the session; its profile is to come"),
                            ("ASKED", "its profile was taken; the active one is asked for"),
                            ("CLEARING", "the former profile is being cleared"),
                            ("RELEASING", "the hub releases the session"),
                            ("DONE", "done"),
                            ("OVER", "the session has ended"),
                            ("FOLLOWED", "the FSP has changed again"),
                            ("ATTENTION", "needs the operator's attention"),
                        ],
                        default="GIVEN",
                        max_length=9,
                    ),
                ),
                ("why", models.CharField(blank=True, max_length=300)),
                ("since", models.DateTimeField()),
                ("due_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("needs_attention", models.BooleanField(db_default=False, default=False)),
                ("looked_at", models.BigIntegerField(default=0)),
                ("looked_at_on", models.DateTimeField(blank=True, null=True)),
                (
                    "cleared",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=6),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("sent_again", models.PositiveSmallIntegerField(default=0)),
                (
                    "ask",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="flex_life.hubcommand",
                    ),
                ),
                (
                    "clear",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="ocpi_charging_profiles.profilecommand",
                    ),
                ),
                (
                    "release",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="flex_life.hubcommand",
                    ),
                ),
                (
                    "session",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fsp_switches",
                        to="ocpi_sessions.session",
                    ),
                ),
            ],
            options={
                "verbose_name": "switch of FSP",
                "verbose_name_plural": "switches of FSP",
            },
        ),
        migrations.CreateModel(
            name="SwitchStep",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "step",
                    models.CharField(
                        choices=[
                            ("GIVEN", "the new FSP has the session; its profile is to come"),
                            ("ASKED", "its profile was taken; the active one is asked for"),
                            ("CLEARING", "the former profile is being cleared"),
                            ("RELEASING", "the hub releases the session"),
                            ("DONE", "done"),
                            ("OVER", "the session has ended"),
                            ("FOLLOWED", "the FSP has changed again"),
                            ("ATTENTION", "needs the operator's attention"),
                        ],
                        max_length=9,
                    ),
                ),
                ("why", models.CharField(blank=True, max_length=300)),
                ("at", models.DateTimeField()),
                (
                    "switch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="steps",
                        to="flex_switching.fspswitch",
                    ),
                ),
            ],
            options={
                "verbose_name": "step of a switch",
                "verbose_name_plural": "steps of switches",
            },
        ),
        migrations.CreateModel(
            name="FspFailure",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("fsp_country_code", models.CharField(max_length=2)),
                ("fsp_party_id", models.CharField(max_length=3)),
                ("why", models.CharField(max_length=300)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("is_past", models.BooleanField(db_default=False, default=False)),
                (
                    "session",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fsp_failures",
                        to="ocpi_sessions.session",
                    ),
                ),
            ],
            options={
                "verbose_name": "FSP left out",
                "verbose_name_plural": "FSPs left out",
                "indexes": [
                    models.Index(
                        condition=models.Q(("is_past", False)),
                        fields=["until"],
                        name="fsp_failure_until",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("session"),
                        django.db.models.functions.text.Upper("fsp_country_code"),
                        django.db.models.functions.text.Upper("fsp_party_id"),
                        name="fsp_failure_once",
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="fspswitch",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", True)),
                fields=["due_at"],
                name="switch_open",
            ),
        ),
        migrations.AddIndex(
            model_name="fspswitch",
            index=models.Index(
                condition=models.Q(("needs_attention", True)),
                fields=["-ended_at"],
                name="switch_attention",
            ),
        ),
        migrations.AddConstraint(
            model_name="fspswitch",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ended_at__isnull", True)),
                fields=("session",),
                name="one_open_switch_per_session",
            ),
        ),
    ]
