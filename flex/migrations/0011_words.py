"""Words on who is FSP: whose they are, for how long, by whose consent; exclusions by CPOs."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("flex", "0010_fsp_names_a_party"),
        ("ocpi_sessions", "0010_task_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="FlexExclusion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "cpo_country_code",
                    models.CharField(max_length=2, verbose_name="CPO country code"),
                ),
                ("cpo_party_id", models.CharField(max_length=3, verbose_name="CPO party id")),
                (
                    "fsp_country_code",
                    models.CharField(blank=True, max_length=2, verbose_name="FSP country code"),
                ),
                (
                    "fsp_party_id",
                    models.CharField(blank=True, max_length=3, verbose_name="FSP party id"),
                ),
                ("is_active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("changed_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "due_at",
                    models.DateTimeField(blank=True, default=django.utils.timezone.now, null=True),
                ),
            ],
            options={
                "verbose_name": "exclusion by a CPO",
                "verbose_name_plural": "exclusions by CPOs",
            },
        ),
        migrations.RemoveConstraint(
            model_name="flexagreement",
            name="flex_agreement_one_fsp_per_scope",
        ),
        migrations.AddField(
            model_name="flexagreement",
            name="changed_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                default=django.utils.timezone.now,
            ),
        ),
        migrations.AddField(
            model_name="flexagreement",
            name="consent_by",
            field=models.CharField(
                blank=True,
                choices=[("EMSP", "the eMSP"), ("DRIVER", "the driver")],
                db_default="",
                default="",
                max_length=6,
            ),
        ),
        migrations.AddField(
            model_name="flexagreement",
            name="consented_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="flexagreement",
            name="due_at",
            field=models.DateTimeField(
                blank=True,
                db_default=django.db.models.functions.datetime.Now(),
                default=django.utils.timezone.now,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="flexagreement",
            name="kind",
            field=models.CharField(
                choices=[
                    ("EMSP", "the eMSP of the token"),
                    ("SCSP", "an SCSP or another party"),
                    ("CPO", "the CPO itself"),
                    ("EMS", "an energy management system on site"),
                    ("EV", "the EV itself"),
                    ("NONE", "nobody"),
                ],
                db_default="SCSP",
                default="SCSP",
                max_length=5,
            ),
        ),
        migrations.AddField(
            model_name="flexagreement",
            name="said_by",
            field=models.CharField(
                choices=[("OPERATOR", "the operator"), ("EMSP", "the eMSP"), ("CPO", "the CPO")],
                db_default="CPO",
                default="CPO",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="flexagreement",
            name="session",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="flex_agreements",
                to="ocpi_sessions.session",
            ),
        ),
        migrations.AddField(
            model_name="flexagreement",
            name="valid_from",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="flexagreement",
            name="valid_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="flexagreement",
            name="fsp_country_code",
            field=models.CharField(blank=True, max_length=2, verbose_name="FSP country code"),
        ),
        migrations.AlterField(
            model_name="flexagreement",
            name="fsp_party_id",
            field=models.CharField(blank=True, max_length=3, verbose_name="FSP party id"),
        ),
    ]
