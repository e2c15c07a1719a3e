"""Rules, targets, alerts, the messages of them, and certificates."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("hub", "0038_backups"),
    ]

    operations = [
        migrations.CreateModel(
            name="Rule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=60, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("OFFLINE", "a party is OFFLINE for longer than (minutes)"),
                            ("ERRORS", "share of messages that fail, within 10 minutes (percent)"),
                            ("BACKLOG", "something waits for a receiver for longer than (minutes)"),
                            ("HANDSHAKE", "a handshake failed within the last (minutes)"),
                            ("CERTIFICATE", "the certificate of a party ends within (days)"),
                            (
                                "WORKERS",
                                "no worker of a queue, or a turn by the clock is overdue, for (seconds)",
                            ),
                            ("DISK", "a disk of the hub's is used beyond (percent)"),
                            (
                                "BACKUP",
                                "the last backup is older than (hours; 0: than BACKUP_EVERY allows)",
                            ),
                            (
                                "EFFECT",
                                "effect not known, share of a CPO's accepted profiles in a day (percent)",
                            ),
                        ],
                        max_length=11,
                    ),
                ),
                ("limit", models.FloatField(help_text="In the unit that the kind names.")),
                (
                    "severity",
                    models.CharField(
                        choices=[("WARNING", "warning"), ("CRITICAL", "critical")],
                        default="WARNING",
                        max_length=8,
                    ),
                ),
                (
                    "party",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="Only this one, such as NL-ABC; empty: all.",
                        max_length=6,
                    ),
                ),
                (
                    "ends_after",
                    models.PositiveIntegerField(
                        default=60,
                        help_text="Seconds for which all has to be well before it is over: what comes and goes is one alert.",
                    ),
                ),
                ("is_on", models.BooleanField(default=True, verbose_name="on")),
            ],
        ),
        migrations.CreateModel(
            name="Target",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("fence", models.BigIntegerField(default=0, editable=False)),
                ("lease_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("name", models.CharField(max_length=60, unique=True)),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("WEBHOOK", "webhook (JSON, signed)"),
                            ("SLACK", "Slack, or what takes the same"),
                            ("EMAIL", "e-mail"),
                        ],
                        default="WEBHOOK",
                        max_length=7,
                    ),
                ),
                ("address_encrypted", models.BinaryField(default=b"")),
                ("secret_encrypted", models.BinaryField(default=b"")),
                ("is_on", models.BooleanField(default=True, verbose_name="on")),
                (
                    "quiet_from",
                    models.TimeField(
                        blank=True,
                        help_text="From then on only critical alerts are told; empty: never.",
                        null=True,
                    ),
                ),
                (
                    "quiet_until",
                    models.TimeField(blank=True, help_text="What waited is told then.", null=True),
                ),
                (
                    "time_zone",
                    models.CharField(
                        default="UTC",
                        help_text="Of the quiet hours, such as Europe/Amsterdam.",
                        max_length=40,
                    ),
                ),
                ("failures", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("not_before", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "problem",
                    models.CharField(blank=True, default="", editable=False, max_length=300),
                ),
                ("told_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Alert",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subject", models.CharField(max_length=120)),
                ("summary", models.CharField(max_length=300)),
                ("began_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("seen_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="alerts.rule",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="rule",
            name="targets",
            field=models.ManyToManyField(
                blank=True,
                help_text="Who is told; nobody chosen: everybody.",
                related_name="rules",
                to="alerts.target",
            ),
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "event",
                    models.CharField(
                        choices=[("BEGAN", "began"), ("ENDED", "ended")], max_length=5
                    ),
                ),
                ("made_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("told_at", models.DateTimeField(blank=True, null=True)),
                ("withdrawn", models.CharField(blank=True, default="", max_length=120)),
                (
                    "alert",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notices",
                        to="alerts.alert",
                    ),
                ),
                (
                    "target",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notices",
                        to="alerts.target",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Certificate",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("host", models.CharField(max_length=255)),
                ("port", models.PositiveIntegerField()),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                ("looked_at", models.DateTimeField()),
                (
                    "platform",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="hub.platform",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("platform", "host", "port"), name="certificate_once"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(fields=["-began_at"], name="alert_by_time"),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ended_at__isnull", True)),
                fields=("rule", "subject"),
                name="alert_open_once",
            ),
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(
                condition=models.Q(("told_at__isnull", True), ("withdrawn", "")),
                fields=["target", "id"],
                name="notice_to_tell",
            ),
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.UniqueConstraint(
                fields=("alert", "target", "event"), name="notice_once"
            ),
        ),
    ]
